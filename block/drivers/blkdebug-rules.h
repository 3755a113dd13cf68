/*
 * blkdebug's rules: what happens at which event in which state
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef BLOCK_DRIVERS_BLKDEBUG_RULES_H
#define BLOCK_DRIVERS_BLKDEBUG_RULES_H

#include "qapi/qapi-types-block-core.h"
#include "util/queue.h"

typedef struct BlkdebugRule BlkdebugRule;

typedef struct BlkdebugRules {
    int64_t state;
    LIST_HEAD(, BlkdebugRule) rules[BLKDEBUG_EVENT__MAX];
    /* Error rules armed by the latest event that had any */
    LIST_HEAD(, BlkdebugRule) armed;
} BlkdebugRules;

void blkdebug_rules_init(BlkdebugRules *r);
/* Harmless on a zeroed struct. */
void blkdebug_rules_clear(BlkdebugRules *r);

/* Add rules; they are checked first. */
bool blkdebug_rules_add_inject_error(BlkdebugRules *r,
                                     const BlkdebugInjectErrorOptions *opts,
                                     GError **errp);
bool blkdebug_rules_add_set_state(BlkdebugRules *r,
                                  const BlkdebugSetStateOptions *opts,
                                  GError **errp);

/*
 * Add the rules of a configuration file with contents @text.  @name is for
 * messages.  On failure some rules may have been added.
 */
bool blkdebug_rules_parse(BlkdebugRules *r, const char *text,
                          const char *name, GError **errp);

/* Suspend the next request at @event as @tag. */
void blkdebug_rules_add_suspend(BlkdebugRules *r, BlkdebugEvent event,
                                const char *tag);
void blkdebug_rules_remove_suspend(BlkdebugRules *r, const char *tag);

/*
 * @event happens: states change, error rules are armed.  Returns the tag to
 * suspend the request under (g_free), or NULL; that rule is then used up.
 */
char *blkdebug_rules_event(BlkdebugRules *r, BlkdebugEvent event);

/*
 * The error (-errno) for a request, or 0.  Sets *@immediately.  @bytes 0:
 * a request without a range (flush).
 */
int blkdebug_rules_error(BlkdebugRules *r, BlkdebugIOType iotype,
                         int64_t offset, int64_t bytes, bool *immediately);

#endif
