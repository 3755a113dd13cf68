/*
 * qemu-io's read and write commands
 *
 * One request is described by an IoRequest; the commands differ in how they
 * fill it and in whether they wait for it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "io-cmds-int.h"

#include <sys/stat.h>

#include "util/aio.h"

/* What write fills its buffer with. */
#define DEFAULT_PATTERN 0xcd

typedef struct IoRequest {
    const IoCmd *cmd;
    BlockBackend *blk;
    bool is_write;
    bool zeroes;
    bool discard;
    bool quiet, machine, verbose;
    BdrvRequestFlags flags;
    int64_t offset;
    int64_t bytes;

    uint8_t *buf;               /* contiguous; @iov are its parts */
    struct iovec *iov;
    int niov;

    int pattern;                /* -1: do not verify */
    int64_t pattern_offset, pattern_bytes;
} IoRequest;

static void request_clear(IoRequest *req)
{
    free(req->buf);
    g_free(req->iov);
}

static int coroutine_fn request_submit(IoRequest *req)
{
    IOVector qiov;

    if (req->discard) {
        return blk_co_pdiscard(req->blk, req->offset, req->bytes);
    }
    if (req->zeroes) {
        return blk_co_pwrite_zeroes(req->blk, req->offset, req->bytes,
                                    req->flags);
    }
    iov_init_external(&qiov, req->iov, req->niov);
    if (req->is_write) {
        return blk_co_pwritev(req->blk, req->offset, req->bytes, &qiov,
                              req->flags);
    }
    return blk_co_preadv(req->blk, req->offset, req->bytes, &qiov,
                         req->flags);
}

static void verify(const IoRequest *req, GString *out)
{
    const uint8_t *p = req->buf + req->pattern_offset;
    int64_t i;

    for (i = 0; i < req->pattern_bytes; i++) {
        if (p[i] != req->pattern) {
            g_string_append_printf(out, "Pattern verification failed at "
                                   "offset %" PRId64 ", %" PRId64 " bytes\n",
                                   req->offset + req->pattern_offset,
                                   req->pattern_bytes);
            return;
        }
    }
}

/* Submit, wait, print. */
static void coroutine_fn request_run(IoRequest *req, GString *out)
{
    AioContext *ctx = aio_get_current();
    int64_t start_ns = aio_clock_get_ns(ctx);
    int ret = request_submit(req);
    int64_t ns = aio_clock_get_ns(ctx) - start_ns;

    if (ret < 0) {
        g_string_append_printf(out, "%s failed: %s\n", req->cmd->name,
                               g_strerror(-ret));
        return;
    }
    if (!req->is_write && !req->discard && req->pattern >= 0) {
        verify(req, out);
    }
    if (req->quiet) {
        return;
    }
    if (req->verbose) {
        io_dump(out, req->buf, req->offset, req->bytes);
    }
    io_report(out, req->discard ? "discard" : req->is_write ? "wrote" : "read",
              req->offset, req->bytes, req->bytes, ns, req->machine);
}

/* Lengths: one for each part of a vector, else there is only one. */
static bool parse_lengths(IoRequest *req, const IoArgs *args, GString *out)
{
    bool vector = strstr(req->cmd->synopsis, "[len..]") != NULL;
    int64_t max = req->zeroes && io_has(args, 'n') ? INT64_MAX
                                                   : BDRV_REQUEST_MAX_BYTES;
    int i;

    if (args->n_pos > 2 && !vector) {
        io_cmd_print_usage(req->cmd, out);
        return false;
    }
    req->niov = args->n_pos - 1;
    req->iov = g_new0(struct iovec, MAX(req->niov, 1));
    for (i = 0; i < req->niov; i++) {
        int64_t bytes;

        if (!io_parse_size(args->pos[i + 1], &bytes, out)) {
            return false;
        }
        if (bytes > max - req->bytes) {
            g_string_append_printf(out, "length cannot exceed %" PRId64 "%s, "
                                   "given %s\n", max,
                                   io_cmd_find("write") == req->cmd
                                   ? " without -n" : "", args->pos[i + 1]);
            return false;
        }
        req->iov[i].iov_len = bytes;
        req->bytes += bytes;
    }
    return true;
}

static bool request_alloc(IoRequest *req, int fill, GString *out)
{
    size_t done = 0;
    int i;

    if (req->zeroes || req->discard) {
        return true;
    }
    /* Aligned well enough for O_DIRECT without a bounce buffer. */
    if (posix_memalign((void **)&req->buf, 4096, MAX(req->bytes, 1)) != 0) {
        req->buf = NULL;
        g_string_append(out, "cannot allocate the buffer\n");
        return false;
    }
    memset(req->buf, fill, req->bytes);
    for (i = 0; i < req->niov; i++) {
        req->iov[i].iov_base = req->buf + done;
        done += req->iov[i].iov_len;
    }
    return true;
}

