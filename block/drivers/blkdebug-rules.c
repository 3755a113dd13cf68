/*
 * blkdebug's rules: what happens at which event in which state
 *
 * An event arms the error rules that belong to it (and disarms those of the
 * event before); the next requests that match an armed rule fail.  Rules of
 * the event "none" are always armed.  A change of state takes effect after
 * all rules of the event were looked at.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "blkdebug-rules.h"

#include <jansson.h>

#include "block/block-common.h"
#include "qapi/qapi-visit-block-core.h"

#define BLKDEBUG_IOTYPES_DEFAULT                                        \
    (1U << BLKDEBUG_IO_TYPE_READ | 1U << BLKDEBUG_IO_TYPE_WRITE |       \
     1U << BLKDEBUG_IO_TYPE_WRITE_ZEROES |                              \
     1U << BLKDEBUG_IO_TYPE_DISCARD | 1U << BLKDEBUG_IO_TYPE_FLUSH)

struct BlkdebugRule {
    enum {
        RULE_INJECT_ERROR,
        RULE_SET_STATE,
        RULE_SUSPEND,
    } action;
    bool any_state;
    int64_t state;              /* in which it applies, unless any_state */
    LIST_ENTRY(BlkdebugRule) next;

    /* RULE_INJECT_ERROR */
    bool is_armed;
    LIST_ENTRY(BlkdebugRule) armed;
    unsigned iotypes;           /* mask */
    int error;                  /* positive */
    int64_t offset;             /* -1: any */
    bool once;
    bool immediately;

    /* RULE_SET_STATE */
    int64_t new_state;

    /* RULE_SUSPEND */
    char *tag;
};

void blkdebug_rules_init(BlkdebugRules *r)
{
    r->state = 1;
    for (int i = 0; i < BLKDEBUG_EVENT__MAX; i++) {
        LIST_INIT(&r->rules[i]);
    }
    LIST_INIT(&r->armed);
}

static void rule_disarm(BlkdebugRule *rule)
{
    if (rule->is_armed) {
        LIST_REMOVE(rule, armed);
        rule->is_armed = false;
    }
}

static void rule_free(BlkdebugRule *rule)
{
    rule_disarm(rule);
    LIST_REMOVE(rule, next);
    g_free(rule->tag);
    g_free(rule);
}

void blkdebug_rules_clear(BlkdebugRules *r)
{
    for (int i = 0; i < BLKDEBUG_EVENT__MAX; i++) {
        while (!LIST_EMPTY(&r->rules[i])) {
            rule_free(LIST_FIRST(&r->rules[i]));
        }
    }
}

/* Rules of an event act in the order in which they were added. */
static void rules_append(BlkdebugRules *r, BlkdebugEvent event,
                         BlkdebugRule *rule)
{
    BlkdebugRule *last = LIST_FIRST(&r->rules[event]);

    if (!last) {
        LIST_INSERT_HEAD(&r->rules[event], rule, next);
        return;
    }
    while (LIST_NEXT(last, next)) {
        last = LIST_NEXT(last, next);
    }
    LIST_INSERT_AFTER(last, rule, next);
}

bool blkdebug_rules_add_inject_error(BlkdebugRules *r,
                                     const BlkdebugInjectErrorOptions *opts,
                                     GError **errp)
{
    BlkdebugRule *rule;

    if (opts->has_errno && (opts->q_errno < 0 || opts->q_errno > 4095)) {
        error_setg(errp, "Parameter 'errno' must be between 0 and 4095");
        return false;
    }
    if (opts->has_sector && (opts->sector < -1 ||
        opts->sector > BDRV_MAX_LENGTH / BDRV_SECTOR_SIZE)) {
        error_setg(errp, "Parameter 'sector' is out of range");
        return false;
    }

    rule = g_new0(BlkdebugRule, 1);
    rule->action = RULE_INJECT_ERROR;
    rule->any_state = !opts->has_state || opts->state == 0;
    rule->state = opts->state;
    rule->iotypes = opts->has_iotype ? 1U << opts->iotype
                                     : BLKDEBUG_IOTYPES_DEFAULT;
    rule->error = opts->has_errno ? opts->q_errno : EIO;
    rule->offset = opts->has_sector && opts->sector >= 0
                   ? opts->sector * BDRV_SECTOR_SIZE : -1;
    rule->once = opts->has_once && opts->once;
    rule->immediately = opts->has_immediately && opts->immediately;
    rules_append(r, opts->event, rule);
    return true;
}

