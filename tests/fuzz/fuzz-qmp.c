/*
 * Fuzz target: QMP requests
 *
 * Each value of the stream goes through dispatch and gets a response.  Only
 * commands that cannot reach outside of the process are let through; of the
 * others the arguments are read.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "fuzz.h"

#include "monitor/qmp-dispatch.h"
#include "qapi/json-stream.h"
#include "qapi/qapi-visit.h"

static const char *const harmless[] = {
    "block-export-del", "block_resize", "block_set_io_throttle",
    "blockdev-del", "closefd", "cont", "getfd", "nbd-server-remove",
    "object-del", "qmp_capabilities", "qom-get", "qom-set", "stop",
    "trace-event-get-state", "x-blockdev-change", "yank",
};

/* Read @args as a type: gives a value or an error. */
#define READER(type)                                                    \
    static void read_##type(json_t *args)                               \
    {                                                                   \
        g_autoptr(GError) err = NULL;                                   \
        type *value = qapi_##type##_from_json(args, &err);              \
                                                                        \
        g_assert_true(!value != !err);                                  \
        qapi_free_##type(value);                                        \
    }

READER(BlockdevOptions)
READER(ObjectOptions)
READER(BlockExportOptions)
READER(NbdServerOptionsLegacy)
READER(NbdServerAddOptions)
READER(ChardevBackend)

static const struct {
    const char *command;
    const char *member;         /* of the arguments; NULL: all of them */
    void (*read)(json_t *args);
} readers[] = {
    { "blockdev-add", NULL, read_BlockdevOptions },
    { "object-add", NULL, read_ObjectOptions },
    { "block-export-add", NULL, read_BlockExportOptions },
    { "nbd-server-start", NULL, read_NbdServerOptionsLegacy },
    { "nbd-server-add", NULL, read_NbdServerAddOptions },
    { "chardev-add", "backend", read_ChardevBackend },
};

static void read_arguments(json_t *json)
{
    QmpRequest req;
    size_t i;

    if (!qmp_request_parse(json, true, &req, NULL)) {
        return;
    }
    for (i = 0; i < ARRAY_SIZE(readers); i++) {
        if (g_str_equal(req.command, readers[i].command)) {
            json_t *args = readers[i].member
                ? json_object_get(req.args, readers[i].member) : req.args;

            if (json_is_object(args)) {
                readers[i].read(args);
            }
        }
    }
}

typedef struct Request {
    json_t *json;
    bool negotiated, oob;
    bool done;
} Request;

static bool is_harmless(json_t *json)
{
    g_autoptr(GError) err = NULL;
    QmpRequest req;
    size_t i;

    if (!qmp_request_parse(json, true, &req, &err)) {
        g_assert_nonnull(err);
        return true;            /* dispatch will say the same */
    }
    if (g_str_has_prefix(req.command, "query-")) {
        return true;
    }
    for (i = 0; i < ARRAY_SIZE(harmless); i++) {
        if (g_str_equal(req.command, harmless[i])) {
            return true;
        }
    }
    return false;
}

static void coroutine_fn dispatch_entry(void *opaque)
{
    Request *req = opaque;
    json_t *response = qmp_dispatch(req->json, req->negotiated, req->oob);
    json_t *id = json_object_get(req->json, "id");

    g_assert_true(!json_object_get(response, "return") !=
                  !json_object_get(response, "error"));
    g_assert_true(!id || json_equal(id, json_object_get(response, "id")));
    json_decref(response);
    req->done = true;
}

static bool is_busy(void *opaque)
{
    return !((Request *)opaque)->done;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t mode = fuzz_byte(&data, &size);
    g_autoptr(JsonStream) js = json_stream_new();

    fuzz_context();
    while (size > 0) {
        Request req = { .negotiated = mode & 1, .oob = mode & 2 };
        GError *err = NULL;
        size_t used = json_stream_feed(js, (const char *)data, size,
                                       &req.json, &err);

        if (req.json && is_harmless(req.json)) {
            fuzz_loop(dispatch_entry, is_busy, &req, -1);
        } else if (req.json) {
            read_arguments(req.json);
        }
        json_decref(req.json);
        g_clear_error(&err);
        data += used;
        size -= used;
    }
    return 0;
}
