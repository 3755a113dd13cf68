/*
 * QMP sessions over a pair of sockets
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "monitor/monitor-int.h"

#include <sys/socket.h>

#include "block/drivers.h"
#include "block/run-state.h"
#include "co-run.h"
#include "log-capture.h"
#include "qapi/event.h"
#include "qapi/json-stream.h"

#define NEGOTIATE "{'execute': 'qmp_capabilities'}"
#define NEGOTIATE_OOB "{'execute': 'qmp_capabilities', " \
    "'arguments': {'enable': ['oob']}}"

/* A client: what it reads comes line by line. */
typedef struct Client {
    int fd;
    GString *in;
    bool closed;                /* the monitor said that it is gone */
} Client;

typedef struct Fixture {
    AioVirtualClock clock;
    AioContext *ctx;
    Client client;
} Fixture;

static void monitor_closed(void *opaque)
{
    ((Client *)opaque)->closed = true;
}

static void client_connect(Client *client, bool hmp)
{
    int fds[2];

    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC |
                               SOCK_NONBLOCK, 0, fds), ==, 0);
    client->fd = fds[0];
    client->in = g_string_new(NULL);
    client->closed = false;
    monitor_start(io_channel_new_fd(fds[1]), hmp, false, monitor_closed,
                  client);
}

static void client_close(Client *client)
{
    if (client->fd >= 0) {
        close(client->fd);
    }
    client->fd = -1;
    poll_until(&client->closed);
    g_string_free(client->in, TRUE);
}

static void client_send(Client *client, const char *text)
{
    g_assert_cmpint(send(client->fd, text, strlen(text), 0), ==,
                    strlen(text));
}

/* Whatever there is to read by now; false at the end of the stream. */
static bool client_receive(Client *client)
{
    char buf[4096];
    ssize_t n;

    poll_idle();
    while ((n = recv(client->fd, buf, sizeof(buf), 0)) > 0) {
        g_string_append_len(client->in, buf, n);
        poll_idle();
    }
    return n != 0;
}

/* The next line as JSON, NULL if there is none. */
static json_t *client_next(Client *client)
{
    char *end;
    json_t *json;
    size_t len;

    client_receive(client);
    end = strstr(client->in->str, "\r\n");
    if (!end) {
        return NULL;
    }
    len = end - client->in->str;
    json = json_parse(client->in->str, len, NULL);
    g_assert_nonnull(json);
    g_string_erase(client->in, 0, len + 2);
    return json;
}

/* The next line must be the JSON @text. */
static void client_expect(Client *client, const char *text)
{
    json_t *got = client_next(client);
    json_t *expected = json_parse(text, strlen(text), NULL);
    g_autofree char *printed = got ? json_print(got, NULL) : NULL;

    if (!got || !json_equal(got, expected)) {
        g_test_message("expected %s, got %s", text, printed ?: "nothing");
        g_test_fail();
    }
    json_decref(expected);
    json_decref(got);
}

static void client_expect_nothing(Client *client)
{
    g_assert_null(client_next(client));
}

/* The next line must be this error, with an id if @id is not NULL. */
static void client_expect_error(Client *client, const char *class,
                                const char *desc, const char *id)
{
    g_autofree char *text = NULL;
    g_autofree char *with_id = id ? g_strdup_printf(", \"id\": %s", id) : NULL;

    text = g_strdup_printf("{\"error\": {\"class\": \"%s\", \"desc\": \"%s\"}"
                           "%s}", class, desc, with_id ?: "");
    client_expect(client, text);
}

static void client_negotiate(Client *client, const char *how)
{
    json_t *greeting = client_next(client);

    g_assert_nonnull(json_object_get(greeting, "QMP"));
    json_decref(greeting);
    client_send(client, how);
    client_expect(client, "{'return': {}}");
}

static void setup(Fixture *f, gconstpointer data)
{
    f->ctx = aio_context_new(&f->clock, NULL);
    qapi_event_set_sink(monitor_event_sink);
    bdrv_register_drivers(bdrv_drivers);
    client_connect(&f->client, false);
}

static void coroutine_fn close_all(void *opaque)
{
    bdrv_co_close_all();
}

static void teardown(Fixture *f, gconstpointer data)
{
    client_close(&f->client);
    co_run(close_all, NULL);
    aio_context_free(f->ctx);
}

static void test_greeting(Fixture *f, gconstpointer data)
{
    client_expect(&f->client, "{'QMP': {'version': {'qemu': {'micro': 0, "
                  "'minor': 2, 'major': 7}, 'package': 'colo-block "
                  COLO_VERSION "'}, 'capabilities': ['oob']}}");
}

