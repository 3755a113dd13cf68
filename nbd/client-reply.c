/*
 * NBD client: replies
 *
 * One coroutine receives into a buffer and parses reply after reply out of
 * it.  The rest of a large payload is received directly into the request's
 * vector, with the following replies' beginning behind it in the same call.
 *
 * Nothing from the network is believed: a reply that breaks the protocol
 * ends the connection with an error that says how.  Whenever this coroutine
 * has slept, the connection may have been given up meanwhile; then no request
 * may be touched any more, so every helper that sleeps returns false.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "client-int.h"

#include "util/trace.h"

/* What an error chunk may have: code, text, offset */
#define MAX_ERROR_CHUNK \
    (NBD_ERROR_CHUNK_SIZE + NBD_MAX_STRING_SIZE + NBD_ERROR_OFFSET_SIZE)

/* Moving bytes */

/* One successful read; false when the connection is gone. */
static bool coroutine_fn rx_readv(NBDClient *client, int niov, size_t *bytes)
{
    size_t room = 0;

    for (int i = 0; i < niov; i++) {
        room += client->rx_iov[i].iov_len;
    }
    for (;;) {
        ssize_t ret;

        if (client->dead) {
            return false;
        }
        if (client->rx_drained) {
            client->rx_drained = false;
            io_channel_co_wait(client->ioc, IO_CHANNEL_READ);
            continue;
        }
        ret = io_channel_readv(client->ioc, client->rx_iov, niov);
        if (ret > 0) {
            /* TLS gives one record at a time: there may well be more. */
            client->rx_drained = !client->info.tls && (size_t)ret < room;
            *bytes = ret;
            return true;
        }
        if (ret == 0) {
            nbd_client_fail(client, "Server closed the connection");
            return false;
        }
        if (ret != -EAGAIN) {
            nbd_client_fail(client, "Failed to read reply: %s",
                            g_strerror(-ret));
            return false;
        }
        client->rx_drained = true;
    }
}

/* Have @bytes (few) in the buffer, in one piece. */
static bool coroutine_fn rx_need(NBDClient *client, size_t bytes)
{
    size_t got;

    while (client->rx_len - client->rx_pos < bytes) {
        size_t limit;

        if (client->rx_pos) {
            client->rx_len -= client->rx_pos;
            memmove(client->rx_buf, client->rx_buf + client->rx_pos,
                    client->rx_len);
            client->rx_pos = 0;
        }
        limit = MAX(client->rx_limit, bytes);
        client->rx_iov[0] = (struct iovec) {
            client->rx_buf + client->rx_len, limit - client->rx_len,
        };
        if (!rx_readv(client, 1, &got)) {
            return false;
        }
        client->rx_len += got;
    }
    return true;
}

/* The next @bytes, after rx_need(). */
static const uint8_t *rx_take(NBDClient *client, size_t bytes)
{
    const uint8_t *p = client->rx_buf + client->rx_pos;

    client->rx_pos += bytes;
    return p;
}

static bool coroutine_fn rx_skip(NBDClient *client, size_t bytes)
{
    while (bytes) {
        size_t n;

        if (!rx_need(client, 1)) {
            return false;
        }
        n = MIN(bytes, client->rx_len - client->rx_pos);
        rx_take(client, n);
        bytes -= n;
    }
    return true;
}

/* The part [offset, offset + bytes) of @qiov into rx_iov, as far as it fits. */
static int rx_slice(NBDClient *client, const IOVector *qiov, size_t offset,
                    size_t bytes, size_t *covered)
{
    int n = 0;

    *covered = 0;
    for (int i = 0; *covered < bytes && n < NBD_CLIENT_IOV - 1; i++) {
        size_t len = qiov->iov[i].iov_len;

        if (offset >= len) {
            offset -= len;
            continue;
        }
        len = MIN(len - offset, bytes - *covered);
        client->rx_iov[n++] = (struct iovec) {
            (char *)qiov->iov[i].iov_base + offset, len,
        };
        *covered += len;
        offset = 0;
    }
    return n;
}

/* Receive into the vector itself; the buffer is empty. */
static bool coroutine_fn rx_direct(NBDClient *client, const IOVector *qiov,
                                   size_t offset, size_t bytes)
{
    client->rx_pos = client->rx_len = 0;
    while (bytes) {
        size_t covered, got;
        int n = rx_slice(client, qiov, offset, bytes, &covered);

        if (covered == bytes) {
            client->rx_iov[n++] = (struct iovec) {
                client->rx_buf, client->rx_limit,
            };
        }
        if (!rx_readv(client, n, &got)) {
            return false;
        }
        if (got > bytes) {
            client->rx_len = got - bytes;
            got = bytes;
        }
        offset += got;
        bytes -= got;
    }
    return true;
}

