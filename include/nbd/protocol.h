/*
 * The NBD protocol on the wire: numbers, headers, error codes
 *
 * Newstyle negotiation, simple and structured replies, meta contexts; what
 * client and server share.  All fields are big-endian on the wire.  Headers
 * are encoded into and decoded from byte arrays of the sizes given here, so
 * nobody depends on the layout of a C struct.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef NBD_PROTOCOL_H
#define NBD_PROTOCOL_H

#define NBD_DEFAULT_PORT "10809"

/* Limits that both ends keep */
#define NBD_MAX_BUFFER_SIZE (32 * 1024 * 1024)  /* payload of a request */
#define NBD_MAX_STRING_SIZE 4096                /* export names, messages */
#define NBD_MAX_OPTION_SIZE (64 * 1024)         /* data of an option */

/* Negotiation */
#define NBD_MAGIC           UINT64_C(0x4e42444d41474943)    /* "NBDMAGIC" */
#define NBD_OPTS_MAGIC      UINT64_C(0x49484156454f5054)    /* "IHAVEOPT" */
#define NBD_CLIENT_MAGIC    UINT64_C(0x0000420281861253)    /* oldstyle */
#define NBD_REP_MAGIC       UINT64_C(0x0003e889045565a9)

/* Global flags of the server, and the same bits of the client's answer */
#define NBD_FLAG_FIXED_NEWSTYLE     (1 << 0)
#define NBD_FLAG_NO_ZEROES          (1 << 1)

/* Options */
enum {
    NBD_OPT_EXPORT_NAME = 1,
    NBD_OPT_ABORT = 2,
    NBD_OPT_LIST = 3,
    NBD_OPT_PEEK_EXPORT = 4,
    NBD_OPT_STARTTLS = 5,
    NBD_OPT_INFO = 6,
    NBD_OPT_GO = 7,
    NBD_OPT_STRUCTURED_REPLY = 8,
    NBD_OPT_LIST_META_CONTEXT = 9,
    NBD_OPT_SET_META_CONTEXT = 10,
    NBD_OPT_EXTENDED_HEADERS = 11,
};

/* Replies to options */
#define NBD_REP_ERR(n) (UINT32_C(1) << 31 | (n))
enum {
    NBD_REP_ACK = 1,
    NBD_REP_SERVER = 2,
    NBD_REP_INFO = 3,
    NBD_REP_META_CONTEXT = 4,
};
#define NBD_REP_ERR_UNSUP               NBD_REP_ERR(1)
#define NBD_REP_ERR_POLICY              NBD_REP_ERR(2)
#define NBD_REP_ERR_INVALID             NBD_REP_ERR(3)
#define NBD_REP_ERR_PLATFORM            NBD_REP_ERR(4)
#define NBD_REP_ERR_TLS_REQD            NBD_REP_ERR(5)
#define NBD_REP_ERR_UNKNOWN             NBD_REP_ERR(6)
#define NBD_REP_ERR_SHUTDOWN            NBD_REP_ERR(7)
#define NBD_REP_ERR_BLOCK_SIZE_REQD     NBD_REP_ERR(8)
#define NBD_REP_ERR_TOO_BIG             NBD_REP_ERR(9)
#define NBD_REP_ERR_EXT_HEADER_REQD     NBD_REP_ERR(10)

/* Kinds of NBD_REP_INFO */
enum {
    NBD_INFO_EXPORT = 0,
    NBD_INFO_NAME = 1,
    NBD_INFO_DESCRIPTION = 2,
    NBD_INFO_BLOCK_SIZE = 3,
};

/* Transmission flags */
enum {
    NBD_FLAG_HAS_FLAGS = 1 << 0,
    NBD_FLAG_READ_ONLY = 1 << 1,
    NBD_FLAG_SEND_FLUSH = 1 << 2,
    NBD_FLAG_SEND_FUA = 1 << 3,
    NBD_FLAG_ROTATIONAL = 1 << 4,
    NBD_FLAG_SEND_TRIM = 1 << 5,
    NBD_FLAG_SEND_WRITE_ZEROES = 1 << 6,
    NBD_FLAG_SEND_DF = 1 << 7,
    NBD_FLAG_CAN_MULTI_CONN = 1 << 8,
    NBD_FLAG_SEND_RESIZE = 1 << 9,
    NBD_FLAG_SEND_CACHE = 1 << 10,
    NBD_FLAG_SEND_FAST_ZERO = 1 << 11,
};

/* Requests */
#define NBD_REQUEST_MAGIC           UINT32_C(0x25609513)
#define NBD_SIMPLE_REPLY_MAGIC      UINT32_C(0x67446698)
#define NBD_STRUCTURED_REPLY_MAGIC  UINT32_C(0x668e33ef)

enum {
    NBD_CMD_READ = 0,
    NBD_CMD_WRITE = 1,
    NBD_CMD_DISC = 2,
    NBD_CMD_FLUSH = 3,
    NBD_CMD_TRIM = 4,
    NBD_CMD_CACHE = 5,
    NBD_CMD_WRITE_ZEROES = 6,
    NBD_CMD_BLOCK_STATUS = 7,
};

