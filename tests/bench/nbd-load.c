/*
 * An NBD client that keeps a server busy and counts what it serves
 *
 * One thread, one connection, always as many requests in flight as asked for.
 * All requests that are due leave by one system call; what has arrived is
 * taken by one, into a buffer in which the replies are found.  So the client
 * costs little and the server is what is measured.  The data of reads is
 * received and not looked at, all writes write the same random block.
 *
 * Whatever a server should not do ends the program with status 1: the speed of
 * errors is no figure.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "nbd-load.h"

#include <poll.h>
#include <sys/socket.h>

#include "nbd/protocol.h"
#include "util/iov.h"

#define MAX_DEPTH (IOV_MAX / 2)         /* header and data of each request */
#define RECEIVE_SIZE MiB                /* by one call */
#define ERROR_CHUNK_MAX \
    (NBD_ERROR_CHUNK_SIZE + NBD_MAX_STRING_SIZE + NBD_ERROR_OFFSET_SIZE)

G_STATIC_ASSERT(RECEIVE_SIZE >= NBD_CHUNK_SIZE + ERROR_CHUNK_MAX);

typedef struct Request {
    uint8_t header[NBD_REQUEST_SIZE];
    uint64_t offset;
    uint32_t missing;           /* bytes of a read that have not come */
    bool in_flight;
} Request;

typedef struct Load {
    /* Options */
    const char *uri;
    char *mode;
    int64_t block_size;
    int depth;
    double seconds;
    int64_t limit;              /* requests */
    int64_t size;
    int64_t seed;

    /* Constant after connecting */
    NBDExport export;
    bool write;
    bool random;
    uint64_t blocks;
    uint8_t *block;             /* what writes write */

    uint64_t random_state;
    int64_t begin;              /* us */
    int64_t sent;
    int64_t done;

    Request requests[MAX_DEPTH];                /* by cookie */
    uint32_t idle[MAX_DEPTH];                   /* a stack of cookies */
    int idle_count;

    struct iovec out_space[2 * MAX_DEPTH];
    struct iovec *out;          /* what is not sent yet */
    int out_count;

    uint8_t in[RECEIVE_SIZE];
    size_t in_length;
    Request *reading;           /* whose data comes next, or NULL */
    uint32_t data_left;
    bool last_chunk;
} Load;

void die(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    fprintf(stderr, "nbd-load: ");
    vfprintf(stderr, format, args);
    fprintf(stderr, "\n");
    va_end(args);
    exit(1);
}

/* xorshift64*, the upper half */
static uint32_t next_random(Load *l)
{
    l->random_state ^= l->random_state >> 12;
    l->random_state ^= l->random_state << 25;
    l->random_state ^= l->random_state >> 27;
    return (l->random_state * UINT64_C(0x2545f4914f6cdd1d)) >> 32;
}

/* Requests */

static uint64_t next_offset(Load *l)
{
    uint64_t number = l->sent;

    if (l->random) {
        number = (uint64_t)next_random(l) << 32;
        number |= next_random(l);
    }
    return number % l->blocks * l->block_size;
}

static void put_out(Load *l, void *data, size_t bytes)
{
    if (l->out_count == 2 * l->depth) {
        die("the server answers what was not sent yet");
    }
    l->out[l->out_count++] = (struct iovec) { data, bytes };
}

static void make_request(Load *l)
{
    uint32_t cookie = l->idle[--l->idle_count];
    Request *r = &l->requests[cookie];

    r->offset = next_offset(l);
    r->missing = l->write ? 0 : l->block_size;
    r->in_flight = true;
    nbd_request_encode(r->header, 0, l->write ? NBD_CMD_WRITE : NBD_CMD_READ,
                       cookie, r->offset, l->block_size);
    put_out(l, r->header, sizeof(r->header));
    if (l->write) {
        put_out(l, l->block, l->block_size);
    }
    l->sent++;
}

/* As many as may be in flight, until the end has come */
static void make_requests(Load *l)
{
    if (l->idle_count &&
        g_get_monotonic_time() - l->begin >= l->seconds * G_USEC_PER_SEC) {
        l->limit = l->sent;
    }
    if (l->out != l->out_space) {
        memmove(l->out_space, l->out, l->out_count * sizeof(*l->out));
        l->out = l->out_space;
    }
    while (l->idle_count && l->sent < l->limit) {
        make_request(l);
    }
}