static bool coroutine_fn rx_payload(NBDClient *client, const IOVector *qiov,
                                    size_t offset, size_t bytes)
{
    size_t n = MIN(bytes, client->rx_len - client->rx_pos);

    client->rx_limit = bytes >= NBD_CLIENT_RX_LARGE ? NBD_CLIENT_RX_PEEK
                                                    : NBD_CLIENT_RX_SIZE;
    iov_from_buf(qiov, offset, rx_take(client, n), n);
    return n == bytes || rx_direct(client, qiov, offset + n, bytes - n);
}

/* Which parts of a read have arrived */

bool nbd_request_add_piece(NBDClientRequest *req, uint32_t start,
                           uint32_t end)
{
    NBDPiece *p = req->pieces;
    unsigned i = req->n_pieces;

    while (i > 0 && p[i - 1].start >= start) {
        i--;
    }
    /* Piece i - 1 begins before @start, piece i at or after it. */
    if ((i > 0 && p[i - 1].end > start) ||
        (i < req->n_pieces && p[i].start < end)) {
        return false;
    }
    if (i > 0 && p[i - 1].end == start) {
        p[i - 1].end = end;
        if (i < req->n_pieces && p[i].start == end) {
            p[i - 1].end = p[i].end;
            memmove(&p[i], &p[i + 1], (--req->n_pieces - i) * sizeof(*p));
        }
        return true;
    }
    if (i < req->n_pieces && p[i].start == end) {
        p[i].start = start;
        return true;
    }
    if (req->n_pieces == NBD_CLIENT_MAX_PIECES) {
        return false;
    }
    memmove(&p[i + 1], &p[i], (req->n_pieces++ - i) * sizeof(*p));
    p[i] = (NBDPiece) { start, end };
    return true;
}

static bool is_complete(const NBDClientRequest *req)
{
    return req->n_pieces == 1 && req->pieces[0].start == 0 &&
           req->pieces[0].end == req->length;
}

/*
 * Check that [offset, offset + bytes) lies inside of the read and is new, and
 * note it.
 */
static bool expect_piece(NBDClient *client, NBDClientRequest *req,
                         uint64_t offset, uint32_t bytes)
{
    if (req->type != NBD_CMD_READ) {
        nbd_client_fail(client, "Protocol error: unexpected data in reply to "
                        "%s", nbd_cmd_name(req->type));
        return false;
    }
    if (!bytes) {
        nbd_client_fail(client, "Protocol error: empty chunk in reply to "
                        "read");
        return false;
    }
    if (offset < req->offset || offset - req->offset > req->length ||
        bytes > req->length - (offset - req->offset)) {
        nbd_client_fail(client, "Protocol error: server sent chunk exceeding "
                        "requested region");
        return false;
    }
    offset -= req->offset;
    if (!nbd_request_add_piece(req, offset, offset + bytes)) {
        nbd_client_fail(client, "Protocol error: server sent overlapping or "
                        "too many chunks in reply to read");
        return false;
    }
    return true;
}

/* Chunks, one function a type; false ends the connection's life */

static bool bad_length(NBDClient *client, const NBDChunk *chunk)
{
    nbd_client_fail(client, "Protocol error: invalid payload of %" PRIu32
                    " bytes for chunk type %u (%s)", chunk->length,
                    chunk->type, nbd_reply_type_name(chunk->type));
    return false;
}

static bool chunk_none(NBDClient *client, const NBDChunk *chunk)
{
    if (!(chunk->flags & NBD_REPLY_FLAG_DONE)) {
        nbd_client_fail(client, "Protocol error: NBD_REPLY_TYPE_NONE chunk "
                        "without NBD_REPLY_FLAG_DONE flag set");
        return false;
    }
    return chunk->length == 0 || bad_length(client, chunk);
}

static bool coroutine_fn chunk_data(NBDClient *client, NBDClientRequest *req,
                                    const NBDChunk *chunk)
{
    uint64_t offset;
    uint32_t bytes;

    if (chunk->length <= NBD_OFFSET_DATA_SIZE) {
        return bad_length(client, chunk);
    }
    if (!rx_need(client, NBD_OFFSET_DATA_SIZE)) {
        return false;
    }
    offset = nbd_get64(rx_take(client, NBD_OFFSET_DATA_SIZE));
    bytes = chunk->length - NBD_OFFSET_DATA_SIZE;
    return expect_piece(client, req, offset, bytes) &&
           rx_payload(client, req->qiov, offset - req->offset, bytes);
}

