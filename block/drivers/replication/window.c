/*
 * The window of protocol=async: forwards that the guest does not wait for
 *
 * A request is admitted in order of arrival, its data is copied, and a
 * coroutine of its own forwards it.  Buffers are kept for the next ones, so
 * that a steady stream allocates nothing; they go when the guest is idle.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "replication-int.h"

#define SMALLEST_BUFFER (4 * KiB)
#define LARGEST_SPARE (SMALLEST_BUFFER << (WINDOW_CLASSES - 1))

/* A squeezed window admits this fraction of itself. */
#define SQUEEZE 16

/* A checkpoint does not wait longer than this for the window to empty. */
#define SETTLE_NS (200 * SCALE_MS)

struct AsyncForward {
    Forward f;
    Replication *r;
    IOVector qiov;
    void *data;
    int64_t capacity;
    AsyncForward *next;         /* while it is spare */
};

struct WindowWaiter {
    Coroutine *co;
    bool woken;
    TAILQ_ENTRY(WindowWaiter) link;
};

/* Buffers */

static int size_class(int64_t capacity)
{
    int n = 0;

    while (SMALLEST_BUFFER << n < capacity) {
        n++;
    }
    return n;
}

static AsyncForward *buffer_get(Replication *r, int64_t bytes)
{
    Window *w = &r->primary.window;
    int n = size_class(bytes);
    int64_t capacity = n < WINDOW_CLASSES ? SMALLEST_BUFFER << n : bytes;
    AsyncForward *af;

    if (n < WINDOW_CLASSES && w->spare[n]) {
        af = w->spare[n];
        w->spare[n] = af->next;
        w->spare_bytes -= capacity;
        return af;
    }
    af = g_new0(AsyncForward, 1);
    af->r = r;
    af->capacity = capacity;
    af->data = bdrv_blockalign(r->bs, capacity);
    return af;
}

static void buffer_free(AsyncForward *af)
{
    g_aligned_free(af->data);
    g_free(af);
}

static void buffer_put(Window *w, AsyncForward *af)
{
    int n = size_class(af->capacity);

    if (af->capacity > LARGEST_SPARE ||
        w->spare_bytes + af->capacity > w->max_bytes) {
        buffer_free(af);
        return;
    }
    af->next = w->spare[n];
    w->spare[n] = af;
    w->spare_bytes += af->capacity;
}

void window_trim(Window *w)
{
    for (int n = 0; n < WINDOW_CLASSES; n++) {
        while (w->spare[n]) {
            AsyncForward *af = w->spare[n];

            w->spare[n] = af->next;
            buffer_free(af);
        }
    }
    w->spare_bytes = 0;
}

/* Admission */

/* One request always fits, however long it is. */
static bool fits(const Window *w, int64_t bytes, int fraction)
{
    return w->requests == 0 ||
           (w->requests < MAX(w->max_requests / fraction, 1) &&
            w->bytes + bytes <= w->max_bytes / fraction);
}

static bool fits_now(const Window *w, int64_t bytes)
{
    return fits(w, bytes, w->squeezed ? SQUEEZE : 1);
}

/*
 * The one who waits first stays in the queue until it runs, so that nobody
 * who comes in between overtakes it.
 */
static void wake_first(Window *w)
{
    WindowWaiter *first = TAILQ_FIRST(&w->waiters);

    if (first && !first->woken) {
        first->woken = true;
        aio_co_wake(first->co);
    }
}

static void coroutine_fn wait_turn(Primary *p, int64_t bytes)
{
    Window *w = &p->window;
    WindowWaiter self = { .co = coroutine_self() };

    TAILQ_INSERT_TAIL(&w->waiters, &self, link);
    do {
        self.woken = false;
        coroutine_yield();
    } while (p->forwarding &&
             (TAILQ_FIRST(&w->waiters) != &self || !fits_now(w, bytes)));
    TAILQ_REMOVE(&w->waiters, &self, link);
}

