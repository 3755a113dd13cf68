/*
 * The meaning of JSON string tokens
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef QAPI_JSON_STRING_H
#define QAPI_JSON_STRING_H

#include "osdep.h"

/*
 * Replace the escapes of @text (what is between the quotes) in place.  False
 * and an error ("JSON parse error, ...") if one is wrong or the text is not
 * UTF-8.
 */
bool json_unescape(GString *text, GError **errp);

#endif
