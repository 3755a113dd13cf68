/*
 * NBD client: negotiation
 *
 * Newstyle with NBD_OPT_GO as it should be, NBD_OPT_EXPORT_NAME with servers
 * that do not know GO, and the oldstyle greeting.  One question at a time;
 * lengths that the server sends are bounded before anything is read.  Time is
 * bounded by the caller, who shuts the channel down.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "nbd/client.h"

#include "nbd/protocol.h"
#include "util/trace.h"

/* Replies to one option that tell us nothing, before we lose patience */
#define NBD_MAX_REPLIES 1024

typedef struct Handshake {
    IOChannel *ioc;             /* owned; TLS takes the plain one's place */
    const NBDClientParams *params;
    NBDExportInfo *info;
    bool fixed_newstyle;
    bool no_zeroes;
} Handshake;

typedef enum OptionResult {
    OPTION_BROKEN,              /* error set; the connection is unusable */
    OPTION_REFUSED,             /* error set; the server said no */
    OPTION_OK,
} OptionResult;

static const char *hs_export(const Handshake *hs)
{
    return hs->params->export ? hs->params->export : "";
}

/* Moving bytes */

static void error_set_io(GError **errp, int ret, const char *verb,
                         const char *what)
{
    if (ret == -ENODATA || (ret == -EPIPE && verb[0] == 'r')) {
        error_setg(errp, "Failed to %s %s: Unexpected end-of-file before all "
                   "data were read", verb, what);
    } else {
        error_setg_errno(errp, -ret, "Failed to %s %s", verb, what);
    }
}

static bool coroutine_fn hs_read(Handshake *hs, void *buf, size_t bytes,
                                 const char *what, GError **errp)
{
    int ret = io_channel_co_read_full(hs->ioc, buf, bytes);

    if (ret < 0) {
        error_set_io(errp, ret, "read", what);
        return false;
    }
    return true;
}

static bool coroutine_fn hs_skip(Handshake *hs, uint32_t bytes, GError **errp)
{
    uint8_t buf[256];

    while (bytes) {
        uint32_t n = MIN(bytes, sizeof(buf));

        if (!hs_read(hs, buf, n, "option reply", errp)) {
            return false;
        }
        bytes -= n;
    }
    return true;
}

static bool coroutine_fn hs_write(Handshake *hs, const void *buf, size_t bytes,
                                  const char *what, GError **errp)
{
    int ret = io_channel_co_write_full(hs->ioc, buf, bytes);

    if (ret < 0) {
        error_set_io(errp, ret, "send", what);
        return false;
    }
    return true;
}

static bool coroutine_fn hs_send_option(Handshake *hs, uint32_t option,
                                        const GByteArray *data, GError **errp)
{
    uint32_t length = data ? data->len : 0;
    g_autoptr(GByteArray) msg = g_byte_array_sized_new(NBD_OPTION_SIZE +
                                                       length);

    trace_event(nbd_send_option, "option %" PRIu32 " (%s), %" PRIu32 " bytes",
                option, nbd_opt_name(option), length);
    g_byte_array_set_size(msg, NBD_OPTION_SIZE);
    nbd_option_encode(msg->data, option, length);
    if (length) {
        g_byte_array_append(msg, data->data, length);
    }
    return hs_write(hs, msg->data, msg->len, "option request", errp);
}

/* Replies to options */

