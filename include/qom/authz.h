/*
 * Authorization: may this identity come in
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef QOM_AUTHZ_H
#define QOM_AUTHZ_H

#include "qom/object.h"

/*
 * Ask the authz-* object @id about @identity.  Sets *@allowed and returns
 * true; false and an error if there is no such object.
 */
bool authz_is_allowed(const char *id, const char *identity, bool *allowed,
                      GError **errp);

extern const ObjectTypeInfo authz_list_type;
extern const ObjectTypeInfo authz_list_file_type;
extern const ObjectTypeInfo authz_simple_type;

/* What the kinds of authz objects are asked; see the files of the same name. */
bool authz_list_check(Object *obj, const char *identity);
bool authz_list_file_check(Object *obj, const char *identity);
bool authz_simple_check(Object *obj, const char *identity);

/* What a list of rules says. */
bool authz_rules_check(const AuthZListProperties *list, const char *identity);

#endif
