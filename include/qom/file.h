/*
 * Small files that objects are made from
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef QOM_FILE_H
#define QOM_FILE_H

/*
 * The contents of @path with a NUL behind; free with g_free.  Refuses more
 * than a secret or a list of rules can need.
 */
char *qom_read_file(const char *path, size_t *len, GError **errp);

#endif
