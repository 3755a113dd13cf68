/*
 * Copying past the cache
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef UTIL_STREAM_COPY_H
#define UTIL_STREAM_COPY_H

/*
 * As memcpy(), for a @dest that nobody reads soon.  A large copy does not
 * fetch it into the cache only to overwrite it, which is most of its time.
 */
void stream_copy(void *dest, const void *src, size_t bytes);

#endif