static void error_set_refusal(GError **errp, const NBDOptionReply *reply,
                              const char *message)
{
    const char *name = nbd_opt_name(reply->option);
    g_autofree char *hint = message
        ? g_strdup_printf("\nserver reported: %s", message) : g_strdup("");

    switch (reply->type) {
    case NBD_REP_ERR_UNSUP:
        error_setg(errp, "Unsupported option %" PRIu32 " (%s)%s",
                   reply->option, name, hint);
        break;
    case NBD_REP_ERR_POLICY:
        error_setg(errp, "Denied by server for option %" PRIu32 " (%s)%s",
                   reply->option, name, hint);
        break;
    case NBD_REP_ERR_INVALID:
        error_setg(errp, "Invalid parameters for option %" PRIu32 " (%s)%s",
                   reply->option, name, hint);
        break;
    case NBD_REP_ERR_PLATFORM:
        error_setg(errp, "Server lacks support for option %" PRIu32 " (%s)%s",
                   reply->option, name, hint);
        break;
    case NBD_REP_ERR_TLS_REQD:
        error_setg(errp, "TLS negotiation required before option %" PRIu32
                   " (%s)\nDid you forget a valid tls-creds?%s",
                   reply->option, name, hint);
        break;
    case NBD_REP_ERR_UNKNOWN:
        error_setg(errp, "Requested export not available%s", hint);
        break;
    case NBD_REP_ERR_SHUTDOWN:
        error_setg(errp, "Server shutting down before option %" PRIu32
                   " (%s)%s", reply->option, name, hint);
        break;
    case NBD_REP_ERR_BLOCK_SIZE_REQD:
        error_setg(errp, "Server requires INFO_BLOCK_SIZE for option %" PRIu32
                   " (%s)%s", reply->option, name, hint);
        break;
    default:
        error_setg(errp, "Unknown error code %" PRIu32 " when asking for "
                   "option %" PRIu32 " (%s)%s", reply->type & ~NBD_REP_ERR(0),
                   reply->option, name, hint);
    }
}

/* Make text from the network fit for a terminal and a log line. */
static char *sanitize(const char *text, size_t len)
{
    g_autofree char *valid = g_utf8_make_valid(text, len);

    for (char *p = valid; *p; p++) {
        if ((unsigned char)*p < 0x20 || *p == 0x7f) {
            *p = ' ';
        }
    }
    return g_strchomp(g_steal_pointer(&valid));
}

static OptionResult coroutine_fn hs_refused(Handshake *hs,
                                            const NBDOptionReply *reply,
                                            GError **errp)
{
    g_autofree char *text = NULL;
    g_autofree char *message = NULL;

    if (reply->length > NBD_MAX_STRING_SIZE) {
        error_setg(errp, "server error %" PRIu32 " (%s) message is too long",
                   reply->type, nbd_rep_name(reply->type));
        return OPTION_BROKEN;
    }
    if (reply->length) {
        text = g_malloc(reply->length);
        if (!hs_read(hs, text, reply->length, "option error message", errp)) {
            return OPTION_BROKEN;
        }
        message = sanitize(text, reply->length);
    }
    error_set_refusal(errp, reply, message);
    return OPTION_REFUSED;
}

/* The next reply to @option.  With OPTION_OK its data are still to be read. */
static OptionResult coroutine_fn hs_reply(Handshake *hs, uint32_t option,
                                          NBDOptionReply *reply, GError **errp)
{
    uint8_t buf[NBD_OPTION_REPLY_SIZE];

    if (!hs_read(hs, buf, sizeof(buf), "option reply", errp)) {
        return OPTION_BROKEN;
    }
    *reply = nbd_option_reply_decode(buf);
    trace_event(nbd_receive_option_reply, "option %" PRIu32 " (%s), type %"
                PRIu32 " (%s), %" PRIu32 " bytes", reply->option,
                nbd_opt_name(reply->option), reply->type,
                nbd_rep_name(reply->type), reply->length);

    if (reply->magic != NBD_REP_MAGIC) {
        error_setg(errp, "Unexpected option reply magic");
        return OPTION_BROKEN;
    }
    if (reply->option != option) {
        error_setg(errp, "Unexpected option type %" PRIu32 " (%s), expected %"
                   PRIu32 " (%s)", reply->option, nbd_opt_name(reply->option),
                   option, nbd_opt_name(option));
        return OPTION_BROKEN;
    }
    if (reply->type & NBD_REP_ERR(0)) {
        return hs_refused(hs, reply, errp);
    }
    if (reply->type == NBD_REP_ACK && reply->length) {
        error_setg(errp, "Unexpected length to ACK response of option %"
                   PRIu32 " (%s)", option, nbd_opt_name(option));
        return OPTION_BROKEN;
    }
    if (reply->length > NBD_MAX_OPTION_SIZE) {
        error_setg(errp, "Reply to option %" PRIu32 " (%s) is too long: %"
                   PRIu32 " bytes", option, nbd_opt_name(option),
                   reply->length);
        return OPTION_BROKEN;
    }
    return OPTION_OK;
}

