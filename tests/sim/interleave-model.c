/*
 * The model: what the disk, the checkpoint and the view are, one byte a sector
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "interleave.h"

/* @checkpoint is the shadow copy that the last cut has left. */
typedef struct Model {
    uint8_t disk[SECTORS], checkpoint[SECTORS], own[SECTORS];
    bool has_own[SECTORS];
    bool taken_over;
} Model;

static bool has_ended(const Op *op)
{
    return op->ended >= 0;
}

static uint8_t model_view(const Model *m, int sector)
{
    return m->has_own[sector] ? m->own[sector] : m->checkpoint[sector];
}

static void model_cut(Model *m)
{
    memcpy(m->checkpoint, m->disk, SECTORS);
    memset(m->has_own, 0, sizeof(m->has_own));
}

/* Whether the sectors of @op can be what they are, now; and its effect. */
static bool apply_sectors(Model *m, const Op *op)
{
    for (int i = 0; i < op->spec.count; i++) {
        int sector = op->spec.sector + i;

        if (op->spec.type == OP_FORWARD && !m->taken_over) {
            m->disk[sector] = op->pattern;
        } else if (op->spec.type == OP_WRITE) {
            m->own[sector] = op->pattern;
            m->has_own[sector] = true;
        } else if (op->spec.type == OP_READ && has_ended(op) &&
                   op->result[i] != model_view(m, sector)) {
            return false;
        }
    }
    return true;
}

/* Whether @op could have returned what it did, now; and its effect. */
static bool model_apply(Model *m, const Op *op)
{
    bool refused = op->spec.type == OP_FORWARD && m->taken_over;

    if (!apply_sectors(m, op)) {
        return false;
    }
    if (op->spec.type == OP_CUT && !m->taken_over) {
        model_cut(m);
    }
    m->taken_over |= op->spec.type == OP_FAILOVER;
    return !has_ended(op) || op->spec.type == OP_CUT ||
           (op->ret < 0) == refused;
}

/* A cut that a failover overtook had no effect; nothing else makes one fail. */
static bool model_skip(const World *w, const Op *op)
{
    return op->spec.type == OP_CUT && op->ret < 0 && w->export_closed;
}

/* In the sectors that are in @mask. */
static bool model_agrees(const World *w, const Model *m, unsigned mask)
{
    const uint8_t *data = test_disk(w->disk)->data;

    for (int i = 0; i < SECTORS; i++) {
        uint8_t expected = m->taken_over ? model_view(m, i) : m->disk[i];

        if (mask & 1u << i && (w->view[i] != model_view(m, i) ||
                               (w->over && data[i * 512] != expected))) {
            return false;
        }
    }
    return true;
}

/* Whether @op can be the next one after those in @done. */
static bool comes_next(const World *w, const Op *op, unsigned done)
{
    for (int i = 0; i < w->n_ops; i++) {
        const Op *other = &w->ops[i];
        bool both_forward = op->spec.type == OP_FORWARD &&
                            other->spec.type == OP_FORWARD;

        if (other == op || done & 1u << i || other->began < 0) {
            continue;
        }
        /* Nothing goes before what ended before it began. */
        if ((has_ended(other) && other->ended < op->began) ||
            (both_forward && other->began < op->began)) {
            return false;
        }
    }
    return true;
}

/* Whether what is left can follow in some order. */
static bool explain(const World *w, const Model *m, unsigned done,
                    unsigned mask)
{
    bool all_done = true;

    for (int i = 0; i < w->n_ops; i++) {
        all_done &= done & 1u << i || !has_ended(&w->ops[i]);
    }
    if (all_done && model_agrees(w, m, mask)) {
        return true;
    }
    for (int i = 0; i < w->n_ops; i++) {
        const Op *op = &w->ops[i];
        Model next = *m;

        if (!(done & 1u << i) && op->began >= 0 && comes_next(w, op, done) &&
            (model_skip(w, op) || model_apply(&next, op)) &&
            explain(w, &next, done | 1u << i, mask)) {
            return true;
        }
    }
    return false;
}

/*
 * After a failover some sectors go to the disk and some to where they are
 * held: half of it is done before the other half.
 */
static bool is_writing_in_parts(const World *w)
{
    for (int i = 0; i < w->n_ops; i++) {
        const Op *op = &w->ops[i];

        if (op->spec.type == OP_WRITE && op->spec.count > 1 &&
            op->began >= 0 && !has_ended(op)) {
            return w->export_closed;
        }
    }
    return false;
}

bool model_explains(const World *w)
{
    Model m = { 0 };

    if (!is_writing_in_parts(w)) {
        return explain(w, &m, 0, (1u << SECTORS) - 1);
    }
    for (int i = 0; i < SECTORS; i++) {
        if (!explain(w, &m, 0, 1u << i)) {
            return false;
        }
    }
    return true;
}