static void test_negotiation_comes_first(Fixture *f, gconstpointer data)
{
    json_decref(client_next(&f->client));
    client_send(&f->client, "{'execute': 'query-status'}");
    client_expect_error(&f->client, "CommandNotFound", "Expecting "
                        "capabilities negotiation with 'qmp_capabilities'",
                        NULL);
    client_send(&f->client, NEGOTIATE);
    client_expect(&f->client, "{'return': {}}");
    client_send(&f->client, NEGOTIATE);
    client_expect_error(&f->client, "CommandNotFound", "Capabilities "
                        "negotiation is already complete, command ignored",
                        NULL);
}

static void test_id_comes_back(Fixture *f, gconstpointer data)
{
    client_negotiate(&f->client, NEGOTIATE);
    client_send(&f->client, "{'execute': 'query-yank', 'id': [1, {'a': null}]}"
                "{'id': 'x', 'execute': 'nope'}");
    client_expect(&f->client, "{'return': [], 'id': [1, {'a': null}]}");
    client_expect_error(&f->client, "CommandNotFound",
                        "The command nope has not been found", "'x'");
}

static void test_bad_requests(Fixture *f, gconstpointer data)
{
    static const char *const rows[][2] = {
        { "[]", "QMP input must be a JSON object" },
        { "{}", "QMP input lacks member 'execute'" },
        { "{'execute': 1}", "QMP input member 'execute' must be a string" },
        { "{'execute': 'quit', 'x': 1}",
          "QMP input member 'x' is unexpected" },
        { "{'execute': 'quit', 'arguments': []}",
          "QMP input member 'arguments' must be an object" },
        { "{'exec-oob': 'query-yank'}",
          "QMP input member 'exec-oob' is unexpected" },
        { "{'execute': 'quit', 'arguments': {'x': 1}}",
          "Parameter 'x' is unexpected" },
        { "{'execute': 'object-del'}", "Parameter 'id' is missing" },
        { "{'execute': 'object-del', 'arguments': {'id': 1}}",
          "Invalid parameter type for 'id', expected: string" },
    };
    size_t i;

    client_negotiate(&f->client, NEGOTIATE);
    for (i = 0; i < ARRAY_SIZE(rows); i++) {
        client_send(&f->client, rows[i][0]);
        client_expect_error(&f->client, "GenericError", rows[i][1], NULL);
    }
    g_assert_cmpint(run_state_shutdown_cause(), ==, SHUTDOWN_CAUSE_NONE);
}

static void test_goes_on_after_broken_json(Fixture *f, gconstpointer data)
{
    json_t *error;

    client_negotiate(&f->client, NEGOTIATE);
    client_send(&f->client, "{'execute': }\n{'execute': 'query-yank'}");
    error = client_next(&f->client);
    g_assert_nonnull(json_object_get(error, "error"));
    json_decref(error);
    client_expect(&f->client, "{'return': []}");
}

static void test_pipelined_commands_keep_order(Fixture *f, gconstpointer data)
{
    g_autoptr(GString) text = g_string_new(NULL);
    int i;

    client_negotiate(&f->client, NEGOTIATE);
    for (i = 0; i < 100; i++) {
        g_string_append_printf(text, "{'execute': 'query-yank', 'id': %d}",
                               i);
    }
    client_send(&f->client, text->str);
    for (i = 0; i < 100; i++) {
        g_autofree char *expected =
            g_strdup_printf("{'return': [], 'id': %d}", i);

        client_expect(&f->client, expected);
    }
}

/* A command that takes until the clock is moved. */
#define SLEEP "{'execute': 'human-monitor-command', 'id': 'sleep', " \
    "'arguments': {'command-line': 'qemu-io n \"sleep 10\"'}}"

static void add_node(Client *client)
{
    client_send(client, "{'execute': 'blockdev-add', 'arguments': "
                "{'driver': 'null-co', 'node-name': 'n'}}");
    client_expect(client, "{'return': {}}");
}

static void test_oob_overtakes_a_full_queue(Fixture *f, gconstpointer data)
{
    int i;

    client_negotiate(&f->client, NEGOTIATE_OOB);
    add_node(&f->client);
    client_send(&f->client, SLEEP);
    for (i = 0; i < 7; i++) {
        client_send(&f->client, "{'execute': 'query-yank', 'id': 'later'}");
    }
    client_send(&f->client, "{'exec-oob': 'query-yank', 'id': 'now'}");
    client_expect(&f->client, "{'return': [], 'id': 'now'}");
    client_expect_nothing(&f->client);

    f->clock.now_ns += 10 * SCALE_MS;
    client_expect(&f->client, "{'return': '', 'id': 'sleep'}");
    client_expect(&f->client, "{'return': [], 'id': 'later'}");
}

