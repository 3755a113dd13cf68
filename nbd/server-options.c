/*
 * NBD server: what the options of the negotiation do
 *
 * No I/O here: an option's data comes complete, replies go to
 * conn->option_out.  Whatever the client sent wrong gets an error reply that
 * says so; only what cannot be answered ends the connection.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "server-int.h"

/* Parsing */

static const uint8_t *nbd_parse_bytes(NBDParser *in, size_t bytes)
{
    const uint8_t *p = in->p;

    if (in->failed || bytes > in->left) {
        in->failed = true;
        return NULL;
    }
    in->p += bytes;
    in->left -= bytes;
    return p;
}

uint16_t nbd_parse_u16(NBDParser *in)
{
    const uint8_t *p = nbd_parse_bytes(in, 2);

    return p ? nbd_get16(p) : 0;
}

uint32_t nbd_parse_u32(NBDParser *in)
{
    const uint8_t *p = nbd_parse_bytes(in, 4);

    return p ? nbd_get32(p) : 0;
}

char *nbd_parse_string(NBDParser *in, uint32_t length)
{
    const uint8_t *p = NULL;

    if (length <= NBD_MAX_STRING_SIZE) {
        p = nbd_parse_bytes(in, length);
    }
    if (!p || memchr(p, '\0', length) ||
        !g_utf8_validate_len((const char *)p, length, NULL)) {
        in->failed = true;
        return NULL;
    }
    return g_strndup((const char *)p, length);
}

/* Replies */

void nbd_option_reply(NBDConnection *conn, uint32_t option, uint32_t type,
                      const void *data, size_t length)
{
    uint8_t header[NBD_OPTION_REPLY_SIZE];

    nbd_option_reply_encode(header, option, type, length);
    g_byte_array_append(conn->option_out, header, sizeof(header));
    if (length > 0) {
        g_byte_array_append(conn->option_out, data, length);
    }
}

void nbd_option_reply_error(NBDConnection *conn, uint32_t option,
                            uint32_t type, const char *fmt, ...)
{
    g_autofree char *text = NULL;
    va_list ap;

    va_start(ap, fmt);
    text = g_strdup_vprintf(fmt, ap);
    va_end(ap);
    /* A name of the greatest length in it must not make it too long. */
    nbd_option_reply(conn, option, type, text,
                     MIN(strlen(text), NBD_MAX_STRING_SIZE));
}

static NBDOptionResult nbd_option_ack(NBDConnection *conn, uint32_t option)
{
    nbd_option_reply(conn, option, NBD_REP_ACK, NULL, 0);
    return NBD_OPTION_NEXT;
}

static NBDOptionResult nbd_option_invalid(NBDConnection *conn,
                                          uint32_t option, const char *text)
{
    nbd_option_reply_error(conn, option, NBD_REP_ERR_INVALID, "%s", text);
    return NBD_OPTION_NEXT;
}

/* Exports */

uint16_t nbd_connection_export_flags(const NBDConnection *conn,
                                     const NBDExport *exp)
{
    uint16_t flags = NBD_FLAG_HAS_FLAGS | NBD_FLAG_SEND_FLUSH |
                     NBD_FLAG_SEND_FUA | NBD_FLAG_SEND_CACHE;

    if (exp->read_only) {
        flags |= NBD_FLAG_READ_ONLY;
    } else {
        flags |= NBD_FLAG_SEND_TRIM | NBD_FLAG_SEND_WRITE_ZEROES |
                 NBD_FLAG_SEND_FAST_ZERO;
    }
    /*
     * All connections share one graph, so a flush on one covers what
     * completed on the others; only nobody shall be told to open a second
     * connection that would have to wait for the first one's end.
     */
    if (nbd_server_max_connections(conn->server) != 1) {
        flags |= NBD_FLAG_CAN_MULTI_CONN;
    }
    if (conn->structured) {
        flags |= NBD_FLAG_SEND_DF;
    }
    return flags;
}

/* The client has chosen @exp. */
static NBDOptionResult nbd_option_chosen(NBDConnection *conn, NBDExport *exp)
{
    if (g_strcmp0(conn->meta_export, exp->name) != 0) {
        memset(conn->meta, 0, sizeof(conn->meta));
    }
    exp->ops->ref(exp);
    conn->exp = exp;
    LIST_INSERT_HEAD(&exp->connections, conn, next_in_export);
    return NBD_OPTION_TRANSMIT;
}

