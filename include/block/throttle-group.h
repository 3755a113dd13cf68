/*
 * Throttle groups: rate limits shared by several users
 *
 * A member is a throttle node or a BlockBackend.  Requests of all members
 * that must wait are let on in turn, one of each member at a time.
 *
 * Groups belong to an AioContext; everything runs in its thread.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef BLOCK_THROTTLE_GROUP_H
#define BLOCK_THROTTLE_GROUP_H

#include "block/block-backend.h"
#include "block/throttle.h"
#include "qom/object.h"
#include "util/queue.h"

typedef struct ThrottleGroup ThrottleGroup;
typedef struct ThrottleMember ThrottleMember;

/* The object type throttle-group. */
extern const ObjectTypeInfo throttle_group_type;

/* Whether there is a group @name, made by an object or by a backend. */
bool throttle_group_exists(const char *name);

/*
 * Join the group @name, which exists.  NULL and an error
 * "Throttle group 'x' does not exist" if it does not.
 */
ThrottleMember *throttle_member_new(const char *name, GError **errp);
/* Nothing waits any more. */
void throttle_member_free(ThrottleMember *tgm);
const char *throttle_member_group_name(const ThrottleMember *tgm);

/* Wait until a request of @bytes may go on. */
void coroutine_fn throttle_member_co_wait(ThrottleMember *tgm, int64_t bytes,
                                          bool is_write);
/* Let everything that waits or comes pass at once (it still counts). */
void throttle_member_set_bypass(ThrottleMember *tgm, bool bypass);

/*
 * Limit @blk as member of the group @group, which is made if need be; the
 * new limits hold for the whole group.  A @cfg without limits takes @blk out
 * of its group.  No request of @blk is in flight.  On failure nothing has
 * changed.
 */
bool blk_throttle_set(BlockBackend *blk, const char *group,
                      const ThrottleConfig *cfg, GError **errp);

/* The limits of @blk and its group's name, borrowed; NULL if it has none. */
const char *blk_throttle_get(BlockBackend *blk, ThrottleConfig *cfg);

#endif
