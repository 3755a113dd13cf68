/*
 * Whether the guest runs
 *
 * One variable with one setter.  While the guest does not run, guest exports
 * hold their requests; nothing else depends on it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef BLOCK_RUN_STATE_H
#define BLOCK_RUN_STATE_H

#include "qapi/qapi-types-run-state.h"

/* Prelaunch until somebody sets it. */
RunState run_state_get(void);

/*
 * Go to @state.  Opens or closes the gates of guest exports and raises RESUME
 * or STOP where the guest begins or ceases to run.  Never waits.
 */
void run_state_set(RunState state);

/*
 * Go to @state, in which the guest does not run, wait until its requests in
 * flight are done and flush every node.  Returns early if the guest is let
 * run meanwhile.  False if a node cannot be flushed: the guest is stopped
 * nevertheless.
 */
bool coroutine_fn run_state_co_stop(RunState state, GError **errp);

/*
 * Ask the program to end.  The first cause counts.  Any callback of the
 * context.
 */
void run_state_request_shutdown(ShutdownCause cause);
/* SHUTDOWN_CAUSE_NONE while nobody has asked. */
ShutdownCause run_state_shutdown_cause(void);

#endif