static NBDOptionResult nbd_option_export_name(NBDConnection *conn,
                                              NBDParser *in)
{
    g_autofree char *name = nbd_parse_string(in, in->left);
    uint8_t reply[NBD_EXPORT_NAME_REPLY_SIZE + NBD_RESERVED_ZEROES] = { 0 };
    NBDExport *exp;

    if (!name) {
        nbd_connection_fail(conn, "bad export name");
        return NBD_OPTION_CLOSE;
    }
    exp = nbd_server_find_export(conn->server, name);
    if (!exp) {
        nbd_connection_fail(conn, "export '%s' not present", name);
        return NBD_OPTION_CLOSE;
    }
    nbd_put64(reply, exp->size);
    nbd_put16(reply + 8, nbd_connection_export_flags(conn, exp));
    g_byte_array_append(conn->option_out, reply,
                        conn->no_zeroes ? NBD_EXPORT_NAME_REPLY_SIZE :
                        sizeof(reply));
    return nbd_option_chosen(conn, exp);
}

static NBDOptionResult nbd_option_list(NBDConnection *conn, NBDParser *in)
{
    NBDExport *exp = NULL;

    if (in->left > 0) {
        return nbd_option_invalid(conn, NBD_OPT_LIST,
                                  "option 'list' takes no data");
    }
    while ((exp = nbd_server_next_export(conn->server, exp))) {
        g_autoptr(GByteArray) data = g_byte_array_new();
        uint8_t length[4];

        nbd_put32(length, strlen(exp->name));
        g_byte_array_append(data, length, sizeof(length));
        g_byte_array_append(data, (const uint8_t *)exp->name,
                            strlen(exp->name));
        if (exp->description) {
            g_byte_array_append(data, (const uint8_t *)exp->description,
                                strlen(exp->description));
        }
        nbd_option_reply(conn, NBD_OPT_LIST, NBD_REP_SERVER, data->data,
                         data->len);
    }
    return nbd_option_ack(conn, NBD_OPT_LIST);
}

/* INFO and GO */

static void nbd_reply_info_text(NBDConnection *conn, uint32_t option,
                                uint16_t kind, const char *text)
{
    size_t len = strlen(text);
    g_autofree uint8_t *data = g_malloc(2 + len);

    nbd_put16(data, kind);
    memcpy(data + 2, text, len);
    nbd_option_reply(conn, option, NBD_REP_INFO, data, 2 + len);
}

/*
 * The smallest block only means something to clients that asked for it (or
 * that just look); the others may send anything.
 */
static void nbd_reply_info_block_size(NBDConnection *conn, uint32_t option,
                                      const NBDExport *exp, bool asked)
{
    uint8_t data[NBD_INFO_BLOCK_SIZE_SIZE];
    uint32_t min_block = asked || option == NBD_OPT_INFO ? exp->min_block : 1;

    nbd_put16(data, NBD_INFO_BLOCK_SIZE);
    nbd_put32(data + 2, min_block);
    nbd_put32(data + 6, exp->opt_block);
    nbd_put32(data + 10, NBD_MAX_BUFFER_SIZE);
    nbd_option_reply(conn, option, NBD_REP_INFO, data, sizeof(data));
}

static void nbd_reply_info_export(NBDConnection *conn, uint32_t option,
                                  const NBDExport *exp)
{
    uint8_t data[NBD_INFO_EXPORT_SIZE];

    nbd_put16(data, NBD_INFO_EXPORT);
    nbd_put64(data + 2, exp->size);
    nbd_put16(data + 10, nbd_connection_export_flags(conn, exp));
    nbd_option_reply(conn, option, NBD_REP_INFO, data, sizeof(data));
}

/* The kinds of information asked for as a set of bits; unknown ones: none. */
static unsigned nbd_parse_info_kinds(NBDParser *in)
{
    unsigned n = nbd_parse_u16(in), kinds = 0;

    while (n-- > 0 && !in->failed) {
        uint16_t kind = nbd_parse_u16(in);

        if (kind <= NBD_INFO_BLOCK_SIZE) {
            kinds |= 1u << kind;
        }
    }
    return kinds;
}