/* An option without data, answered by ACK or not supported. */
static OptionResult coroutine_fn hs_simple_option(Handshake *hs,
                                                  uint32_t option,
                                                  GError **errp)
{
    NBDOptionReply reply;
    OptionResult res;

    if (!hs_send_option(hs, option, NULL, errp)) {
        return OPTION_BROKEN;
    }
    res = hs_reply(hs, option, &reply, errp);
    if (res == OPTION_OK && reply.type != NBD_REP_ACK) {
        error_setg(errp, "Server answered option %" PRIu32 " (%s) with "
                   "unexpected reply %" PRIu32 " (%s)", option,
                   nbd_opt_name(option), reply.type, nbd_rep_name(reply.type));
        return OPTION_BROKEN;
    }
    return res;
}

/* The options, in the order in which they are asked for */

static bool coroutine_fn hs_starttls(Handshake *hs, GError **errp)
{
    IOChannel *tls;

    if (!hs->fixed_newstyle) {
        error_setg(errp, "Server does not support STARTTLS");
        return false;
    }
    if (hs_simple_option(hs, NBD_OPT_STARTTLS, errp) != OPTION_OK) {
        return false;
    }
    tls = io_channel_tls_co_client(hs->ioc, hs->params->tls_creds,
                                   hs->params->tls_hostname, errp);
    if (!tls) {
        return false;
    }
    io_channel_unref(hs->ioc);
    hs->ioc = tls;
    hs->info->tls = true;
    return true;
}

static bool coroutine_fn hs_structured_reply(Handshake *hs, GError **errp)
{
    g_autoptr(GError) err = NULL;

    switch (hs_simple_option(hs, NBD_OPT_STRUCTURED_REPLY, &err)) {
    case OPTION_OK:
        hs->info->structured_reply = true;
        return true;
    case OPTION_REFUSED:
        return true;            /* simple replies do as well */
    default:
        g_propagate_error(errp, g_steal_pointer(&err));
        return false;
    }
}

static void append16(GByteArray *data, uint16_t v)
{
    uint8_t buf[2];

    nbd_put16(buf, v);
    g_byte_array_append(data, buf, sizeof(buf));
}

static void append32(GByteArray *data, uint32_t v)
{
    uint8_t buf[4];

    nbd_put32(buf, v);
    g_byte_array_append(data, buf, sizeof(buf));
}

static void append_string(GByteArray *data, const char *str)
{
    append32(data, strlen(str));
    g_byte_array_append(data, (const uint8_t *)str, strlen(str));
}

static bool coroutine_fn hs_read_context(Handshake *hs,
                                         const NBDOptionReply *reply,
                                         const char *context, GError **errp)
{
    uint8_t id[NBD_CONTEXT_ID_SIZE];
    g_autofree char *name = NULL;
    uint32_t len;

    if (reply->type != NBD_REP_META_CONTEXT || reply->length <= sizeof(id) ||
        reply->length > sizeof(id) + NBD_MAX_STRING_SIZE) {
        error_setg(errp, "Failed to negotiate query '%s', server answered "
                   "with unexpected reply %" PRIu32 " (%s) of %" PRIu32
                   " bytes", context, reply->type, nbd_rep_name(reply->type),
                   reply->length);
        return false;
    }
    len = reply->length - sizeof(id);
    name = g_malloc0(len + 1);
    if (!hs_read(hs, id, sizeof(id), "context id", errp) ||
        !hs_read(hs, name, len, "context name", errp)) {
        return false;
    }
    if (strlen(name) != len || strcmp(name, context)) {
        g_autofree char *shown = sanitize(name, len);

        error_setg(errp, "Failed to negotiate query '%s', server answered "
                   "with different context '%s'", context, shown);
        return false;
    }
    if (hs->info->has_context) {
        error_setg(errp, "Failed to negotiate query '%s', server answered "
                   "with more than one context", context);
        return false;
    }
    hs->info->has_context = true;
    hs->info->context_id = nbd_get32(id);
    return true;
}

