/*
 * Freeing and copying values of QAPI types
 *
 * Both cope with values that are only half filled in: a NULL pointer is an
 * absent member, and an alternate without type holds nothing.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "qapi/builtin.h"

/* The branch of the union at @obj that its tag selects; NULL for none. */
static const QapiType *branch_of(const QapiType *type, const void *obj)
{
    int tag;

    if (!type->branches) {
        return NULL;
    }
    tag = *(const int *)((const char *)obj + type->tag_offset);
    return type->branches[tag];
}

static const QapiMember *alternative_of(const QapiType *type, const void *obj)
{
    QType qtype = *(const QType *)obj;
    uint32_t i;

    for (i = 0; i < type->n_members; i++) {
        if (type->members[i].type->qtype == qtype) {
            return &type->members[i];
        }
    }
    return NULL;
}

static void free_value(const QapiType *type, void *slot)
{
    switch (type->kind) {
    case QAPI_KIND_STR:
        g_free(*(char **)slot);
        break;
    case QAPI_KIND_ANY:
    case QAPI_KIND_NULL:
        json_decref(*(json_t **)slot);
        break;
    case QAPI_KIND_OBJECT:
    case QAPI_KIND_ALTERNATE:
    case QAPI_KIND_LIST:
        qapi_free(type, *(void **)slot);
        break;
    default:
        break;
    }
}

static void clear_alternate(const QapiType *type, void *obj)
{
    const QapiMember *m = alternative_of(type, obj);

    if (!m) {
        return;
    }
    if (m->type->kind == QAPI_KIND_OBJECT) {
        qapi_clear(m->type, (char *)obj + m->offset);
    } else {
        free_value(m->type, (char *)obj + m->offset);
    }
}

void qapi_clear(const QapiType *type, void *obj)
{
    const QapiType *branch;
    uint32_t i;

    for (i = 0; i < type->n_members; i++) {
        free_value(type->members[i].type,
                   (char *)obj + type->members[i].offset);
    }
    branch = branch_of(type, obj);
    if (branch) {
        qapi_clear(branch, (char *)obj + type->u_offset);
    }
}

static void free_list(const QapiType *type, void *node)
{
    void *next;

    for (; node; node = next) {
        next = *(void **)node;
        free_value(type->element, (char *)node + type->u_offset);
        g_free(node);
    }
}

void qapi_free(const QapiType *type, void *obj)
{
    if (!obj) {
        return;
    }
    switch (type->kind) {
    case QAPI_KIND_LIST:
        free_list(type, obj);
        return;
    case QAPI_KIND_ALTERNATE:
        clear_alternate(type, obj);
        break;
    case QAPI_KIND_OBJECT:
        qapi_clear(type, obj);
        break;
    default:
        g_assert_not_reached();
    }
    g_free(obj);
}

/* @slot holds a bitwise copy: replace what it shares with the original. */
static void clone_value(const QapiType *type, void *slot)
{
    switch (type->kind) {
    case QAPI_KIND_STR:
        *(char **)slot = g_strdup(*(char **)slot);
        break;
    case QAPI_KIND_ANY:
    case QAPI_KIND_NULL:
        *(json_t **)slot = json_deep_copy(*(json_t **)slot);
        break;
    case QAPI_KIND_OBJECT:
    case QAPI_KIND_ALTERNATE:
    case QAPI_KIND_LIST:
        *(void **)slot = qapi_clone(type, *(void **)slot);
        break;
    default:
        break;
    }
}

static void clone_members(const QapiType *type, void *obj)
{
    const QapiType *branch;
    uint32_t i;

    for (i = 0; i < type->n_members; i++) {
        clone_value(type->members[i].type,
                    (char *)obj + type->members[i].offset);
    }
    branch = branch_of(type, obj);
    if (branch) {
        clone_members(branch, (char *)obj + type->u_offset);
    }
}

static void clone_alternative(const QapiType *type, void *obj)
{
    const QapiMember *m = alternative_of(type, obj);

    if (!m) {
        return;
    }
    if (m->type->kind == QAPI_KIND_OBJECT) {
        clone_members(m->type, (char *)obj + m->offset);
    } else {
        clone_value(m->type, (char *)obj + m->offset);
    }
}

static void *clone_list(const QapiType *type, const void *node)
{
    void *head = NULL, **tail = &head;

    for (; node; node = *(void *const *)node) {
        *tail = g_memdup2(node, type->size);
        clone_value(type->element, (char *)*tail + type->u_offset);
        tail = *tail;
    }
    return head;
}

void *qapi_clone(const QapiType *type, const void *obj)
{
    void *copy;

    if (!obj) {
        return NULL;
    }
    if (type->kind == QAPI_KIND_LIST) {
        return clone_list(type, obj);
    }
    copy = g_memdup2(obj, type->size);
    if (type->kind == QAPI_KIND_ALTERNATE) {
        clone_alternative(type, copy);
    } else {
        clone_members(type, copy);
    }
    return copy;
}