static void test_reading_stops_at_a_full_queue(Fixture *f, gconstpointer data)
{
    int i;

    client_negotiate(&f->client, NEGOTIATE_OOB);
    add_node(&f->client);
    client_send(&f->client, SLEEP);
    for (i = 0; i < 8; i++) {
        client_send(&f->client, "{'execute': 'query-yank', 'id': 'later'}");
    }
    client_send(&f->client, "{'exec-oob': 'query-yank', 'id': 'now'}");
    client_expect_nothing(&f->client);
    f->clock.now_ns += 10 * SCALE_MS;
    client_expect(&f->client, "{'return': '', 'id': 'sleep'}");
}

static void test_oob_needs_a_command_that_allows_it(Fixture *f,
                                                    gconstpointer data)
{
    client_negotiate(&f->client, NEGOTIATE_OOB);
    client_send(&f->client, "{'exec-oob': 'query-status', 'id': 1}");
    client_expect_error(&f->client, "GenericError",
                        "The command query-status does not support OOB", "1");
}

/* The next line must be the event @name. */
static void client_expect_event(Client *client, const char *name)
{
    json_t *event = client_next(client);

    g_assert_cmpstr(json_string_value(json_object_get(event, "event")), ==,
                    name);
    g_assert_nonnull(json_object_get(event, "timestamp"));
    json_decref(event);
}

static void test_events_reach_all_that_negotiated(Fixture *f,
                                                  gconstpointer data)
{
    Client second, third;

    client_connect(&second, false);
    client_connect(&third, false);
    client_negotiate(&f->client, NEGOTIATE);
    client_negotiate(&second, NEGOTIATE);
    json_decref(client_next(&third));

    client_send(&f->client, "{'execute': 'system_powerdown'}");
    client_expect_event(&f->client, "POWERDOWN");
    client_expect(&f->client, "{'return': {}}");
    client_expect_event(&second, "POWERDOWN");
    client_expect_nothing(&third);

    client_close(&second);
    client_close(&third);
}

static void raise_report_bad(const char *node, int sector)
{
    json_t *data = json_pack("{s:s, s:i}", "node-name", node,
                             "sector-num", sector);

    monitor_event_sink(0, "QUORUM_REPORT_BAD", data);
    json_decref(data);
}

static json_int_t next_sector(Client *client)
{
    json_t *event = client_next(client);
    json_int_t sector = -1;

    if (event) {
        sector = json_integer_value(
            json_object_get(json_object_get(event, "data"), "sector-num"));
    }
    json_decref(event);
    return sector;
}

static void test_limited_events_coalesce_by_node(Fixture *f,
                                                 gconstpointer data)
{
    client_negotiate(&f->client, NEGOTIATE);
    raise_report_bad("a", 1);
    raise_report_bad("a", 2);
    raise_report_bad("a", 3);
    raise_report_bad("b", 4);
    g_assert_cmpint(next_sector(&f->client), ==, 1);
    g_assert_cmpint(next_sector(&f->client), ==, 4);
    client_expect_nothing(&f->client);

    f->clock.now_ns += NANOSECONDS_PER_SECOND;
    g_assert_cmpint(next_sector(&f->client), ==, 3);
    client_expect_nothing(&f->client);

    f->clock.now_ns += NANOSECONDS_PER_SECOND;
    client_expect_nothing(&f->client);
    raise_report_bad("a", 5);
    g_assert_cmpint(next_sector(&f->client), ==, 5);
}

static void test_what_came_before_the_end_is_answered(Fixture *f,
                                                      gconstpointer data)
{
    client_negotiate(&f->client, NEGOTIATE);
    client_send(&f->client, "{'execute': 'query-yank', 'id': 1}"
                "{'execute': 'query-yank', 'id': 2}");
    shutdown(f->client.fd, SHUT_WR);
    client_expect(&f->client, "{'return': [], 'id': 1}");
    client_expect(&f->client, "{'return': [], 'id': 2}");
    g_assert_false(client_receive(&f->client));
    g_assert_true(f->client.closed);
}

static void test_client_vanishes_while_a_command_runs(Fixture *f,
                                                      gconstpointer data)
{
    client_negotiate(&f->client, NEGOTIATE);
    add_node(&f->client);
    client_send(&f->client, SLEEP);
    poll_idle();
    close(f->client.fd);
    f->client.fd = -1;
    poll_idle();
    g_assert_false(f->client.closed);
    f->clock.now_ns += 10 * SCALE_MS;
    poll_idle();
    g_assert_true(f->client.closed);
}