static bool coroutine_fn window_co_enter(Replication *r, int64_t bytes)
{
    Primary *p = &r->primary;
    Window *w = &p->window;

    if (w->disconnect && !fits(w, bytes, 1)) {
        primary_give_up(r, -ENOBUFS, "forwarding faster than the peer takes");
        return false;
    }
    if (!TAILQ_EMPTY(&w->waiters) || !fits_now(w, bytes)) {
        wait_turn(p, bytes);
    }
    if (p->forwarding) {
        w->requests++;
        w->bytes += bytes;
    }
    wake_first(w);
    return p->forwarding;
}

static bool is_low(const Window *w)
{
    return w->requests <= MAX(w->max_requests / SQUEEZE, 1) &&
           w->bytes <= w->max_bytes / SQUEEZE;
}

static void window_leave(Window *w, int64_t bytes)
{
    w->requests--;
    w->bytes -= bytes;
    wake_first(w);
    if (w->squeezed && is_low(w)) {
        co_queue_restart_all(&w->low);
    }
}

void window_give_up(Window *w)
{
    wake_first(w);              /* who wakes the next one, and so on */
    co_queue_restart_all(&w->low);
}

/* Forwards */

/* Zeroes take no memory. */
static int64_t payload(const Forward *f)
{
    return f->op == FORWARD_WRITE ? f->bytes : 0;
}

static void coroutine_fn async_entry(void *opaque)
{
    AsyncForward *af = opaque;
    BlockDriverState *bs = af->r->bs;
    Window *w = &af->r->primary.window;
    int64_t bytes = payload(&af->f);

    primary_co_forward(af->r, &af->f);
    buffer_put(w, af);
    window_leave(w, bytes);
    bdrv_dec_in_flight(bs);
}

bool coroutine_fn window_co_put(Replication *r, const Forward *f)
{
    int64_t bytes = payload(f);
    AsyncForward *af;

    if (!window_co_enter(r, bytes)) {
        return false;
    }
    af = buffer_get(r, bytes);
    af->f = *f;
    if (bytes) {
        iov_to_buf(f->qiov, 0, af->data, bytes);
        iov_init_buf(&af->qiov, af->data, bytes);
        af->f.qiov = &af->qiov;
    }
    bdrv_inc_in_flight(r->bs);
    coroutine_start(async_entry, af);
    return true;
}

/* Checkpoints */

typedef struct SettleTimer {
    AioTimer timer;
    Window *window;
    bool over;
} SettleTimer;

static void settle_over(void *opaque)
{
    SettleTimer *st = opaque;

    st->over = true;
    co_queue_restart_all(&st->window->low);
}

void coroutine_fn replication_settle(Replication *r)
{
    Window *w = &r->primary.window;
    SettleTimer st = { .window = w };

    if (r->secondary.target) {
        target_hurry(r->secondary.target);
    }
    if (r->mode != REPLICATION_MODE_PRIMARY || !r->primary.forwarding) {
        return;
    }
    w->squeezed = true;
    aio_timer_init(&st.timer, r->bs->ctx, settle_over, &st);
    aio_timer_mod(&st.timer, aio_clock_get_ns(r->bs->ctx) + SETTLE_NS);
    while (r->primary.forwarding && !is_low(w) && !st.over) {
        co_queue_wait(&w->low);
    }
    aio_timer_del(&st.timer);
}

void window_unsqueeze(Window *w)
{
    w->squeezed = false;
    wake_first(w);
}

/* Life */

void window_init(Replication *r)
{
    const BlockdevOptionsReplication *o = &r->bs->options->u.replication;
    Window *w = &r->primary.window;

    w->max_bytes = o->has_window_bytes ? o->window_bytes : 8 * MiB;
    w->max_requests = o->has_window_requests ? o->window_requests : 256;
    w->disconnect = o->has_on_congestion &&
                    o->on_congestion == REPLICATION_CONGESTION_DISCONNECT;
    TAILQ_INIT(&w->waiters);
    co_queue_init(&w->low);
}

void window_close(Window *w)
{
    g_assert(w->requests == 0 && TAILQ_EMPTY(&w->waiters));
    window_trim(w);
}
