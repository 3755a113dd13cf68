/*
 * authz-list: identities are let in by a list of rules
 *
 * The first rule that matches counts; if none does, the policy of the list.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "qom/authz.h"

#include <fnmatch.h>

static bool authz_rule_matches(const QAuthZListRule *rule,
                               const char *identity)
{
    if (rule->has_format && rule->format == QAUTHZ_LIST_FORMAT_GLOB) {
        return fnmatch(rule->match, identity, 0) == 0;
    }
    return !strcmp(rule->match, identity);
}

bool authz_rules_check(const AuthZListProperties *list, const char *identity)
{
    for (const QAuthZListRuleList *l = list->rules; l; l = l->next) {
        if (authz_rule_matches(l->value, identity)) {
            return l->value->policy == QAUTHZ_LIST_POLICY_ALLOW;
        }
    }
    return list->has_policy && list->policy == QAUTHZ_LIST_POLICY_ALLOW;
}

bool authz_list_check(Object *obj, const char *identity)
{
    return authz_rules_check(&obj->options->u.authz_list, identity);
}

static bool authz_list_init(Object *obj, const ObjectOptions *options,
                            GError **errp)
{
    return true;
}

const ObjectTypeInfo authz_list_type = {
    .type           = OBJECT_TYPE_AUTHZ_LIST,
    .instance_size  = sizeof(Object),
    .init           = authz_list_init,
};