/* Without waiting */
static void send_requests(Load *l)
{
    while (l->out_count) {
        struct msghdr msg = { .msg_iov = l->out, .msg_iovlen = l->out_count };
        ssize_t sent = sendmsg(l->export.fd, &msg,
                               MSG_DONTWAIT | MSG_NOSIGNAL);

        if (sent < 0 && errno == EAGAIN) {
            return;
        }
        if (sent < 0) {
            die("cannot send: %s", g_strerror(errno));
        }
        iov_discard_front(&l->out, &l->out_count, sent);
    }
}

/* Replies */

static Request *request_of(Load *l, uint64_t cookie)
{
    if (cookie >= (uint64_t)l->depth || !l->requests[cookie].in_flight) {
        die("the server replies to cookie %" PRIu64 ", which is not in flight",
            cookie);
    }
    return &l->requests[cookie];
}

static void G_GNUC_NORETURN die_error(Load *l, Request *r, uint32_t error,
                                      const uint8_t *text, int length)
{
    die("the server fails to %s %" PRId64 " bytes at offset %" PRIu64
        ": %s%s%.*s", l->write ? "write" : "read", l->block_size, r->offset,
        nbd_err_name(error), length ? ": " : "", length, (const char *)text);
}

static void end_reply(Load *l, Request *r)
{
    if (r->missing) {
        die("%" PRIu32 " bytes of the read at offset %" PRIu64 " are missing",
            r->missing, r->offset);
    }
    r->in_flight = false;
    l->idle[l->idle_count++] = r - l->requests;
    l->done++;
}

/* @r is told @bytes of its read, of which @data come over the wire now */
static void take_part(Load *l, Request *r, uint64_t offset, uint32_t bytes,
                      uint32_t data)
{
    if (!bytes || bytes > r->missing || offset < r->offset ||
        offset - r->offset > (uint64_t)l->block_size - bytes) {
        die("the server sends %" PRIu32 " bytes at offset %" PRIu64
            " that were not asked for", bytes, offset);
    }
    r->missing -= bytes;
    if (data) {
        l->reading = r;
        l->data_left = data;
    } else if (l->last_chunk) {
        end_reply(l, r);
    }
}

/* These return the size of what they took, 0 if it is not there as a whole */

static size_t take_simple_reply(Load *l, const uint8_t *buf)
{
    NBDSimpleReply reply = nbd_simple_reply_decode(buf);
    Request *r = request_of(l, reply.cookie);

    if (reply.error) {
        die_error(l, r, reply.error, NULL, 0);
    }
    l->last_chunk = true;
    if (l->write) {
        end_reply(l, r);
    } else if (l->export.structured) {
        die("the server sends a simple reply to a read");
    } else {
        take_part(l, r, r->offset, l->block_size, l->block_size);
    }
    return NBD_SIMPLE_REPLY_SIZE;
}

/* The fixed part of the payload; all of an error. */
static size_t chunk_head(const NBDChunk *chunk)
{
    size_t head = 0;
    bool good = false;

    if (nbd_reply_type_is_error(chunk->type)) {
        head = chunk->length;
        good = head >= NBD_ERROR_CHUNK_SIZE && head <= ERROR_CHUNK_MAX;
    } else if (chunk->type == NBD_REPLY_TYPE_OFFSET_DATA) {
        head = NBD_OFFSET_DATA_SIZE;
        good = chunk->length > head;
    } else if (chunk->type == NBD_REPLY_TYPE_OFFSET_HOLE) {
        head = NBD_OFFSET_HOLE_SIZE;
        good = chunk->length == head;
    } else if (chunk->type == NBD_REPLY_TYPE_NONE) {
        good = chunk->length == 0 && (chunk->flags & NBD_REPLY_FLAG_DONE);
    }
    if (!good) {
        die("the server sends a chunk of type %s with %" PRIu32 " bytes",
            nbd_reply_type_name(chunk->type), chunk->length);
    }
    return head;
}