static bool coroutine_fn chunk_hole(NBDClient *client, NBDClientRequest *req,
                                    const NBDChunk *chunk)
{
    const uint8_t *p;
    uint64_t offset;
    uint32_t bytes;

    if (chunk->length != NBD_OFFSET_HOLE_SIZE) {
        return bad_length(client, chunk);
    }
    if (!rx_need(client, NBD_OFFSET_HOLE_SIZE)) {
        return false;
    }
    p = rx_take(client, NBD_OFFSET_HOLE_SIZE);
    offset = nbd_get64(p);
    bytes = nbd_get32(p + 8);
    if (!expect_piece(client, req, offset, bytes)) {
        return false;
    }
    iov_memset(req->qiov, offset - req->offset, 0, bytes);
    return true;
}

static bool coroutine_fn chunk_status(NBDClient *client, NBDClientRequest *req,
                                      const NBDChunk *chunk)
{
    const size_t first = NBD_CONTEXT_ID_SIZE + NBD_EXTENT_SIZE;
    const uint8_t *p;
    uint32_t context, length, state;

    if (req->type != NBD_CMD_BLOCK_STATUS) {
        nbd_client_fail(client, "Protocol error: unexpected block status in "
                        "reply to %s", nbd_cmd_name(req->type));
        return false;
    }
    if (chunk->length < first || chunk->length > NBD_MAX_OPTION_SIZE * 16 ||
        (chunk->length - NBD_CONTEXT_ID_SIZE) % NBD_EXTENT_SIZE) {
        return bad_length(client, chunk);
    }
    if (req->have_extent) {
        nbd_client_fail(client, "Protocol error: several BLOCK_STATUS chunks "
                        "in reply");
        return false;
    }
    if (!rx_need(client, first)) {
        return false;
    }
    p = rx_take(client, first);
    context = nbd_get32(p);
    length = nbd_get32(p + 4);
    state = nbd_get32(p + 8);
    if (context != client->info.context_id) {
        nbd_client_fail(client, "Protocol error: unexpected context id %"
                        PRIu32 " for block status, expected %" PRIu32,
                        context, client->info.context_id);
        return false;
    }
    if (!length) {
        nbd_client_fail(client, "Protocol error: server sent status chunk "
                        "with zero length");
        return false;
    }
    /* The last extent may legally run past the request. */
    req->have_extent = true;
    req->extent_length = MIN(length, req->length);
    req->extent_state = state;
    return rx_skip(client, chunk->length - first);
}

static bool coroutine_fn chunk_error(NBDClient *client, NBDClientRequest *req,
                                     const NBDChunk *chunk)
{
    uint32_t error, text, rest;
    const uint8_t *p;

    if (chunk->length < NBD_ERROR_CHUNK_SIZE ||
        chunk->length > MAX_ERROR_CHUNK) {
        return bad_length(client, chunk);
    }
    if (!rx_need(client, chunk->length)) {
        return false;
    }
    p = rx_take(client, chunk->length);
    error = nbd_get32(p);
    text = nbd_get16(p + 4);
    rest = chunk->length - NBD_ERROR_CHUNK_SIZE;
    if (!error) {
        nbd_client_fail(client, "Protocol error: server sent structured error "
                        "chunk with error = 0");
        return false;
    }
    if (text > rest || (chunk->type == NBD_REPLY_TYPE_ERROR && text != rest) ||
        (chunk->type == NBD_REPLY_TYPE_ERROR_OFFSET &&
         text + NBD_ERROR_OFFSET_SIZE != rest)) {
        nbd_client_fail(client, "Protocol error: server sent structured error "
                        "chunk with incorrect message size");
        return false;
    }
    trace_event(nbd_structured_error, "%s at %" PRIu64 "+%" PRIu32
                ": error %" PRIu32 " (%s): %.*s", nbd_cmd_name(req->type),
                req->offset, req->length, error, nbd_err_name(error),
                (int)text, (const char *)p + NBD_ERROR_CHUNK_SIZE);
    if (!req->ret) {
        req->ret = -nbd_errno_to_system(error);
    }
    if (!(chunk->flags & NBD_REPLY_FLAG_DONE)) {
        /* Any number of them may come: leave the loop to others. */
        co_reschedule_self();
    }
    return !client->dead;
}