enum {
    NBD_CMD_FLAG_FUA = 1 << 0,
    NBD_CMD_FLAG_NO_HOLE = 1 << 1,
    NBD_CMD_FLAG_DF = 1 << 2,
    NBD_CMD_FLAG_REQ_ONE = 1 << 3,
    NBD_CMD_FLAG_FAST_ZERO = 1 << 4,
};

/* Chunks of structured replies */
#define NBD_REPLY_FLAG_DONE (1 << 0)

#define NBD_REPLY_ERR(n) (1 << 15 | (n))
enum {
    NBD_REPLY_TYPE_NONE = 0,
    NBD_REPLY_TYPE_OFFSET_DATA = 1,
    NBD_REPLY_TYPE_OFFSET_HOLE = 2,
    NBD_REPLY_TYPE_BLOCK_STATUS = 5,
    NBD_REPLY_TYPE_ERROR = NBD_REPLY_ERR(1),
    NBD_REPLY_TYPE_ERROR_OFFSET = NBD_REPLY_ERR(2),
};

static inline bool nbd_reply_type_is_error(uint16_t type)
{
    return type & (1 << 15);
}

/* Meta contexts and what their extents say */
#define NBD_META_BASE_ALLOCATION "base:allocation"
#define NBD_META_QEMU_ALLOCATION_DEPTH "qemu:allocation-depth"
#define NBD_META_QEMU_DIRTY_BITMAP "qemu:dirty-bitmap:"

#define NBD_STATE_HOLE  (1 << 0)
#define NBD_STATE_ZERO  (1 << 1)
#define NBD_STATE_DIRTY (1 << 0)

/* Error codes: the protocol's own numbers, whatever the system's are */
enum {
    NBD_SUCCESS = 0,
    NBD_EPERM = 1,
    NBD_EIO = 5,
    NBD_ENOMEM = 12,
    NBD_EINVAL = 22,
    NBD_ENOSPC = 28,
    NBD_EOVERFLOW = 75,
    NBD_ENOTSUP = 95,
    NBD_ESHUTDOWN = 108,
};

/*
 * A positive errno as the protocol's number and back; what the other side
 * does not know becomes EIO or EINVAL.
 */
uint32_t nbd_errno_from_system(int err);
int nbd_errno_to_system(uint32_t err);

/* Names for messages and traces; never NULL. */
const char *nbd_opt_name(uint32_t opt);
const char *nbd_rep_name(uint32_t rep);
const char *nbd_info_name(uint16_t info);
const char *nbd_cmd_name(uint16_t cmd);
const char *nbd_reply_type_name(uint16_t type);
const char *nbd_err_name(uint32_t err);

/* Big-endian memory access */

static inline uint16_t nbd_get16(const void *p)
{
    uint16_t v;

    memcpy(&v, p, sizeof(v));
    return GUINT16_FROM_BE(v);
}

static inline uint32_t nbd_get32(const void *p)
{
    uint32_t v;

    memcpy(&v, p, sizeof(v));
    return GUINT32_FROM_BE(v);
}

static inline uint64_t nbd_get64(const void *p)
{
    uint64_t v;

    memcpy(&v, p, sizeof(v));
    return GUINT64_FROM_BE(v);
}

static inline void nbd_put16(void *p, uint16_t v)
{
    v = GUINT16_TO_BE(v);
    memcpy(p, &v, sizeof(v));
}

static inline void nbd_put32(void *p, uint32_t v)
{
    v = GUINT32_TO_BE(v);
    memcpy(p, &v, sizeof(v));
}

static inline void nbd_put64(void *p, uint64_t v)
{
    v = GUINT64_TO_BE(v);
    memcpy(p, &v, sizeof(v));
}

/* Headers */

/* The server's greeting: NBD_MAGIC, NBD_OPTS_MAGIC, global flags */
#define NBD_GREETING_SIZE 18
/* The client's answer: flags */
#define NBD_CLIENT_FLAGS_SIZE 4
/* The answer to EXPORT_NAME: size, flags, and zeroes unless NO_ZEROES */
#define NBD_EXPORT_NAME_REPLY_SIZE 10
#define NBD_RESERVED_ZEROES 124

/* An option: NBD_OPTS_MAGIC, option, length of the data that follows */
#define NBD_OPTION_SIZE 16

typedef struct NBDOption {
    uint64_t magic;
    uint32_t option;
    uint32_t length;
} NBDOption;

static inline void nbd_option_encode(uint8_t *buf, uint32_t option,
                                     uint32_t length)
{
    nbd_put64(buf, NBD_OPTS_MAGIC);
    nbd_put32(buf + 8, option);
    nbd_put32(buf + 12, length);
}

