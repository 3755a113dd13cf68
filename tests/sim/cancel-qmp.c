/*
 * Cancel at every turn: QMP sessions
 *
 * A client sends all commands of a scenario at once.  The scenario is run
 * again and again, each time one event further, then the client hangs up, or
 * half of it, or the daemon ends, or the peer of a node goes.  The monitor
 * ends whenever its client does, each command has one answer as long as there
 * is somebody to read it, and nothing is left behind.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"

#include <sys/socket.h>

#include "block/nbd-server.h"
#include "io/yank.h"
#include "monitor/monitor.h"
#include "nbd-world.h"
#include "qapi/event.h"
#include "util/log.h"

#define SECOND NANOSECONDS_PER_SECOND
#define MINUTE (60 * SECOND)
#define MAX_COMMANDS 10
#define MAX_STEPS 1000

#define DAEMON CLIENT

/* %s is a folder of its own. */
#define NEGOTIATE "{'execute':'qmp_capabilities'}"
#define NEGOTIATE_OOB "{'execute':'qmp_capabilities'," \
    "'arguments':{'enable':['oob']}}"
#define NODE "'driver':'nbd','node-name':'node','export':'disk'," \
    "'server':{'type':'unix','path':'%s/link'}"
#define ADD "{'execute':'blockdev-add','arguments':{" NODE "}}"
#define REOPEN "{'execute':'blockdev-reopen','arguments':{'options':[{" \
    NODE ",'detect-zeroes':'on'}]}}"
#define DEL "{'execute':'blockdev-del','arguments':{'node-name':'node'}}"
#define IO(line) "{'execute':'human-monitor-command','arguments':" \
    "{'command-line':'qemu-io node \\\"" line "\\\"'}}"
#define SERVE "{'execute':'nbd-server-start','arguments':{'addr':" \
    "{'type':'unix','data':{'path':'%s/front'}}}}"
#define EXPORT "{'execute':'block-export-add','arguments':{'type':'nbd'," \
    "'id':'exp','node-name':'node'}}"
#define STOP_SERVER "{'execute':'nbd-server-stop'}"
#define QUERY "{'execute':'query-named-block-nodes'}"
#define OOB_YANK "{'exec-oob':'yank','arguments':{'instances':[" \
    "{'type':'block-node','node-name':'node'}]}}"

typedef struct Scenario {
    const char *name;
    const char *commands[MAX_COMMANDS];
    bool stalled;               /* the peer does not answer */
} Scenario;

typedef struct World {
    NbdWorld nbd;
    const Scenario *scenario;
    const struct Blow *blow;
    int steps;
    int fd;                     /* the client's end; -1: hung up */
    GString *in;
    bool monitor_ended, blow_done;
} World;

typedef struct Blow {
    const char *name;
    void (*hit)(World *w);      /* what the client does */
    CoroutineEntry *strike;     /* or what happens in the daemon */
    bool ends;                  /* the monitor */
} Blow;

G_GNUC_PRINTF(2, 3)
static void fail(const World *w, const char *fmt, ...)
{
    g_autofree char *text = NULL;
    va_list ap;

    va_start(ap, fmt);
    text = g_strdup_vprintf(fmt, ap);
    va_end(ap);
    g_error("%s/%s, step %d: %s\n%s", w->scenario->name, w->blow->name,
            w->steps, text, w->in->str);
}

/* The daemon and its client */

static void monitor_ended(void *opaque)
{
    ((World *)opaque)->monitor_ended = true;
}

static void coroutine_fn monitor_entry(void *opaque)
{
    World *w = opaque;
    int fds[2];

    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC |
                               SOCK_NONBLOCK, 0, fds), ==, 0);
    w->fd = fds[0];
    monitor_start(io_channel_new_fd(fds[1]), false, false, monitor_ended, w);
}

static void coroutine_fn daemon_end_entry(void *opaque)
{
    World *w = opaque;

    monitor_stop_commands();
    nbd_servers_co_shutdown();
    bdrv_co_close_all();
    monitor_co_close_all(SECOND);
    w->blow_done = true;
}

static void client_send(World *w)
{
    for (int i = 0; i < MAX_COMMANDS && w->scenario->commands[i]; i++) {
        g_autoptr(GString) line = g_string_new(w->scenario->commands[i]);

        g_string_replace(line, "%s", w->nbd.dir, 0);
        g_assert_cmpint(send(w->fd, line->str, line->len, MSG_NOSIGNAL), ==,
                        line->len);
    }
}

static void client_receive(World *w)
{
    char buf[4096];
    ssize_t n;

    while (w->fd >= 0 && (n = recv(w->fd, buf, sizeof(buf), 0)) > 0) {
        g_string_append_len(w->in, buf, n);
    }
}

static int count(const char *text, const char *what)
{
    int n = 0;

    while ((text = strstr(text, what))) {
        n++;
        text++;
    }
    return n;
}

static bool all_answered(World *w)
{
    int commands = 0, answers;

    while (commands < MAX_COMMANDS && w->scenario->commands[commands]) {
        commands++;
    }
    client_receive(w);
    answers = count(w->in->str, "{\"return\": ") +
              count(w->in->str, "{\"error\": ");
    if (answers > commands) {
        fail(w, "more answers than commands");
    }
    return answers == commands;
}