static bool coroutine_fn receive_chunk_payload(NBDClient *client,
                                               NBDClientRequest *req,
                                               const NBDChunk *chunk)
{
    if (nbd_reply_type_is_error(chunk->type)) {
        return chunk_error(client, req, chunk);
    }
    switch (chunk->type) {
    case NBD_REPLY_TYPE_NONE:
        return chunk_none(client, chunk);
    case NBD_REPLY_TYPE_OFFSET_DATA:
        return chunk_data(client, req, chunk);
    case NBD_REPLY_TYPE_OFFSET_HOLE:
        return chunk_hole(client, req, chunk);
    case NBD_REPLY_TYPE_BLOCK_STATUS:
        return chunk_status(client, req, chunk);
    default:
        nbd_client_fail(client, "Protocol error: unexpected reply type: %u",
                        chunk->type);
        return false;
    }
}

/* Whole replies */

/* After the last chunk: a success must have brought what was asked for. */
static bool check_done(NBDClient *client, NBDClientRequest *req)
{
    if (req->type != NBD_CMD_READ) {
        client->rx_limit = NBD_CLIENT_RX_SIZE;
    }
    if (req->ret < 0) {
        return true;
    }
    if (req->type == NBD_CMD_READ && !is_complete(req)) {
        nbd_client_fail(client, "Protocol error: server did not send all data "
                        "of a read");
        return false;
    }
    if (req->type == NBD_CMD_BLOCK_STATUS && !req->have_extent) {
        nbd_client_fail(client, "Protocol error: server did not reply with "
                        "any status extents");
        return false;
    }
    return true;
}

static NBDClientRequest *find_request(NBDClient *client, uint64_t cookie)
{
    NBDClientRequest *req = nbd_client_find(client, cookie);

    if (!req) {
        nbd_client_fail(client, "Protocol error: unexpected reply cookie 0x%"
                        PRIx64, cookie);
    }
    return req;
}

static bool coroutine_fn receive_chunk(NBDClient *client)
{
    NBDClientRequest *req;
    NBDChunk chunk;

    if (!client->info.structured_reply) {
        nbd_client_fail(client, "Protocol error: unexpected structured reply "
                        "that was not negotiated");
        return false;
    }
    if (!rx_need(client, NBD_CHUNK_SIZE)) {
        return false;
    }
    chunk = nbd_chunk_decode(rx_take(client, NBD_CHUNK_SIZE));
    req = find_request(client, chunk.cookie);
    if (!req || !receive_chunk_payload(client, req, &chunk)) {
        return false;
    }
    if (!(chunk.flags & NBD_REPLY_FLAG_DONE)) {
        return true;
    }
    if (!check_done(client, req)) {
        return false;
    }
    nbd_client_complete(client, req);
    return true;
}

static bool coroutine_fn receive_simple(NBDClient *client)
{
    NBDSimpleReply reply;
    NBDClientRequest *req;

    reply = nbd_simple_reply_decode(rx_take(client, NBD_SIMPLE_REPLY_SIZE));
    req = find_request(client, reply.cookie);
    if (!req) {
        return false;
    }
    if (client->info.structured_reply &&
        (req->type == NBD_CMD_READ || req->n_pieces || req->have_extent)) {
        nbd_client_fail(client, "Protocol error: simple reply when structured "
                        "reply chunk was expected");
        return false;
    }
    if (reply.error) {
        req->ret = -nbd_errno_to_system(reply.error);
    } else if (req->type == NBD_CMD_READ) {
        if (!rx_payload(client, req->qiov, 0, req->length)) {
            return false;
        }
        req->n_pieces = 1;
        req->pieces[0] = (NBDPiece) { 0, req->length };
    }
    if (!check_done(client, req)) {
        return false;
    }
    nbd_client_complete(client, req);
    return true;
}

static bool coroutine_fn receive_reply(NBDClient *client)
{
    uint32_t magic;

    if (client->rx_pos == client->rx_len) {
        client->rx_pos = client->rx_len = 0;
    }
    if (!rx_need(client, NBD_SIMPLE_REPLY_SIZE)) {
        return false;
    }
    magic = nbd_get32(client->rx_buf + client->rx_pos);
    switch (magic) {
    case NBD_SIMPLE_REPLY_MAGIC:
        return receive_simple(client);
    case NBD_STRUCTURED_REPLY_MAGIC:
        return receive_chunk(client);
    default:
        nbd_client_fail(client, "Protocol error: invalid magic 0x%" PRIx32
                        " of reply", magic);
        return false;
    }
}

void coroutine_fn nbd_client_receiver(void *opaque)
{
    NBDClient *client = opaque;

    while (!client->dead && receive_reply(client)) {
        /* until the connection is gone */
    }
    nbd_client_leave(client);
}
