/*
 * Intrusive lists: <sys/queue.h> and the loops that allow removal
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef UTIL_QUEUE_H
#define UTIL_QUEUE_H

#include <sys/queue.h>

#ifndef LIST_FOREACH_SAFE
#define LIST_FOREACH_SAFE(var, head, field, tvar)                       \
    for ((var) = LIST_FIRST(head);                                      \
         (var) && ((tvar) = LIST_NEXT(var, field), 1);                  \
         (var) = (tvar))
#endif

#ifndef TAILQ_FOREACH_SAFE
#define TAILQ_FOREACH_SAFE(var, head, field, tvar)                      \
    for ((var) = TAILQ_FIRST(head);                                     \
         (var) && ((tvar) = TAILQ_NEXT(var, field), 1);                 \
         (var) = (tvar))
#endif

#endif