/* Blows */

static void client_hangs_up(World *w)
{
    close(w->fd);
    w->fd = -1;
}

static void client_says_no_more(World *w)
{
    shutdown(w->fd, SHUT_WR);
}

static void client_sends_half_a_command(World *w)
{
    g_assert_cmpint(send(w->fd, "{'execute':", 11, MSG_NOSIGNAL), ==, 11);
    client_hangs_up(w);
}

static void coroutine_fn strike_yank(void *opaque)
{
    g_autoptr(YankInstanceList) instances = yank_query();

    yank_instances(instances, NULL);
    ((World *)opaque)->blow_done = true;
}

static void coroutine_fn strike_cut(void *opaque)
{
    World *w = opaque;

    sim_link_cut_soon(&w->nbd.sim, w->nbd.link);
    w->blow_done = true;
}

static const Blow blows[] = {
    { "hang-up", client_hangs_up, .ends = true },
    { "no-more", client_says_no_more, .ends = true },
    { "half-a-command", client_sends_half_a_command, .ends = true },
    { "quit", .strike = daemon_end_entry, .ends = true },
    { "yank", .strike = strike_yank },
    { "cut", .strike = strike_cut },
};

static const Scenario scenarios[] = {
    { "add", { NEGOTIATE, ADD, QUERY, DEL } },
    { "reopen", { NEGOTIATE, ADD, REOPEN, QUERY, DEL } },
    { "io", { NEGOTIATE, ADD, IO("read 0 4k"), IO("write 0 4k"),
              IO("aio_write 0 4k"), IO("flush"), DEL } },
    { "export", { NEGOTIATE, ADD, SERVE, EXPORT, QUERY, STOP_SERVER, DEL } },
    { "stuck", { NEGOTIATE, ADD, DEL, QUERY }, .stalled = true },
    { "stuck-oob", { NEGOTIATE_OOB, ADD, OOB_YANK, DEL, QUERY },
      .stalled = true },
};

/* One run */

static void world_begin(World *w)
{
    w->in = g_string_new(NULL);
    qapi_event_set_sink(monitor_event_sink);
    nbd_world_begin(&w->nbd, (SimLinkConditions) {
        .stalled = w->scenario->stalled,
    });
    sim_run(&w->nbd.sim, DAEMON, monitor_entry, w);
}

static void world_end(World *w)
{
    if (w->fd >= 0) {
        close(w->fd);
    }
    sim_run(&w->nbd.sim, DAEMON, daemon_end_entry, w);
    if (!w->monitor_ended) {
        fail(w, "the monitor has not ended");
    }
    nbd_world_end(&w->nbd);
    g_string_free(w->in, TRUE);
}

/* Whether everything was answered before that many steps were over. */
static bool run_steps(World *w)
{
    client_send(w);
    for (int i = 0; i < w->steps; i++) {
        if (all_answered(w)) {
            return true;
        }
        if (!sim_step(&w->nbd.sim) && !sim_skip_time(&w->nbd.sim)) {
            fail(w, "stuck before anything happened");
        }
    }
    return false;
}

static bool run_once(World *w)
{
    bool finished;

    world_begin(w);
    finished = run_steps(w);
    if (finished && !w->scenario->stalled && strstr(w->in->str, "error")) {
        fail(w, "an error out of nothing");
    }
    if (w->blow->hit) {
        w->blow->hit(w);
        w->blow_done = true;
    } else {
        sim_spawn(&w->nbd.sim, DAEMON, w->blow->strike, w);
    }
    sim_pass(&w->nbd.sim, MINUTE);
    if (!w->blow_done) {
        fail(w, "the blow itself has not ended");
    }
    if (w->blow->ends && !w->monitor_ended) {
        fail(w, "the monitor has not ended");
    }
    if (w->fd >= 0 && w->blow->strike != daemon_end_entry &&
        !all_answered(w)) {
        fail(w, "answers are missing");
    }
    world_end(w);
    return finished;
}

typedef struct Case {
    const Scenario *scenario;
    const Blow *blow;
} Case;

static void test_case(gconstpointer data)
{
    const Case *c = data;
    bool finished = false;
    int steps;

    for (steps = 0; !finished; steps++) {
        World w = { .scenario = c->scenario, .blow = c->blow, .steps = steps };

        g_assert_cmpint(steps, <, MAX_STEPS);
        finished = run_once(&w);
    }
    g_test_message("%d steps", steps);
    g_assert_cmpint(steps, >, 3);
}

int main(int argc, char **argv)
{
    static Case cases[ARRAY_SIZE(scenarios) * ARRAY_SIZE(blows)];
    Case *c = cases;

    g_test_init(&argc, &argv, NULL);
    /* Lost connections are what this is about: they need no words. */
    log_set_file("/dev/null", NULL);
    for (size_t i = 0; i < ARRAY_SIZE(scenarios); i++) {
        for (size_t j = 0; j < ARRAY_SIZE(blows); j++, c++) {
            g_autofree char *path = g_strdup_printf(
                "/cancel/qmp/%s/%s", scenarios[i].name, blows[j].name);

            *c = (Case) { &scenarios[i], &blows[j] };
            g_test_add_data_func(path, c, test_case);
        }
    }
    return g_test_run();
}
