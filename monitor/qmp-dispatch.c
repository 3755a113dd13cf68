/*
 * One QMP request to one response
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "monitor/qmp-dispatch.h"

#include "qapi/dispatch.h"
#include "util/trace.h"


static bool take_command(QmpRequest *req, const char *key, json_t *value,
                         GError **errp)
{
    if (!json_is_string(value)) {
        error_setg(errp, "QMP input member '%s' must be a string", key);
        return false;
    }
    if (req->command) {
        error_setg(errp, "QMP input member '%s' clashes with '%s'", key,
                   req->oob ? "exec-oob" : "execute");
        return false;
    }
    req->command = json_string_value(value);
    req->oob = g_str_equal(key, "exec-oob");
    return true;
}

bool qmp_request_parse(json_t *json, bool oob_enabled, QmpRequest *req,
                       GError **errp)
{
    const char *key;
    json_t *value;

    *req = (QmpRequest) { NULL };
    if (!json_is_object(json)) {
        error_setg(errp, "QMP input must be a JSON object");
        return false;
    }
    json_object_foreach(json, key, value) {
        if (g_str_equal(key, "execute") ||
            (g_str_equal(key, "exec-oob") && oob_enabled)) {
            if (!take_command(req, key, value, errp)) {
                return false;
            }
        } else if (g_str_equal(key, "arguments")) {
            if (!json_is_object(value)) {
                error_setg(errp, "QMP input member 'arguments' must be an "
                           "object");
                return false;
            }
            req->args = value;
        } else if (!g_str_equal(key, "id")) {
            error_setg(errp, "QMP input member '%s' is unexpected", key);
            return false;
        }
    }
    if (!req->command) {
        error_setg(errp, "QMP input lacks member 'execute'");
        return false;
    }
    return true;
}

bool qmp_request_is_oob(json_t *json)
{
    return json_object_get(json, "exec-oob") &&
           !json_object_get(json, "execute");
}

/* Find the command of @req and check that it may run now and this way. */
static const QapiCommand *find_command(const QmpRequest *req, bool negotiated,
                                       GError **errp)
{
    bool is_negotiation = g_str_equal(req->command, "qmp_capabilities");
    const QapiCommand *cmd = qapi_command_find(req->command);

    if (!negotiated && !is_negotiation) {
        error_set_class(errp, ERROR_CLASS_COMMAND_NOT_FOUND,
                        "Expecting capabilities negotiation with "
                        "'qmp_capabilities'");
        return NULL;
    }
    if (!cmd) {
        error_set_class(errp, ERROR_CLASS_COMMAND_NOT_FOUND,
                        "The command %s has not been found", req->command);
        return NULL;
    }
    if (negotiated && is_negotiation) {
        error_set_class(errp, ERROR_CLASS_COMMAND_NOT_FOUND,
                        "Capabilities negotiation is already complete, "
                        "command ignored");
        return NULL;
    }
    if (req->oob && !(cmd->flags & QAPI_COMMAND_ALLOW_OOB)) {
        error_setg(errp, "The command %s does not support OOB", cmd->name);
        return NULL;
    }
    return cmd;
}

static void add_id(json_t *response, json_t *id)
{
    if (id) {
        json_object_set(response, "id", id);
    }
}

json_t *qmp_error_response(const GError *err, json_t *id)
{
    g_autofree char *desc = g_utf8_make_valid(err->message, -1);
    json_t *response;

    response = json_pack("{s:{s:s, s:s}}", "error",
                         "class", error_class_name(err), "desc", desc);
    add_id(response, id);
    return response;
}

json_t *coroutine_fn qmp_dispatch(json_t *json, bool negotiated,
                                  bool oob_enabled)
{
    json_t *id = json_object_get(json, "id");
    g_autoptr(GError) err = NULL;
    const QapiCommand *cmd = NULL;
    json_t *result = NULL, *response;
    QmpRequest req;

    if (qmp_request_parse(json, oob_enabled, &req, &err)) {
        cmd = find_command(&req, negotiated, &err);
    }
    if (cmd) {
        trace_event(qmp_command, "%s", cmd->name);
        result = cmd->marshal(req.args, &err);
    }
    if (!result) {
        return qmp_error_response(err, id);
    }
    response = json_pack("{s:o}", "return", result);
    add_id(response, id);
    return response;
}

json_t *qmp_greeting(void)
{
    return json_pack("{s:{s:{s:{s:i, s:i, s:i}, s:s}, s:[s]}}", "QMP",
                     "version", "qemu", "micro", QMP_QEMU_MICRO,
                     "minor", QMP_QEMU_MINOR, "major", QMP_QEMU_MAJOR,
                     "package", "colo-block " COLO_VERSION,
                     "capabilities", "oob");
}

json_t *qmp_event(const char *name, json_t *data)
{
    int64_t now_us = g_get_real_time();
    json_t *event;

    event = json_pack("{s:{s:I, s:I}, s:s}", "timestamp",
                      "seconds", (json_int_t)(now_us / G_USEC_PER_SEC),
                      "microseconds", (json_int_t)(now_us % G_USEC_PER_SEC),
                      "event", name);
    if (data) {
        json_object_set(event, "data", data);
    }
    return event;
}