bool blkdebug_rules_add_set_state(BlkdebugRules *r,
                                  const BlkdebugSetStateOptions *opts,
                                  GError **errp)
{
    BlkdebugRule *rule = g_new0(BlkdebugRule, 1);

    rule->action = RULE_SET_STATE;
    rule->any_state = !opts->has_state || opts->state == 0;
    rule->state = opts->state;
    rule->new_state = opts->new_state;
    rules_append(r, opts->event, rule);
    return true;
}

void blkdebug_rules_add_suspend(BlkdebugRules *r, BlkdebugEvent event,
                                const char *tag)
{
    BlkdebugRule *rule = g_new0(BlkdebugRule, 1);

    rule->action = RULE_SUSPEND;
    rule->any_state = true;
    rule->tag = g_strdup(tag);
    rules_append(r, event, rule);
}

void blkdebug_rules_remove_suspend(BlkdebugRules *r, const char *tag)
{
    BlkdebugRule *rule, *next;

    for (int i = 0; i < BLKDEBUG_EVENT__MAX; i++) {
        LIST_FOREACH_SAFE(rule, &r->rules[i], next, next) {
            if (rule->action == RULE_SUSPEND && strcmp(rule->tag, tag) == 0) {
                rule_free(rule);
            }
        }
    }
}

/* What happens */

static void rules_arm(BlkdebugRules *r, BlkdebugRule *rule, bool first)
{
    if (first) {
        while (!LIST_EMPTY(&r->armed)) {
            rule_disarm(LIST_FIRST(&r->armed));
        }
    }
    LIST_INSERT_HEAD(&r->armed, rule, armed);
    rule->is_armed = true;
}

char *blkdebug_rules_event(BlkdebugRules *r, BlkdebugEvent event)
{
    int64_t new_state = r->state;
    bool first = true;
    char *tag = NULL;
    BlkdebugRule *rule, *next;

    LIST_FOREACH_SAFE(rule, &r->rules[event], next, next) {
        if (!rule->any_state && rule->state != r->state) {
            continue;
        }
        switch (rule->action) {
        case RULE_INJECT_ERROR:
            rules_arm(r, rule, first);
            first = false;
            break;
        case RULE_SET_STATE:
            new_state = rule->new_state;
            break;
        case RULE_SUSPEND:
            if (!tag) {
                tag = g_steal_pointer(&rule->tag);
                rule_free(rule);
            }
            break;
        }
    }
    r->state = new_state;
    return tag;
}

static bool rule_matches(const BlkdebugRule *rule, BlkdebugIOType iotype,
                         int64_t offset, int64_t bytes)
{
    if (rule->action != RULE_INJECT_ERROR ||
        !(rule->iotypes & 1U << iotype)) {
        return false;
    }
    return rule->offset < 0 ||
           (rule->offset >= offset && rule->offset - offset < bytes);
}

static BlkdebugRule *rules_find_error(BlkdebugRules *r, BlkdebugIOType iotype,
                                      int64_t offset, int64_t bytes)
{
    BlkdebugRule *rule;

    LIST_FOREACH(rule, &r->armed, armed) {
        if (rule_matches(rule, iotype, offset, bytes)) {
            return rule;
        }
    }
    LIST_FOREACH(rule, &r->rules[BLKDEBUG_EVENT_NONE], next) {
        if ((rule->any_state || rule->state == r->state) &&
            rule_matches(rule, iotype, offset, bytes)) {
            return rule;
        }
    }
    return NULL;
}