static bool coroutine_fn hs_set_meta_context(Handshake *hs, GError **errp)
{
    const char *context = hs->params->meta_context
        ? hs->params->meta_context : NBD_META_BASE_ALLOCATION;
    g_autoptr(GByteArray) data = g_byte_array_new();
    g_autoptr(GError) err = NULL;
    NBDOptionReply reply;
    OptionResult res;

    append_string(data, hs_export(hs));
    append32(data, 1);
    append_string(data, context);
    if (!hs_send_option(hs, NBD_OPT_SET_META_CONTEXT, data, errp)) {
        return false;
    }
    while ((res = hs_reply(hs, NBD_OPT_SET_META_CONTEXT, &reply, &err)) ==
           OPTION_OK) {
        if (reply.type == NBD_REP_ACK) {
            return true;
        }
        if (!hs_read_context(hs, &reply, context, errp)) {
            return false;
        }
    }
    if (res == OPTION_REFUSED) {
        hs->info->has_context = false;
        return true;            /* everything is data then */
    }
    g_propagate_error(errp, g_steal_pointer(&err));
    return false;
}

static bool hs_check_block_sizes(const NBDExportInfo *info, GError **errp)
{
    if (info->min_block < 1 || info->min_block > 64 * KiB ||
        (info->min_block & (info->min_block - 1))) {
        error_setg(errp, "server minimum block size %" PRIu32 " is not a "
                   "power of two up to 65536", info->min_block);
        return false;
    }
    if (info->opt_block < info->min_block ||
        (info->opt_block & (info->opt_block - 1))) {
        error_setg(errp, "server preferred block size %" PRIu32 " is not a "
                   "power of two or below the minimum block size",
                   info->opt_block);
        return false;
    }
    if (info->max_block < info->min_block) {
        error_setg(errp, "server maximum block size %" PRIu32 " is below the "
                   "minimum block size %" PRIu32, info->max_block,
                   info->min_block);
        return false;
    }
    return true;
}

static bool coroutine_fn hs_read_info(Handshake *hs, uint32_t length,
                                      bool *have_export, GError **errp)
{
    uint8_t buf[NBD_INFO_BLOCK_SIZE_SIZE];
    NBDExportInfo *info = hs->info;
    uint16_t type;

    if (length < 2) {
        error_setg(errp, "invalid length %" PRIu32 " of NBD_REP_INFO", length);
        return false;
    }
    if (!hs_read(hs, buf, 2, "info type", errp)) {
        return false;
    }
    type = nbd_get16(buf);
    if ((type == NBD_INFO_EXPORT && length != NBD_INFO_EXPORT_SIZE) ||
        (type == NBD_INFO_BLOCK_SIZE && length != NBD_INFO_BLOCK_SIZE_SIZE)) {
        error_setg(errp, "invalid length %" PRIu32 " of info %u (%s)", length,
                   type, nbd_info_name(type));
        return false;
    }
    if (type != NBD_INFO_EXPORT && type != NBD_INFO_BLOCK_SIZE) {
        return hs_skip(hs, length - 2, errp);
    }
    if (!hs_read(hs, buf + 2, length - 2, "info", errp)) {
        return false;
    }
    if (type == NBD_INFO_EXPORT) {
        info->size = nbd_get64(buf + 2);
        info->flags = nbd_get16(buf + 10);
        *have_export = true;
        return true;
    }
    info->min_block = nbd_get32(buf + 2);
    info->opt_block = nbd_get32(buf + 6);
    info->max_block = nbd_get32(buf + 10);
    return hs_check_block_sizes(info, errp);
}