static void test_quit_asks_for_the_end(Fixture *f, gconstpointer data)
{
    client_negotiate(&f->client, NEGOTIATE);
    client_send(&f->client, "{'execute': 'quit'}");
    client_expect(&f->client, "{'return': {}}");
    g_assert_cmpint(run_state_shutdown_cause(), ==,
                    SHUTDOWN_CAUSE_HOST_QMP_QUIT);
}

static void test_run_state(Fixture *f, gconstpointer data)
{
    client_negotiate(&f->client, NEGOTIATE);
    client_send(&f->client, "{'execute': 'cont'}{'execute': 'cont'}"
                "{'execute': 'stop'}{'execute': 'query-status'}");
    client_expect_event(&f->client, "RESUME");
    client_expect(&f->client, "{'return': {}}");
    client_expect(&f->client, "{'return': {}}");
    client_expect_event(&f->client, "STOP");
    client_expect(&f->client, "{'return': {}}");
    client_expect(&f->client, "{'return': {'running': false, "
                  "'singlestep': false, 'status': 'paused'}}");
}

/* Send @text with the descriptor @fd. */
static void client_send_fd(Client *client, const char *text, int fd)
{
    union {
        struct cmsghdr align;
        char buf[CMSG_SPACE(sizeof(int))];
    } control = { { 0 } };
    struct iovec iov = { (char *)text, strlen(text) };
    struct msghdr msg = {
        .msg_iov = &iov, .msg_iovlen = 1,
        .msg_control = control.buf, .msg_controllen = sizeof(control.buf),
    };
    struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);

    cmsg->cmsg_level = SOL_SOCKET;
    cmsg->cmsg_type = SCM_RIGHTS;
    cmsg->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(cmsg), &fd, sizeof(int));
    g_assert_cmpint(sendmsg(client->fd, &msg, 0), ==, strlen(text));
}

static void test_descriptors_get_names(Fixture *f, gconstpointer data)
{
    client_negotiate(&f->client, NEGOTIATE);
    client_send_fd(&f->client, "{'execute': 'getfd', 'arguments': "
                   "{'fdname': 'a'}}", STDERR_FILENO);
    client_expect(&f->client, "{'return': {}}");
    client_send(&f->client, "{'execute': 'getfd', 'arguments': "
                "{'fdname': 'b'}}");
    client_expect_error(&f->client, "GenericError", "No file descriptor "
                        "supplied via SCM_RIGHTS", NULL);
    client_send(&f->client, "{'execute': 'closefd', 'arguments': "
                "{'fdname': 'a'}}");
    client_expect(&f->client, "{'return': {}}");
    client_send(&f->client, "{'execute': 'closefd', 'arguments': "
                "{'fdname': 'a'}}");
    client_expect_error(&f->client, "GenericError", "File descriptor named "
                        "'a' not found", NULL);
}

static void test_two_commands_clash(Fixture *f, gconstpointer data)
{
    client_negotiate(&f->client, NEGOTIATE_OOB);
    client_send(&f->client, "{'execute': 'stop', 'exec-oob': 'stop'}");
    client_expect_error(&f->client, "GenericError", "QMP input member "
                        "'exec-oob' clashes with 'execute'", NULL);
}

static void test_lines_for_people(Fixture *f, gconstpointer data)
{
    g_autofree char *endless = g_strnfill(65536, 'x');
    Client person;

    client_connect(&person, true);
    client_receive(&person);
    g_assert_cmpstr(person.in->str, ==, "(qemu) ");
    g_string_truncate(person.in, 0);
    client_send(&person, "info status\n");
    client_receive(&person);
    g_assert_cmpstr(person.in->str, ==,
                    "VM status: paused (prelaunch)\r\n(qemu) ");
    g_string_truncate(person.in, 0);
    client_send(&person, "nope x\n");
    client_receive(&person);
    g_assert_cmpstr(person.in->str, ==, "unknown command: 'nope'\r\n(qemu) ");
    g_string_truncate(person.in, 0);
    client_send(&person, endless);
    client_send(&person, "\n");
    client_receive(&person);
    g_assert_cmpstr(person.in->str, ==, "Error: line too long\r\n(qemu) ");
    client_close(&person);
}