/* -P, -s and -l of the reading commands. */
static bool parse_verify(IoRequest *req, const IoArgs *args, GString *out)
{
    req->pattern = -1;
    if (!io_has(args, 'P')) {
        if (io_has(args, 's') || io_has(args, 'l')) {
            io_cmd_print_usage(req->cmd, out);
            return false;
        }
        return true;
    }
    if (!io_parse_pattern(args->opts['P'], &req->pattern, out) ||
        (io_has(args, 's') &&
         !io_parse_size(args->opts['s'], &req->pattern_offset, out))) {
        return false;
    }
    req->pattern_bytes = req->bytes - req->pattern_offset;
    if (io_has(args, 'l') &&
        !io_parse_size(args->opts['l'], &req->pattern_bytes, out)) {
        return false;
    }
    if (req->pattern_offset > req->bytes ||
        req->pattern_bytes > req->bytes - req->pattern_offset) {
        g_string_append(out, "pattern verification range exceeds end of read "
                        "data\n");
        return false;
    }
    return true;
}

static bool parse_common(IoRequest *req, const IoCmd *cmd, BlockBackend *blk,
                         const IoArgs *args, GString *out)
{
    req->cmd = cmd;
    req->blk = blk;
    req->quiet = io_has(args, 'q');
    req->machine = io_has(args, 'C');
    req->verbose = io_has(args, 'v');
    return io_parse_size(args->pos[0], &req->offset, out) &&
           parse_lengths(req, args, out);
}

static bool parse_read(IoRequest *req, const IoArgs *args, GString *out)
{
    return parse_verify(req, args, out) && request_alloc(req, 0xab, out);
}

/* Fill the buffer over and over from the start of the file @name. */
static bool fill_from_file(IoRequest *req, const char *name, GString *out)
{
    /* Whatever @name is, opening and reading must not wait. */
    int fd = open(name, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    struct stat st;
    ssize_t n = -1;
    int64_t done;

    if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
        g_string_append_printf(out, "%s: %s\n", name,
                               fd < 0 ? g_strerror(errno)
                                      : "not a regular file");
        goto out;
    }
    n = read(fd, req->buf, MIN(req->bytes, st.st_size));
    if (n <= 0) {
        g_string_append_printf(out, "%s: %s\n", name,
                               n < 0 ? g_strerror(errno) : "file is empty");
        n = -1;
        goto out;
    }
    for (done = n; done < req->bytes; done += n) {
        memcpy(req->buf + done, req->buf, MIN(n, req->bytes - done));
    }
out:
    if (fd >= 0) {
        close(fd);
    }
    return n >= 0;
}

/* -z, -u, -n, -f, -P and -s of the writing commands. */
static bool parse_write_flags(IoRequest *req, const IoArgs *args,
                              int *pattern, GString *out)
{
    bool is_write = g_str_equal(req->cmd->name, "write");

    *pattern = DEFAULT_PATTERN;
    if (io_has(args, 'z') + io_has(args, 'P') +
        (is_write && io_has(args, 's')) > 1) {
        g_string_append(out, "Only one of -z, -P, and -s can be specified at "
                        "the same time\n");
        return false;
    }
    if (io_has(args, 'u') && !io_has(args, 'z')) {
        g_string_append(out, "-u requires -z to be specified\n");
        return false;
    }
    if (io_has(args, 'n') && !io_has(args, 'z')) {
        g_string_append(out, "-n requires -z to be specified\n");
        return false;
    }
    req->is_write = true;
    req->zeroes = io_has(args, 'z');
    req->flags |= io_has(args, 'f') ? BDRV_REQ_FUA : 0;
    req->flags |= io_has(args, 'u') ? BDRV_REQ_MAY_UNMAP : 0;
    req->flags |= io_has(args, 'n') ? BDRV_REQ_NO_FALLBACK : 0;
    return !io_has(args, 'P') ||
           io_parse_pattern(args->opts['P'], pattern, out);
}

static uint64_t needed_perm(const IoRequest *req)
{
    return req->is_write || req->discard ? BLK_PERM_WRITE
                                         : BLK_PERM_CONSISTENT_READ;
}

/* Run @req with the permission it needs, and be done with it. */
static void coroutine_fn run_and_wait(IoRequest *req, GString *out)
{
    if (io_cmd_acquire(req->blk, needed_perm(req), out)) {
        request_run(req, out);
        io_cmd_release(req->blk);
    }
}

/* -b, the state of a machine, and -c, compression: no driver has them. */
static bool is_supported(const IoCmd *cmd, const IoArgs *args, GString *out)
{
    if (io_has(args, 'b') || io_has(args, 'c')) {
        g_string_append_printf(out, "%s failed: %s\n", cmd->name,
                               g_strerror(ENOTSUP));
        return false;
    }
    return true;
}

static void coroutine_fn read_run(const IoCmd *cmd, BlockBackend *blk,
                                  const IoArgs *args, GString *out)
{
    IoRequest req = { NULL };

    if (is_supported(cmd, args, out) &&
        parse_common(&req, cmd, blk, args, out) &&
        parse_read(&req, args, out)) {
        run_and_wait(&req, out);
    }
    request_clear(&req);
}

