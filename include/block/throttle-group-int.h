/*
 * Throttle groups: what their object and the backends need beside members
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef BLOCK_THROTTLE_GROUP_INT_H
#define BLOCK_THROTTLE_GROUP_INT_H

#include "block/throttle-group.h"

/* A new group, one reference; no other has @name.  @obj may be NULL. */
ThrottleGroup *throttle_group_new(const char *name, Object *obj,
                                  const ThrottleConfig *cfg);
/* Borrowed, or NULL. */
ThrottleGroup *throttle_group_find(const char *name);
void throttle_group_ref(ThrottleGroup *tg);
void throttle_group_unref(ThrottleGroup *tg);

const ThrottleConfig *throttle_group_config(const ThrottleGroup *tg);
/* @cfg is checked.  The buckets are empty afterwards. */
void throttle_group_set_config(ThrottleGroup *tg, const ThrottleConfig *cfg);

ThrottleMember *throttle_member_join(ThrottleGroup *tg);
ThrottleGroup *throttle_member_group(const ThrottleMember *tgm);

#endif