/* Read what GO answers.  False without an error: GO is not supported. */
static bool coroutine_fn hs_go_replies(Handshake *hs, bool *unsupported,
                                       GError **errp)
{
    bool have_export = false;
    NBDOptionReply reply;

    for (int i = 0; i < NBD_MAX_REPLIES; i++) {
        g_autoptr(GError) err = NULL;
        OptionResult res = hs_reply(hs, NBD_OPT_GO, &reply, &err);

        if (res == OPTION_REFUSED && reply.type == NBD_REP_ERR_UNSUP) {
            *unsupported = true;
            return false;
        }
        if (res != OPTION_OK) {
            g_propagate_error(errp, g_steal_pointer(&err));
            return false;
        }
        if (reply.type == NBD_REP_ACK) {
            if (!have_export) {
                error_setg(errp, "broken server omitted NBD_INFO_EXPORT");
            }
            return have_export;
        }
        if (reply.type != NBD_REP_INFO) {
            error_setg(errp, "unexpected reply type %" PRIu32 " (%s), "
                       "expected %u (%s)", reply.type,
                       nbd_rep_name(reply.type), NBD_REP_INFO,
                       nbd_rep_name(NBD_REP_INFO));
            return false;
        }
        if (!hs_read_info(hs, reply.length, &have_export, errp)) {
            return false;
        }
    }
    error_setg(errp, "server sends no end of replies to option %u (%s)",
               NBD_OPT_GO, nbd_opt_name(NBD_OPT_GO));
    return false;
}

static bool coroutine_fn hs_go(Handshake *hs, bool *unsupported, GError **errp)
{
    g_autoptr(GByteArray) data = g_byte_array_new();

    append_string(data, hs_export(hs));
    append16(data, 1);
    append16(data, NBD_INFO_BLOCK_SIZE);
    return hs_send_option(hs, NBD_OPT_GO, data, errp) &&
           hs_go_replies(hs, unsupported, errp);
}

/* The old way: an unknown export ends the connection without a word. */
static bool coroutine_fn hs_export_name(Handshake *hs, GError **errp)
{
    const char *name = hs_export(hs);
    g_autoptr(GByteArray) data = g_byte_array_new();
    uint8_t buf[NBD_EXPORT_NAME_REPLY_SIZE];

    g_byte_array_append(data, (const uint8_t *)name, strlen(name));
    if (!hs_send_option(hs, NBD_OPT_EXPORT_NAME, data, errp) ||
        !hs_read(hs, buf, sizeof(buf), "export length", errp)) {
        return false;
    }
    hs->info->size = nbd_get64(buf);
    hs->info->flags = nbd_get16(buf + 8);
    return hs->no_zeroes || hs_skip(hs, NBD_RESERVED_ZEROES, errp);
}

/* The two greetings */

static bool coroutine_fn hs_oldstyle(Handshake *hs, GError **errp)
{
    uint8_t buf[8 + 4];
    uint32_t flags;

    if (hs->params->tls_creds) {
        error_setg(errp, "Server does not support STARTTLS");
        return false;
    }
    if (*hs_export(hs)) {
        error_setg(errp, "Server does not support non-empty export names");
        return false;
    }
    if (!hs_read(hs, buf, sizeof(buf), "export length", errp)) {
        return false;
    }
    hs->info->size = nbd_get64(buf);
    flags = nbd_get32(buf + 8);
    if (flags & ~UINT32_C(0xffff)) {
        error_setg(errp, "Unexpected export flags 0x%" PRIx32, flags);
        return false;
    }
    hs->info->flags = flags;
    return hs_skip(hs, NBD_RESERVED_ZEROES, errp);
}

