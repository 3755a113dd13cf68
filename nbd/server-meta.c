/*
 * NBD server: LIST_META_CONTEXT and SET_META_CONTEXT
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "server-int.h"

static const char *const meta_names[NBD_META_ID__MAX] = {
    [NBD_META_ID_BASE_ALLOCATION] = NBD_META_BASE_ALLOCATION,
    [NBD_META_ID_ALLOCATION_DEPTH] = NBD_META_QEMU_ALLOCATION_DEPTH,
};

static bool meta_offered(const NBDExport *exp, unsigned id)
{
    return id == NBD_META_ID_BASE_ALLOCATION || exp->allocation_depth;
}

/* "base:" and "qemu:" stand for all of that namespace, when listing. */
static bool meta_query_matches(const char *query, unsigned id, bool list)
{
    const char *name = meta_names[id];
    size_t namespace_len = strchr(name, ':') + 1 - name;

    if (list && strlen(query) == namespace_len) {
        return strncmp(query, name, namespace_len) == 0;
    }
    return strcmp(query, name) == 0;
}

static void meta_reply(NBDConnection *conn, uint32_t option, unsigned id)
{
    size_t len = strlen(meta_names[id]);
    g_autofree uint8_t *data = g_malloc(NBD_CONTEXT_ID_SIZE + len);

    /* The number only means something once it is set. */
    nbd_put32(data, option == NBD_OPT_SET_META_CONTEXT ? id : 0);
    memcpy(data + NBD_CONTEXT_ID_SIZE, meta_names[id], len);
    nbd_option_reply(conn, option, NBD_REP_META_CONTEXT, data,
                     NBD_CONTEXT_ID_SIZE + len);
}

/* Mark what the queries ask for; false when they are malformed. */
static bool meta_parse_queries(NBDParser *in, const NBDExport *exp, bool list,
                               bool *wanted)
{
    uint32_t n = nbd_parse_u32(in);
    unsigned id;

    if (n == 0 && list) {
        for (id = 0; id < NBD_META_ID__MAX; id++) {
            wanted[id] = meta_offered(exp, id);
        }
    }
    while (n-- > 0 && !in->failed) {
        g_autofree char *query = nbd_parse_string(in, nbd_parse_u32(in));

        for (id = 0; query && id < NBD_META_ID__MAX; id++) {
            if (meta_offered(exp, id) &&
                meta_query_matches(query, id, list)) {
                wanted[id] = true;
            }
        }
    }
    return !in->failed && in->left == 0;
}

NBDOptionResult nbd_option_meta_context(NBDConnection *conn, uint32_t option,
                                        NBDParser *in)
{
    g_autofree char *name = NULL;
    bool list = option == NBD_OPT_LIST_META_CONTEXT;
    bool wanted[NBD_META_ID__MAX] = { false };
    NBDExport *exp;
    unsigned id;

    if (!conn->structured) {
        nbd_option_reply_error(conn, option, NBD_REP_ERR_INVALID,
                               "request option '%s' when structured reply "
                               "is not negotiated", nbd_opt_name(option));
        return NBD_OPTION_NEXT;
    }
    if (!list) {
        /* Whatever comes of this one, the last one is void. */
        memset(conn->meta, 0, sizeof(conn->meta));
        g_clear_pointer(&conn->meta_export, g_free);
    }

    name = nbd_parse_string(in, nbd_parse_u32(in));
    if (!name) {
        goto malformed;
    }
    exp = nbd_server_find_export(conn->server, name);
    if (!exp) {
        nbd_option_reply_error(conn, option, NBD_REP_ERR_UNKNOWN,
                               "export '%s' not present", name);
        return NBD_OPTION_NEXT;
    }
    if (!meta_parse_queries(in, exp, list, wanted)) {
        goto malformed;
    }

    for (id = 0; id < NBD_META_ID__MAX; id++) {
        if (wanted[id]) {
            meta_reply(conn, option, id);
        }
    }
    if (!list) {
        memcpy(conn->meta, wanted, sizeof(conn->meta));
        conn->meta_export = g_steal_pointer(&name);
    }
    nbd_option_reply(conn, option, NBD_REP_ACK, NULL, 0);
    return NBD_OPTION_NEXT;

malformed:
    nbd_option_reply_error(conn, option, NBD_REP_ERR_INVALID,
                           "malformed query for meta contexts");
    return NBD_OPTION_NEXT;
}
