/*
 * "key=value,a.b=c,list.0=x" to a tree of dicts, lists and strings
 *
 * The language of -object, -blockdev, --nbd-server and --export.  Dots nest,
 * numbers are list indexes, a comma in a value is written twice.  Pure
 * functions.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef BLOCK_KEYVAL_H
#define BLOCK_KEYVAL_H

#include <jansson.h>

/*
 * Parse @params.  A first value without a key belongs to @implied_key (NULL:
 * there is none).  A bare "help" or "?" sets *@help; where @help is NULL it is an error.
 * Returns a new reference, NULL and an error that names the parameter.
 */
json_t *keyval_parse(const char *params, const char *implied_key, bool *help,
                     GError **errp);

/*
 * Put @value (stolen) where the dotted @key says, replacing an older one.
 * Dicts with numbers as keys become lists by keyval_listify() at the end.
 */
bool keyval_put(json_t *root, const char *key, json_t *value, GError **errp);

/* Turn each dict whose keys are 0, 1, 2... into a list, @root excepted. */
bool keyval_listify(json_t *root, GError **errp);

/*
 * Take one value up to a single comma from *@p, undoubling commas; *@p is
 * left at its end.
 */
char *keyval_take_value(const char **p);

/* JSON if @arg begins with '{', else as keyval_parse(). */
json_t *keyval_or_json_parse(const char *arg, const char *implied_key,
                             bool *is_json, bool *help, GError **errp);

/*
 * Replace each scalar in @value by the string that a key=value would have
 * ("on", "42"); null stays.  Returns a new reference; fails if @value is
 * nested more deeply than keys may be.
 */
json_t *keyval_stringify(json_t *value, GError **errp);

#endif
