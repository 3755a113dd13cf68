/*
 * quorum: votes and reports
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "quorum-int.h"

#include "qapi/qapi-events-block-core.h"

#define DIGEST_BYTES 32         /* SHA-256 */

static int64_t sector_of(int64_t offset)
{
    return offset / BDRV_SECTOR_SIZE;
}

static int64_t sectors_of(int64_t offset, int64_t bytes)
{
    return DIV_ROUND_UP(offset + bytes, BDRV_SECTOR_SIZE) - sector_of(offset);
}

void quorum_report_bad(QuorumOpType type, int64_t offset, int64_t bytes,
                       const char *node_name, int ret)
{
    qapi_event_send_quorum_report_bad(type, ret < 0 ? g_strerror(-ret) : NULL,
                                      node_name, sector_of(offset),
                                      sectors_of(offset, bytes));
}

/* The name that users know: that of the drive, if there is one. */
static const char *reference_of(BlockDriverState *bs)
{
    const char *drive = bdrv_device_name(bs);

    return drive ? drive : bs->node_name;
}

void quorum_report_failure(BDRVQuorumState *s, int64_t offset, int64_t bytes)
{
    qapi_event_send_quorum_failure(reference_of(s->bs), sector_of(offset),
                                   sectors_of(offset, bytes));
}

int quorum_majority_errno(const int *ret, int n)
{
    int best = -EIO, best_count = 0;

    for (int i = 0; i < n; i++) {
        int count = 0;

        for (int j = 0; j < n; j++) {
            count += ret[j] == ret[i];
        }
        if (ret[i] < 0 && count > best_count) {
            best = ret[i];
            best_count = count;
        }
    }
    return best;
}

static bool all_equal(uint8_t *const *data, const bool *ok, int n,
                      size_t bytes, int *first, int *count)
{
    *first = -1;
    *count = 0;
    for (int i = 0; i < n; i++) {
        if (!ok[i]) {
            continue;
        }
        if (*first < 0) {
            *first = i;
        } else if (memcmp(data[*first], data[i], bytes)) {
            return false;
        }
        ++*count;
    }
    return true;
}

static void digest(const uint8_t *data, size_t bytes, uint8_t *out)
{
    g_autoptr(GChecksum) sum = g_checksum_new(G_CHECKSUM_SHA256);
    gsize len = DIGEST_BYTES;

    /* g_checksum_update takes at most a ssize_t, which requests fit into. */
    g_checksum_update(sum, data, bytes);
    g_checksum_get_digest(sum, out, &len);
}

static int count_votes(const uint8_t *digests, const bool *ok, int n, int who)
{
    int votes = 0;

    for (int i = 0; i < n; i++) {
        votes += ok[i] && !memcmp(digests + i * DIGEST_BYTES,
                                  digests + who * DIGEST_BYTES, DIGEST_BYTES);
    }
    return votes;
}

int quorum_vote(uint8_t *const *data, const bool *ok, int n, size_t bytes,
                int threshold)
{
    g_autofree uint8_t *digests = NULL;
    int winner = -1, most = 0, first, count;

    if (all_equal(data, ok, n, bytes, &first, &count)) {
        return count >= threshold ? first : -1;
    }
    digests = g_malloc(n * DIGEST_BYTES);
    for (int i = 0; i < n; i++) {
        if (ok[i]) {
            digest(data[i], bytes, digests + i * DIGEST_BYTES);
        }
    }
    for (int i = 0; i < n; i++) {
        int votes = ok[i] ? count_votes(digests, ok, n, i) : 0;

        if (votes > most) {
            most = votes;
            winner = i;
        }
    }
    return most >= threshold ? winner : -1;
}