static void coroutine_fn write_run(const IoCmd *cmd, BlockBackend *blk,
                                   const IoArgs *args, GString *out)
{
    IoRequest req = { NULL };
    int pattern;

    req.cmd = cmd;
    if (is_supported(cmd, args, out) &&
        parse_write_flags(&req, args, &pattern, out) &&
        parse_common(&req, cmd, blk, args, out) &&
        request_alloc(&req, pattern, out) &&
        (!io_has(args, 's') ||
         fill_from_file(&req, args->opts['s'], out))) {
        run_and_wait(&req, out);
    }
    request_clear(&req);
}

static void coroutine_fn discard_run(const IoCmd *cmd, BlockBackend *blk,
                                     const IoArgs *args, GString *out)
{
    IoRequest req = { .discard = true };

    if (parse_common(&req, cmd, blk, args, out)) {
        run_and_wait(&req, out);
    }
    request_clear(&req);
}

/* aio_read and aio_write: the request outlives the command. */
static void coroutine_fn background_entry(void *opaque)
{
    IoRequest *req = opaque;
    g_autoptr(GString) out = g_string_new(NULL);

    request_run(req, out);
    io_cmd_release(req->blk);
    io_background_end(out->str);
    request_clear(req);
    g_free(req);
}

static void coroutine_fn run_in_background(IoRequest *req, bool ok,
                                           GString *out)
{
    if (!ok || !io_cmd_acquire(req->blk, needed_perm(req), out)) {
        request_clear(req);
        g_free(req);
        return;
    }
    io_background_begin();
    coroutine_start(background_entry, req);
}

/* -i: the guest sent something senseless, as far as statistics go. */
static bool account_invalid(BlockBackend *blk, const IoArgs *args,
                            BlockAcctType type)
{
    if (io_has(args, 'i')) {
        block_acct_invalid(blk_stats(blk), type,
                           aio_clock_get_ns(blk_get_aio_context(blk)));
    }
    return io_has(args, 'i');
}

static void coroutine_fn aio_read_run(const IoCmd *cmd, BlockBackend *blk,
                                      const IoArgs *args, GString *out)
{
    IoRequest *req;

    if (account_invalid(blk, args, BLOCK_ACCT_READ)) {
        return;
    }
    req = g_new0(IoRequest, 1);
    run_in_background(req, parse_common(req, cmd, blk, args, out) &&
                      parse_read(req, args, out), out);
}

static void coroutine_fn aio_write_run(const IoCmd *cmd, BlockBackend *blk,
                                       const IoArgs *args, GString *out)
{
    IoRequest *req;
    int pattern;

    if (account_invalid(blk, args, BLOCK_ACCT_WRITE)) {
        return;
    }
    req = g_new0(IoRequest, 1);
    req->cmd = cmd;
    run_in_background(req, parse_write_flags(req, args, &pattern, out) &&
                      parse_common(req, cmd, blk, args, out) &&
                      request_alloc(req, pattern, out), out);
}

static void coroutine_fn aio_flush_run(const IoCmd *cmd, BlockBackend *blk,
                                       const IoArgs *args, GString *out)
{
    io_background_co_wait();
}

static void coroutine_fn flush_run(const IoCmd *cmd, BlockBackend *blk,
                                   const IoArgs *args, GString *out)
{
    int ret = blk_co_flush(blk);

    if (ret < 0) {
        g_string_append_printf(out, "flush failed: %s\n", g_strerror(-ret));
    }
}

const IoCmd io_cmds_rw[] = {
    { "aio_flush", "", 0, 0, "", "completes all outstanding aio requests",
      aio_flush_run },
    { "aio_read", "CiP:qv", 2, -1, "[-Ciqv] [-P pattern] off len [len..]",
      "asynchronously reads a number of bytes", aio_read_run },
    { "aio_write", "CfiP:quz", 2, -1,
      "[-Cfiquz] [-P pattern] off len [len..]",
      "asynchronously writes a number of bytes", aio_write_run },
    { "discard", "Cq", 2, -1, "[-Cq] off len",
      "discards a number of bytes at a specified offset", discard_run },
    { "flush", "", 0, 0, "", "flush all in-core file state to disk",
      flush_run },
    { "read", "bCl:pP:qs:v", 2, -1,
      "[-bCqv] [-P pattern [-s off] [-l len]] off len",
      "reads a number of bytes at a specified offset", read_run },
    { "readv", "CP:qv", 2, -1, "[-Cqv] [-P pattern] off len [len..]",
      "reads a number of bytes at a specified offset", read_run },
    { "write", "bcCfnpP:qs:uz", 2, -1,
      "[-bcCfnquz] [-P pattern | -s source_file] off len",
      "writes a number of bytes at a specified offset", write_run },
    { "writev", "CfP:q", 2, -1, "[-Cfq] [-P pattern] off len [len..]",
      "writes a number of bytes at a specified offset", write_run },
    { NULL },
};