static bool coroutine_fn hs_options(Handshake *hs, GError **errp)
{
    bool unsupported = false;

    if (hs->params->tls_creds && !hs_starttls(hs, errp)) {
        return false;
    }
    if (!hs->fixed_newstyle) {
        return hs_export_name(hs, errp);
    }
    if (!hs_structured_reply(hs, errp) ||
        (hs->info->structured_reply && !hs_set_meta_context(hs, errp))) {
        return false;
    }
    if (hs_go(hs, &unsupported, errp)) {
        return true;
    }
    return unsupported && hs_export_name(hs, errp);
}

static bool coroutine_fn hs_newstyle(Handshake *hs, GError **errp)
{
    uint8_t buf[NBD_CLIENT_FLAGS_SIZE];
    uint16_t server_flags;
    uint32_t flags = 0;

    if (!hs_read(hs, buf, 2, "server flags", errp)) {
        return false;
    }
    server_flags = nbd_get16(buf);
    if (server_flags & NBD_FLAG_FIXED_NEWSTYLE) {
        hs->fixed_newstyle = true;
        flags |= NBD_FLAG_FIXED_NEWSTYLE;
    }
    if (server_flags & NBD_FLAG_NO_ZEROES) {
        hs->no_zeroes = true;
        flags |= NBD_FLAG_NO_ZEROES;
    }
    nbd_put32(buf, flags);
    return hs_write(hs, buf, sizeof(buf), "clientflags field", errp) &&
           hs_options(hs, errp);
}

static bool hs_check_size(const NBDExportInfo *info, GError **errp)
{
    if (info->size > INT64_MAX) {
        error_setg(errp, "export length %" PRIu64 " is too large",
                   info->size);
        return false;
    }
    if (info->min_block && info->size % info->min_block) {
        error_setg(errp, "export length %" PRIu64 " is not multiple of "
                   "minimum block size %" PRIu32, info->size,
                   info->min_block);
        return false;
    }
    return true;
}

static bool coroutine_fn hs_run(Handshake *hs, GError **errp)
{
    uint8_t buf[16];
    uint64_t magic;

    if (!hs_read(hs, buf, 8, "initial magic", errp)) {
        return false;
    }
    magic = nbd_get64(buf);
    if (magic != NBD_MAGIC) {
        error_setg(errp, "Bad initial magic received: 0x%" PRIx64, magic);
        return false;
    }
    if (!hs_read(hs, buf, 8, "server magic", errp)) {
        return false;
    }
    magic = nbd_get64(buf);
    if (magic == NBD_OPTS_MAGIC) {
        return hs_newstyle(hs, errp) && hs_check_size(hs->info, errp);
    }
    if (magic == NBD_CLIENT_MAGIC) {
        return hs_oldstyle(hs, errp) && hs_check_size(hs->info, errp);
    }
    error_setg(errp, "Bad server magic received: 0x%" PRIx64, magic);
    return false;
}

IOChannel *coroutine_fn
nbd_client_co_negotiate(IOChannel *plain, const NBDClientParams *params,
                        NBDExportInfo *info, GError **errp)
{
    Handshake hs = {
        .ioc = io_channel_ref(plain),
        .params = params,
        .info = info,
    };

    memset(info, 0, sizeof(*info));
    if (!hs_run(&hs, errp)) {
        io_channel_unref(hs.ioc);
        return NULL;
    }
    trace_event(nbd_negotiated, "export '%s': %" PRIu64 " bytes, flags 0x%x, "
                "block sizes %" PRIu32 "/%" PRIu32 "/%" PRIu32
                ", structured replies %d, context %d", hs_export(&hs),
                info->size, info->flags, info->min_block, info->opt_block,
                info->max_block, info->structured_reply, info->has_context);
    return hs.ioc;
}