/* drive_add as COLO scripts have it: what it prints is looked at. */
static void test_drive_add(Fixture *f, gconstpointer data)
{
    static const char *const rows[][2] = {
        { "drive_add buddy driver=null-co,id=d0,if=none", "OK\r\n" },
        { "drive_add buddy driver=null-co,id=d0,if=none",
          "Duplicate ID 'd0' for drive\r\n" },
        { "drive_add buddy driver=null-co,if=virtio",
          "Can't hot-add drive to type virtio\r\n" },
        { "drive_add -n buddy driver=null-co,node-name=n0", "" },
        { "drive_add -n buddy driver=null-co",
          "'node-name' needs to be specified\r\n" },
        { "drive_del d0", "" },
        { "drive_del n0", "" },
        { "drive_del n0", "Device 'n0' not found\r\n" },
    };
    size_t i;

    client_negotiate(&f->client, NEGOTIATE);
    for (i = 0; i < ARRAY_SIZE(rows); i++) {
        json_t *request = json_pack("{s:s, s:{s:s}}", "execute",
                                    "human-monitor-command", "arguments",
                                    "command-line", rows[i][0]);
        json_t *expected = json_pack("{s:s}", "return", rows[i][1]);
        g_autofree char *text = json_print(request, NULL);
        g_autofree char *answer = json_print(expected, NULL);

        client_send(&f->client, text);
        client_expect(&f->client, answer);
        json_decref(request);
        json_decref(expected);
    }
}

static void coroutine_fn drive_del_entry(void *opaque)
{
    char **answer = opaque;

    *answer = hmp_run("drive_del d0");
}

static void coroutine_fn two_drive_dels_entry(void *opaque)
{
    g_autofree char *added = hmp_run("drive_add x driver=null-co,id=d0,if=none");

    g_assert_cmpstr(added, ==, "OK\r\n");
    /* Both wait, with the drive still there, for the command before them. */
    GRAPH_COMMAND_GUARD();
    for (int i = 0; i < 2; i++) {
        coroutine_start(drive_del_entry, (char **)opaque + i);
    }
}

static void test_drive_del_twice_at_once(Fixture *f, gconstpointer data)
{
    char *answers[2] = { NULL };

    co_run(two_drive_dels_entry, answers);
    poll_idle();
    g_assert_cmpstr(answers[0], ==, "");
    g_assert_cmpstr(answers[1], ==, "Device 'd0' not found\r\n");
    g_free(answers[0]);
    g_free(answers[1]);
}

static void test_client_does_not_read_its_events(Fixture *f,
                                                 gconstpointer data)
{
    g_autofree char *id = g_strnfill(MONITOR_OUT_MAX / 4, 'x');

    client_negotiate(&f->client, NEGOTIATE);
    log_capture_begin();
    for (int i = 0; i < 5; i++) {
        json_t *event = json_pack("{s:s}", "id", id);

        monitor_event_sink(0, "BLOCK_EXPORT_DELETED", event);
        json_decref(event);
    }
    log_capture_end("monitor client does not read its events, "
                    "disconnecting\n");
    poll_until(&f->client.closed);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *path;
        void (*func)(Fixture *f, gconstpointer data);
    } tests[] = {
        { "/monitor/greeting", test_greeting },
        { "/monitor/negotiation", test_negotiation_comes_first },
        { "/monitor/id", test_id_comes_back },
        { "/monitor/bad-requests", test_bad_requests },
        { "/monitor/broken-json", test_goes_on_after_broken_json },
        { "/monitor/order", test_pipelined_commands_keep_order },
        { "/monitor/oob/overtakes", test_oob_overtakes_a_full_queue },
        { "/monitor/oob/full", test_reading_stops_at_a_full_queue },
        { "/monitor/oob/allowed", test_oob_needs_a_command_that_allows_it },
        { "/monitor/events/all", test_events_reach_all_that_negotiated },
        { "/monitor/events/limited", test_limited_events_coalesce_by_node },
        { "/monitor/events/not-read", test_client_does_not_read_its_events },
        { "/monitor/end/half", test_what_came_before_the_end_is_answered },
        { "/monitor/end/busy", test_client_vanishes_while_a_command_runs },
        { "/monitor/quit", test_quit_asks_for_the_end },
        { "/monitor/run-state", test_run_state },
        { "/monitor/getfd", test_descriptors_get_names },
        { "/monitor/two-commands-clash", test_two_commands_clash },
        { "/monitor/hmp/lines", test_lines_for_people },
        { "/monitor/hmp/drive-add", test_drive_add },
        { "/monitor/hmp/drive-del-twice", test_drive_del_twice_at_once },
    };
    size_t i;

    g_test_init(&argc, &argv, NULL);
    for (i = 0; i < ARRAY_SIZE(tests); i++) {
        g_test_add(tests[i].path, Fixture, NULL, setup, tests[i].func,
                   teardown);
    }
    return g_test_run();
}