static size_t take_chunk(Load *l, const uint8_t *buf, size_t length)
{
    NBDChunk chunk = nbd_chunk_decode(buf);
    Request *r = request_of(l, chunk.cookie);
    const uint8_t *payload = buf + NBD_CHUNK_SIZE;
    size_t head = chunk_head(&chunk);

    if (!l->export.structured) {
        die("the server sends structured replies, which were not agreed");
    }
    if (length < NBD_CHUNK_SIZE + head) {
        return 0;
    }
    l->last_chunk = chunk.flags & NBD_REPLY_FLAG_DONE;
    if (nbd_reply_type_is_error(chunk.type)) {
        die_error(l, r, nbd_get32(payload), payload + NBD_ERROR_CHUNK_SIZE,
                  MIN(nbd_get16(payload + 4),
                      chunk.length - NBD_ERROR_CHUNK_SIZE));
    } else if (chunk.type == NBD_REPLY_TYPE_OFFSET_DATA) {
        take_part(l, r, nbd_get64(payload), chunk.length - head,
                  chunk.length - head);
    } else if (chunk.type == NBD_REPLY_TYPE_OFFSET_HOLE) {
        take_part(l, r, nbd_get64(payload), nbd_get32(payload + 8), 0);
    } else {
        end_reply(l, r);
    }
    return NBD_CHUNK_SIZE + head;
}

static size_t take_header(Load *l, const uint8_t *buf, size_t length)
{
    if (length < NBD_SIMPLE_REPLY_SIZE) {
        return 0;
    }
    switch (nbd_get32(buf)) {
    case NBD_SIMPLE_REPLY_MAGIC:
        return take_simple_reply(l, buf);
    case NBD_STRUCTURED_REPLY_MAGIC:
        return length < NBD_CHUNK_SIZE ? 0 : take_chunk(l, buf, length);
    default:
        die("bad magic of a reply: 0x%08" PRIx32, nbd_get32(buf));
    }
}

static size_t take_data(Load *l, size_t length)
{
    Request *r = l->reading;
    size_t taken = MIN(length, l->data_left);

    l->data_left -= taken;
    if (!l->data_left) {
        l->reading = NULL;
        if (l->last_chunk) {
            end_reply(l, r);
        }
    }
    return taken;
}

static void take_replies(Load *l)
{
    size_t pos = 0, taken;

    do {
        taken = l->reading ? take_data(l, l->in_length - pos)
                           : take_header(l, l->in + pos, l->in_length - pos);
        pos += taken;
    } while (taken);
    l->in_length -= pos;
    memmove(l->in, l->in + pos, l->in_length);
}

/* Whether something can be received, or else sent */
static bool wait_for_either(Load *l)
{
    struct pollfd pfd = { .fd = l->export.fd, .events = POLLIN | POLLOUT };

    if (poll(&pfd, 1, DEADLINE_SECONDS * 1000) == 0) {
        die("no word from the server within %d s", DEADLINE_SECONDS);
    }
    return pfd.revents & ~POLLOUT;
}

/* What is there; waits for it only when there is nothing left to send. */
static void receive_replies(Load *l)
{
    if (l->out_count && !wait_for_either(l)) {
        return;
    }
    l->in_length += nbd_export_receive(&l->export, l->in + l->in_length,
                                       RECEIVE_SIZE - l->in_length);
    take_replies(l);
}

static void run_load(Load *l)
{
    l->begin = g_get_monotonic_time();
    make_requests(l);
    while (l->idle_count < l->depth) {
        send_requests(l);
        receive_replies(l);
        make_requests(l);
    }
}

static void disconnect(Load *l)
{
    uint8_t header[NBD_REQUEST_SIZE];

    nbd_request_encode(header, 0, NBD_CMD_DISC, 0, 0, 0);
    nbd_export_send(&l->export, header, sizeof(header));
    close(l->export.fd);
}

/* Options and preparations */

