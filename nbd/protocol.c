/*
 * Names and error codes of the NBD protocol
 *
 * The protocol has a closed set of error numbers of its own; both ends
 * translate at the border.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "nbd/protocol.h"

typedef struct NBDErrno {
    uint32_t wire;
    int system;
    const char *name;
} NBDErrno;

static const NBDErrno nbd_errnos[] = {
    { NBD_SUCCESS, 0, "success" },
    { NBD_EPERM, EPERM, "EPERM" },
    { NBD_EIO, EIO, "EIO" },
    { NBD_ENOMEM, ENOMEM, "ENOMEM" },
    { NBD_EINVAL, EINVAL, "EINVAL" },
    { NBD_ENOSPC, ENOSPC, "ENOSPC" },
    { NBD_EOVERFLOW, EOVERFLOW, "EOVERFLOW" },
    { NBD_ENOTSUP, ENOTSUP, "ENOTSUP" },
    { NBD_ESHUTDOWN, ESHUTDOWN, "ESHUTDOWN" },
};

uint32_t nbd_errno_from_system(int err)
{
    switch (err) {
    case EROFS:
        return NBD_EPERM;
    case EDQUOT:
    case EFBIG:
        return NBD_ENOSPC;
#if ENOTSUP != EOPNOTSUPP
    case EOPNOTSUPP:
        return NBD_ENOTSUP;
#endif
    }
    for (size_t i = 0; i < ARRAY_SIZE(nbd_errnos); i++) {
        if (nbd_errnos[i].system == err) {
            return nbd_errnos[i].wire;
        }
    }
    /* Rather than EINVAL: the request was fine, the disk was not. */
    return NBD_EIO;
}

int nbd_errno_to_system(uint32_t err)
{
    for (size_t i = 0; i < ARRAY_SIZE(nbd_errnos); i++) {
        if (nbd_errnos[i].wire == err) {
            return nbd_errnos[i].system;
        }
    }
    return EINVAL;
}

const char *nbd_err_name(uint32_t err)
{
    for (size_t i = 0; i < ARRAY_SIZE(nbd_errnos); i++) {
        if (nbd_errnos[i].wire == err) {
            return nbd_errnos[i].name;
        }
    }
    return "<unknown>";
}

static const char *name_or_unknown(const char *const *names, size_t n,
                                   uint32_t i)
{
    return i < n && names[i] ? names[i] : "<unknown>";
}

const char *nbd_opt_name(uint32_t opt)
{
    static const char *const names[] = {
        [NBD_OPT_EXPORT_NAME] = "export name",
        [NBD_OPT_ABORT] = "abort",
        [NBD_OPT_LIST] = "list",
        [NBD_OPT_PEEK_EXPORT] = "peek export",
        [NBD_OPT_STARTTLS] = "starttls",
        [NBD_OPT_INFO] = "info",
        [NBD_OPT_GO] = "go",
        [NBD_OPT_STRUCTURED_REPLY] = "structured reply",
        [NBD_OPT_LIST_META_CONTEXT] = "list meta context",
        [NBD_OPT_SET_META_CONTEXT] = "set meta context",
        [NBD_OPT_EXTENDED_HEADERS] = "extended headers",
    };

    return name_or_unknown(names, ARRAY_SIZE(names), opt);
}

const char *nbd_rep_name(uint32_t rep)
{
    static const char *const names[] = {
        [NBD_REP_ACK] = "ack",
        [NBD_REP_SERVER] = "server",
        [NBD_REP_INFO] = "info",
        [NBD_REP_META_CONTEXT] = "meta context",
    };
    static const char *const errors[] = {
        [1] = "unsupported",
        [2] = "denied by policy",
        [3] = "invalid",
        [4] = "platform lacks support",
        [5] = "TLS required",
        [6] = "export unknown",
        [7] = "server shutting down",
        [8] = "block size required",
        [9] = "option payload too big",
        [10] = "extended headers required",
    };

    if (rep & NBD_REP_ERR(0)) {
        return name_or_unknown(errors, ARRAY_SIZE(errors),
                               rep & ~NBD_REP_ERR(0));
    }
    return name_or_unknown(names, ARRAY_SIZE(names), rep);
}

const char *nbd_info_name(uint16_t info)
{
    static const char *const names[] = {
        [NBD_INFO_EXPORT] = "export",
        [NBD_INFO_NAME] = "name",
        [NBD_INFO_DESCRIPTION] = "description",
        [NBD_INFO_BLOCK_SIZE] = "block size",
    };

    return name_or_unknown(names, ARRAY_SIZE(names), info);
}

const char *nbd_cmd_name(uint16_t cmd)
{
    static const char *const names[] = {
        [NBD_CMD_READ] = "read",
        [NBD_CMD_WRITE] = "write",
        [NBD_CMD_DISC] = "disconnect",
        [NBD_CMD_FLUSH] = "flush",
        [NBD_CMD_TRIM] = "trim",
        [NBD_CMD_CACHE] = "cache",
        [NBD_CMD_WRITE_ZEROES] = "write zeroes",
        [NBD_CMD_BLOCK_STATUS] = "block status",
    };

    return name_or_unknown(names, ARRAY_SIZE(names), cmd);
}

const char *nbd_reply_type_name(uint16_t type)
{
    switch (type) {
    case NBD_REPLY_TYPE_NONE:
        return "none";
    case NBD_REPLY_TYPE_OFFSET_DATA:
        return "data";
    case NBD_REPLY_TYPE_OFFSET_HOLE:
        return "hole";
    case NBD_REPLY_TYPE_BLOCK_STATUS:
        return "block status";
    case NBD_REPLY_TYPE_ERROR:
        return "generic error";
    case NBD_REPLY_TYPE_ERROR_OFFSET:
        return "error at offset";
    default:
        return nbd_reply_type_is_error(type) ? "<unknown error>" : "<unknown>";
    }
}