static inline NBDOption nbd_option_decode(const uint8_t *buf)
{
    return (NBDOption) {
        .magic = nbd_get64(buf),
        .option = nbd_get32(buf + 8),
        .length = nbd_get32(buf + 12),
    };
}

/* A reply to an option: magic, option, type, length of what follows */
#define NBD_OPTION_REPLY_SIZE 20

typedef struct NBDOptionReply {
    uint64_t magic;
    uint32_t option;
    uint32_t type;
    uint32_t length;
} NBDOptionReply;

static inline void nbd_option_reply_encode(uint8_t *buf, uint32_t option,
                                           uint32_t type, uint32_t length)
{
    nbd_put64(buf, NBD_REP_MAGIC);
    nbd_put32(buf + 8, option);
    nbd_put32(buf + 12, type);
    nbd_put32(buf + 16, length);
}

static inline NBDOptionReply nbd_option_reply_decode(const uint8_t *buf)
{
    return (NBDOptionReply) {
        .magic = nbd_get64(buf),
        .option = nbd_get32(buf + 8),
        .type = nbd_get32(buf + 12),
        .length = nbd_get32(buf + 16),
    };
}

/* NBD_INFO_EXPORT: kind, size, flags; NBD_INFO_BLOCK_SIZE: kind, three sizes */
#define NBD_INFO_EXPORT_SIZE 12
#define NBD_INFO_BLOCK_SIZE_SIZE 14

/* A request: magic, flags, type, cookie, offset, length */
#define NBD_REQUEST_SIZE 28

typedef struct NBDRequest {
    uint32_t magic;
    uint16_t flags;
    uint16_t type;
    uint64_t cookie;
    uint64_t offset;
    uint32_t length;
} NBDRequest;

static inline void nbd_request_encode(uint8_t *buf, uint16_t flags,
                                      uint16_t type, uint64_t cookie,
                                      uint64_t offset, uint32_t length)
{
    nbd_put32(buf, NBD_REQUEST_MAGIC);
    nbd_put16(buf + 4, flags);
    nbd_put16(buf + 6, type);
    nbd_put64(buf + 8, cookie);
    nbd_put64(buf + 16, offset);
    nbd_put32(buf + 24, length);
}

static inline NBDRequest nbd_request_decode(const uint8_t *buf)
{
    return (NBDRequest) {
        .magic = nbd_get32(buf),
        .flags = nbd_get16(buf + 4),
        .type = nbd_get16(buf + 6),
        .cookie = nbd_get64(buf + 8),
        .offset = nbd_get64(buf + 16),
        .length = nbd_get32(buf + 24),
    };
}

/* A simple reply: magic, error, cookie */
#define NBD_SIMPLE_REPLY_SIZE 16

typedef struct NBDSimpleReply {
    uint32_t error;
    uint64_t cookie;
} NBDSimpleReply;

static inline void nbd_simple_reply_encode(uint8_t *buf, uint32_t error,
                                           uint64_t cookie)
{
    nbd_put32(buf, NBD_SIMPLE_REPLY_MAGIC);
    nbd_put32(buf + 4, error);
    nbd_put64(buf + 8, cookie);
}

/* The caller has looked at the magic. */
static inline NBDSimpleReply nbd_simple_reply_decode(const uint8_t *buf)
{
    return (NBDSimpleReply) {
        .error = nbd_get32(buf + 4),
        .cookie = nbd_get64(buf + 8),
    };
}

/* A structured reply chunk: magic, flags, type, cookie, length that follows */
#define NBD_CHUNK_SIZE 20

typedef struct NBDChunk {
    uint16_t flags;
    uint16_t type;
    uint64_t cookie;
    uint32_t length;
} NBDChunk;

static inline void nbd_chunk_encode(uint8_t *buf, uint16_t flags,
                                    uint16_t type, uint64_t cookie,
                                    uint32_t length)
{
    nbd_put32(buf, NBD_STRUCTURED_REPLY_MAGIC);
    nbd_put16(buf + 4, flags);
    nbd_put16(buf + 6, type);
    nbd_put64(buf + 8, cookie);
    nbd_put32(buf + 16, length);
}

/* The caller has looked at the magic. */
static inline NBDChunk nbd_chunk_decode(const uint8_t *buf)
{
    return (NBDChunk) {
        .flags = nbd_get16(buf + 4),
        .type = nbd_get16(buf + 6),
        .cookie = nbd_get64(buf + 8),
        .length = nbd_get32(buf + 16),
    };
}

/* Payloads of chunks, before what varies */
#define NBD_OFFSET_DATA_SIZE 8      /* offset, then the data */
#define NBD_OFFSET_HOLE_SIZE 12     /* offset, length */
#define NBD_ERROR_CHUNK_SIZE 6      /* error, length of text, then the text */
#define NBD_ERROR_OFFSET_SIZE 8     /* offset, after the text */
#define NBD_CONTEXT_ID_SIZE 4       /* before the extents */
#define NBD_EXTENT_SIZE 8           /* length, flags */

#endif
