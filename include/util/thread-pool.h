/*
 * Worker threads for calls that block
 *
 * One pool per process, grown on demand and shrunk when idle.  A coroutine
 * hands over a function and goes on in its own context when it is done.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef UTIL_THREAD_POOL_H
#define UTIL_THREAD_POOL_H

typedef int ThreadPoolFunc(void *opaque);

/* Run @func(@opaque) in a worker thread and return what it returned. */
int coroutine_fn thread_pool_submit_co(ThreadPoolFunc *func, void *opaque);

/*
 * Run @func(@opaque) in a worker thread; then call @done(@opaque, ret) in the
 * loop of the context that is current now.
 */
void thread_pool_submit(ThreadPoolFunc *func, void *opaque,
                        void (*done)(void *opaque, int ret));

#endif