static NBDOptionResult nbd_option_info(NBDConnection *conn, uint32_t option,
                                       NBDParser *in)
{
    g_autofree char *name = nbd_parse_string(in, nbd_parse_u32(in));
    unsigned kinds = nbd_parse_info_kinds(in);
    NBDExport *exp;

    if (in->failed || in->left > 0) {
        return nbd_option_invalid(conn, option,
                                  "malformed request for an export");
    }
    exp = nbd_server_find_export(conn->server, name);
    if (!exp) {
        nbd_option_reply_error(conn, option, NBD_REP_ERR_UNKNOWN,
                               "export '%s' not present", name);
        return NBD_OPTION_NEXT;
    }

    if (kinds & 1u << NBD_INFO_NAME) {
        nbd_reply_info_text(conn, option, NBD_INFO_NAME, exp->name);
    }
    if ((kinds & 1u << NBD_INFO_DESCRIPTION) && exp->description) {
        nbd_reply_info_text(conn, option, NBD_INFO_DESCRIPTION,
                            exp->description);
    }
    nbd_reply_info_block_size(conn, option, exp,
                              kinds & 1u << NBD_INFO_BLOCK_SIZE);
    nbd_reply_info_export(conn, option, exp);
    nbd_option_ack(conn, option);
    return option == NBD_OPT_GO ? nbd_option_chosen(conn, exp) :
                                  NBD_OPTION_NEXT;
}

/* Switches */

static NBDOptionResult nbd_option_starttls(NBDConnection *conn,
                                           NBDParser *in)
{
    if (in->left > 0) {
        return nbd_option_invalid(conn, NBD_OPT_STARTTLS,
                                  "option 'starttls' takes no data");
    }
    if (conn->tls) {
        return nbd_option_invalid(conn, NBD_OPT_STARTTLS,
                                  "TLS already enabled");
    }
    if (!nbd_server_creds(conn->server)) {
        nbd_option_reply_error(conn, NBD_OPT_STARTTLS, NBD_REP_ERR_POLICY,
                               "TLS not configured");
        return NBD_OPTION_NEXT;
    }
    /* What was agreed in the clear may have been tampered with. */
    conn->structured = false;
    memset(conn->meta, 0, sizeof(conn->meta));
    g_clear_pointer(&conn->meta_export, g_free);
    nbd_option_ack(conn, NBD_OPT_STARTTLS);
    return NBD_OPTION_START_TLS;
}

static NBDOptionResult nbd_option_structured(NBDConnection *conn,
                                             NBDParser *in)
{
    if (in->left > 0) {
        return nbd_option_invalid(conn, NBD_OPT_STRUCTURED_REPLY,
                                  "option 'structured reply' takes no data");
    }
    if (conn->structured) {
        return nbd_option_invalid(conn, NBD_OPT_STRUCTURED_REPLY,
                                  "structured reply already negotiated");
    }
    conn->structured = true;
    return nbd_option_ack(conn, NBD_OPT_STRUCTURED_REPLY);
}

/* Without TLS where TLS is demanded: nothing but the way to it. */
static NBDOptionResult nbd_option_before_tls(NBDConnection *conn,
                                             uint32_t option)
{
    if (option == NBD_OPT_EXPORT_NAME) {
        nbd_connection_fail(conn, "asks for an export without TLS");
        return NBD_OPTION_CLOSE;
    }
    nbd_option_reply_error(conn, option, NBD_REP_ERR_TLS_REQD,
                           "Option 0x%" PRIx32 " not permitted before TLS",
                           option);
    return NBD_OPTION_NEXT;
}

NBDOptionResult nbd_connection_option(NBDConnection *conn, uint32_t option,
                                      const uint8_t *data, uint32_t length)
{
    NBDParser in = { .p = data, .left = length };

    if (!conn->fixed_newstyle && option != NBD_OPT_EXPORT_NAME) {
        nbd_connection_fail(conn, "option %s without fixed newstyle",
                            nbd_opt_name(option));
        return NBD_OPTION_CLOSE;
    }
    if (nbd_server_creds(conn->server) && !conn->tls &&
        option != NBD_OPT_STARTTLS && option != NBD_OPT_ABORT) {
        return nbd_option_before_tls(conn, option);
    }

    switch (option) {
    case NBD_OPT_EXPORT_NAME:
        return nbd_option_export_name(conn, &in);
    case NBD_OPT_ABORT:
        nbd_option_ack(conn, option);
        return NBD_OPTION_CLOSE;
    case NBD_OPT_LIST:
        return nbd_option_list(conn, &in);
    case NBD_OPT_STARTTLS:
        return nbd_option_starttls(conn, &in);
    case NBD_OPT_INFO:
    case NBD_OPT_GO:
        return nbd_option_info(conn, option, &in);
    case NBD_OPT_STRUCTURED_REPLY:
        return nbd_option_structured(conn, &in);
    case NBD_OPT_LIST_META_CONTEXT:
    case NBD_OPT_SET_META_CONTEXT:
        return nbd_option_meta_context(conn, option, &in);
    default:
        nbd_option_reply_error(conn, option, NBD_REP_ERR_UNSUP,
                               "Unsupported option %" PRIu32 " (%s)", option,
                               nbd_opt_name(option));
        return NBD_OPTION_NEXT;
    }
}