int blkdebug_rules_error(BlkdebugRules *r, BlkdebugIOType iotype,
                         int64_t offset, int64_t bytes, bool *immediately)
{
    BlkdebugRule *rule = rules_find_error(r, iotype, offset, bytes);
    int ret;

    if (!rule) {
        return 0;
    }
    ret = -rule->error;
    *immediately = rule->immediately;
    if (rule->once) {
        rule_free(rule);
    }
    return ret;
}

/* Configuration files */

/* The rule in @section, whose members are all strings. */
static bool rules_add_section(BlkdebugRules *r, const char *section,
                              json_t *members, GError **errp)
{
    if (strcmp(section, "inject-error") == 0) {
        g_autoptr(BlkdebugInjectErrorOptions) opts =
            qapi_BlkdebugInjectErrorOptions_from_keyval(members, errp);

        return opts && blkdebug_rules_add_inject_error(r, opts, errp);
    }
    if (strcmp(section, "set-state") == 0) {
        g_autoptr(BlkdebugSetStateOptions) opts =
            qapi_BlkdebugSetStateOptions_from_keyval(members, errp);

        return opts && blkdebug_rules_add_set_state(r, opts, errp);
    }
    error_setg(errp, "There is no option group '%s'", section);
    return false;
}

/* "[name]" to a new "name"; NULL if @line is something else. */
static char *parse_section_name(const char *line)
{
    size_t len = strlen(line);

    if (len < 3 || line[0] != '[' || line[len - 1] != ']') {
        return NULL;
    }
    return g_strndup(line + 1, len - 2);
}

/* 'key = "value"' into @members; the quotes may be missing. */
static bool parse_member(char *line, json_t *members)
{
    char *value = strchr(line, '=');
    size_t len;

    if (!value) {
        return false;
    }
    *value++ = '\0';
    g_strstrip(line);
    g_strstrip(value);
    len = strlen(value);
    if (len >= 2 && value[0] == '"' && value[len - 1] == '"') {
        value[len - 1] = '\0';
        value++;
    }
    return *line && json_object_set_new(members, line,
                                        json_string(value)) == 0;
}

typedef struct ConfigParser {
    char *section;              /* that is being read; NULL before the first */
    unsigned section_line;
    json_t *members;
} ConfigParser;

static bool parser_end_section(ConfigParser *p, BlkdebugRules *r,
                               const char *name, GError **errp)
{
    if (p->section && !rules_add_section(r, p->section, p->members, errp)) {
        error_prepend(errp, "%s:%u: ", name, p->section_line);
        return false;
    }
    json_object_clear(p->members);
    g_clear_pointer(&p->section, g_free);
    return true;
}

static bool parser_line(ConfigParser *p, BlkdebugRules *r, char *line,
                        unsigned number, const char *name, GError **errp)
{
    g_autofree char *section = NULL;

    g_strstrip(line);
    if (!*line || *line == '#') {
        return true;
    }
    section = parse_section_name(line);
    if (section) {
        if (!parser_end_section(p, r, name, errp)) {
            return false;
        }
        p->section = g_steal_pointer(&section);
        p->section_line = number;
        return true;
    }
    if (!p->section || !parse_member(line, p->members)) {
        error_setg(errp, "%s:%u: parse error: expected %s", name, number,
                   p->section ? "key = \"value\" or [section]" : "[section]");
        return false;
    }
    return true;
}

bool blkdebug_rules_parse(BlkdebugRules *r, const char *text,
                          const char *name, GError **errp)
{
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    ConfigParser p = { .members = json_object() };
    bool ok = true;

    for (unsigned i = 0; ok && lines[i]; i++) {
        ok = parser_line(&p, r, lines[i], i + 1, name, errp);
    }
    ok = ok && parser_end_section(&p, r, name, errp);
    g_free(p.section);
    json_decref(p.members);
    return ok;
}