static void parse_options(Load *l, int argc, char **argv)
{
    const GOptionEntry entries[] = {
        { "mode", 0, 0, G_OPTION_ARG_STRING, &l->mode,
          "read, write, randread or randwrite (read)", "MODE" },
        { "block-size", 0, 0, G_OPTION_ARG_INT64, &l->block_size,
          "Bytes of each request (4096)", "BYTES" },
        { "depth", 0, 0, G_OPTION_ARG_INT, &l->depth,
          "Requests in flight (1)", "N" },
        { "seconds", 0, 0, G_OPTION_ARG_DOUBLE, &l->seconds,
          "Begin no request later (1, or never with --requests)", "S" },
        { "requests", 0, 0, G_OPTION_ARG_INT64, &l->limit,
          "Make no more than N requests", "N" },
        { "size", 0, 0, G_OPTION_ARG_INT64, &l->size,
          "Use that much of the export from its start (all)", "BYTES" },
        { "seed", 0, 0, G_OPTION_ARG_INT64, &l->seed,
          "Of the random numbers (1)", "N" },
        { NULL }
    };
    g_autoptr(GOptionContext) context = g_option_context_new("URI");
    g_autoptr(GError) err = NULL;

    g_option_context_set_summary(context,
        "Keep the NBD server at nbd://HOST:PORT/NAME or "
        "nbd+unix:///NAME?socket=PATH\n"
        "busy and print in JSON how many requests it served.");
    g_option_context_add_main_entries(context, entries, NULL);
    if (!g_option_context_parse(context, &argc, &argv, &err)) {
        die("%s", err->message);
    }
    if (argc != 2) {
        die("one URI is needed, see --help");
    }
    l->uri = argv[1];
}

static void check_options(Load *l)
{
    const char *mode = l->mode ?: "read";

    l->random = g_str_has_prefix(mode, "rand");
    mode += l->random ? strlen("rand") : 0;
    l->write = !strcmp(mode, "write");
    if (!l->write && strcmp(mode, "read")) {
        die("--mode=%s is none of read, write, randread and randwrite",
            l->mode);
    }
    if (l->block_size < 1 || l->block_size > NBD_MAX_BUFFER_SIZE) {
        die("--block-size must be within 1 and %d", NBD_MAX_BUFFER_SIZE);
    }
    if (l->depth < 1 || l->depth > MAX_DEPTH) {
        die("--depth must be within 1 and %d", MAX_DEPTH);
    }
    if (l->seconds < 0 || l->limit < 0 || l->size < 0 || l->seed < 1) {
        die("--seconds, --requests, --size and --seed must be positive");
    }
}

static void prepare(Load *l)
{
    size_t words = DIV_ROUND_UP(l->block_size, sizeof(uint32_t)), i;
    int cookie;

    if (!l->seconds) {
        l->seconds = l->limit ? G_MAXINT32 : 1;
    }
    l->limit = l->limit ?: G_MAXINT64;
    l->out = l->out_space;
    for (cookie = l->depth - 1; cookie >= 0; cookie--) {
        l->idle[l->idle_count++] = cookie;
    }
    l->random_state = l->seed;
    l->block = g_malloc(words * sizeof(uint32_t));
    for (i = 0; l->write && i < words; i++) {
        nbd_put32(l->block + i * sizeof(uint32_t), next_random(l));
    }
}

static void check_export(Load *l)
{
    uint64_t size = l->size ? (uint64_t)l->size : l->export.size;

    if (size > l->export.size || size < (uint64_t)l->block_size) {
        die("the export has %" PRIu64 " bytes only", l->export.size);
    }
    if (l->write && l->export.read_only) {
        die("the export is read-only");
    }
    l->blocks = size / l->block_size;
}

int main(int argc, char **argv)
{
    static Load load = { .block_size = 4096, .depth = 1, .seed = 1 };
    Load *l = &load;
    double seconds;

    parse_options(l, argc, argv);
    check_options(l);
    prepare(l);
    nbd_export_connect(&l->export, l->uri);
    check_export(l);
    run_load(l);
    seconds = (g_get_monotonic_time() - l->begin) / 1e6;
    disconnect(l);
    printf("{\"iops\": %.1f, \"requests\": %" PRId64 ", \"seconds\": %.6f, "
           "\"structured\": %s}\n", l->done / seconds, l->done, seconds,
           l->export.structured ? "true" : "false");
    return 0;
}
