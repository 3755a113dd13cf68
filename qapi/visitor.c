/*
 * The walk over a value as its descriptor says
 *
 * Input fills zeroed memory piece by piece.  When a piece fails, what has
 * been filled in so far is freed where it was allocated, so that a failed
 * visit leaves NULL.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "qapi/visitor.h"

static bool visit_members(Visitor *v, const QapiType *type, char *obj,
                          GError **errp);

static bool out_of_range(Visitor *v, const char *name, const QapiType *type,
                         GError **errp)
{
    g_autofree char *full = v->ops->full_name(v, name);
    unsigned bits = type->size * 8;

    if (type->kind == QAPI_KIND_INT) {
        error_setg(errp, "Parameter '%s' expects %s_t (%" PRId64 " to %"
                   PRId64 ")", full, type->name,
                   INT64_MIN >> (64 - bits), INT64_MAX >> (64 - bits));
    } else {
        error_setg(errp, "Parameter '%s' expects %s_t (0 to %" PRIu64 ")",
                   full, type->name, UINT64_MAX >> (64 - bits));
    }
    return false;
}

static bool visit_int(Visitor *v, const char *name, const QapiType *type,
                      void *slot, GError **errp)
{
    int64_t val = 0;

    switch (type->size) {
    case 1: val = *(int8_t *)slot; break;
    case 2: val = *(int16_t *)slot; break;
    case 4: val = *(int32_t *)slot; break;
    case 8: val = *(int64_t *)slot; break;
    }
    if (!v->ops->type_int(v, name, &val, errp)) {
        return false;
    }
    if (!v->ops->input) {
        return true;
    }
    if (val > INT64_MAX >> (64 - type->size * 8) ||
        val < INT64_MIN >> (64 - type->size * 8)) {
        return out_of_range(v, name, type, errp);
    }
    switch (type->size) {
    case 1: *(int8_t *)slot = val; break;
    case 2: *(int16_t *)slot = val; break;
    case 4: *(int32_t *)slot = val; break;
    case 8: *(int64_t *)slot = val; break;
    }
    return true;
}

static bool visit_uint(Visitor *v, const char *name, const QapiType *type,
                       void *slot, GError **errp)
{
    uint64_t val = 0;

    switch (type->size) {
    case 1: val = *(uint8_t *)slot; break;
    case 2: val = *(uint16_t *)slot; break;
    case 4: val = *(uint32_t *)slot; break;
    case 8: val = *(uint64_t *)slot; break;
    }
    if (!v->ops->type_uint(v, name, &val, errp)) {
        return false;
    }
    if (!v->ops->input) {
        return true;
    }
    if (val > UINT64_MAX >> (64 - type->size * 8)) {
        return out_of_range(v, name, type, errp);
    }
    switch (type->size) {
    case 1: *(uint8_t *)slot = val; break;
    case 2: *(uint16_t *)slot = val; break;
    case 4: *(uint32_t *)slot = val; break;
    case 8: *(uint64_t *)slot = val; break;
    }
    return true;
}

static bool visit_enum(Visitor *v, const char *name, const QapiType *type,
                       int *slot, GError **errp)
{
    g_autofree char *text = NULL;
    g_autofree char *full = NULL;
    g_autofree char *names = NULL;

    if (!v->ops->input) {
        char *out = (char *)qapi_enum_str(type->lookup, *slot);

        return v->ops->type_str(v, name, &out, errp);
    }
    if (!v->ops->type_str(v, name, &text, errp)) {
        return false;
    }
    *slot = qapi_enum_parse(type->lookup, text, NULL);
    if (*slot >= 0) {
        return true;
    }
    *slot = 0;
    full = v->ops->full_name(v, name);
    names = qapi_enum_names(type->lookup);
    error_setg(errp, "Parameter '%s' does not accept value '%s' "
               "(accepts: %s)", full, text, names);
    return false;
}

static bool visit_object(Visitor *v, const char *name, const QapiType *type,
                         void *obj, GError **errp)
{
    bool ok;

    if (!v->ops->start_object(v, name, errp)) {
        return false;
    }
    ok = visit_members(v, type, obj, errp) && v->ops->check_object(v, errp);
    v->ops->end_object(v);
    return ok;
}

static bool visit_alternate(Visitor *v, const char *name,
                            const QapiType *type, void *obj, GError **errp)
{
    QType *qtype = obj;
    unsigned accepted = 0;
    uint32_t i;

    for (i = 0; i < type->n_members; i++) {
        accepted |= 1u << type->members[i].type->qtype;
    }
    if (v->ops->input) {
        *qtype = v->ops->alternative(v, name, accepted, type, errp);
    }
    for (i = 0; i < type->n_members; i++) {
        const QapiMember *m = &type->members[i];
        void *value = (char *)obj + m->offset;

        if (m->type->qtype != *qtype) {
            continue;
        }
        if (m->type->kind == QAPI_KIND_OBJECT) {
            return visit_object(v, name, m->type, value, errp);
        }
        return qapi_visit(v, name, m->type, value, errp);
    }
    return false;
}

/* Objects and alternates: what is behind the pointer. */
static bool visit_pointer(Visitor *v, const char *name, const QapiType *type,
                          void **slot, GError **errp)
{
    bool ok;

    if (v->ops->input) {
        *slot = g_malloc0(type->size);
    }
    g_assert(*slot);            /* only optional members may be NULL */
    if (type->kind == QAPI_KIND_OBJECT) {
        ok = visit_object(v, name, type, *slot, errp);
    } else {
        ok = visit_alternate(v, name, type, *slot, errp);
    }
    if (!ok && v->ops->input) {
        qapi_free(type, *slot);
        *slot = NULL;
    }
    return ok;
}

static bool visit_list(Visitor *v, const char *name, const QapiType *type,
                       void **slot, GError **errp)
{
    void **next = slot;
    bool ok = true;

    if (!v->ops->start_list(v, name, errp)) {
        return false;
    }
    while (ok) {
        if (v->ops->input) {
            if (!v->ops->next_element(v)) {
                break;
            }
            *next = g_malloc0(type->size);
        } else if (!*next) {
            break;
        }
        ok = qapi_visit(v, NULL, type->element,
                        (char *)*next + type->u_offset, errp);
        next = *next;
    }
    v->ops->end_list(v);
    if (!ok && v->ops->input) {
        qapi_free(type, *slot);
        *slot = NULL;
    }
    return ok;
}

bool qapi_visit(Visitor *v, const char *name, const QapiType *type,
                void *slot, GError **errp)
{
    switch (type->kind) {
    case QAPI_KIND_INT:
        return visit_int(v, name, type, slot, errp);
    case QAPI_KIND_UINT:
        return visit_uint(v, name, type, slot, errp);
    case QAPI_KIND_SIZE:
        return v->ops->type_size(v, name, slot, errp);
    case QAPI_KIND_NUMBER:
        return v->ops->type_number(v, name, slot, errp);
    case QAPI_KIND_BOOL:
        return v->ops->type_bool(v, name, slot, errp);
    case QAPI_KIND_STR:
        return v->ops->type_str(v, name, slot, errp);
    case QAPI_KIND_ANY:
        return v->ops->type_any(v, name, slot, errp);
    case QAPI_KIND_NULL:
        if (v->ops->input) {
            *(json_t **)slot = json_null();
        }
        return v->ops->type_null(v, name, errp);
    case QAPI_KIND_ENUM:
        return visit_enum(v, name, type, slot, errp);
    case QAPI_KIND_OBJECT:
    case QAPI_KIND_ALTERNATE:
        return visit_pointer(v, name, type, slot, errp);
    case QAPI_KIND_LIST:
        return visit_list(v, name, type, slot, errp);
    }
    g_assert_not_reached();
}

/* Output: is the optional member there?  Input: note whether it is. */
static bool optional_present(Visitor *v, const QapiMember *m, char *obj)
{
    bool *has = m->has_offset >= 0 ? (bool *)(obj + m->has_offset) : NULL;

    if (!v->ops->input) {
        return has ? *has : *(void **)(obj + m->offset) != NULL;
    }
    if (!v->ops->present(v, m->name)) {
        return false;
    }
    if (has) {
        *has = true;
    }
    return true;
}

static bool visit_members(Visitor *v, const QapiType *type, char *obj,
                          GError **errp)
{
    const QapiType *branch;
    uint32_t i;

    for (i = 0; i < type->n_members; i++) {
        const QapiMember *m = &type->members[i];

        if (m->optional && !optional_present(v, m, obj)) {
            continue;
        }
        if (!qapi_visit(v, m->name, m->type, obj + m->offset, errp)) {
            return false;
        }
    }
    if (type->branches) {
        branch = type->branches[*(int *)(obj + type->tag_offset)];
        if (branch) {
            return visit_members(v, branch, obj + type->u_offset, errp);
        }
    }
    return true;
}

bool qapi_visit_struct(Visitor *v, const char *name, const QapiType *type,
                       void *obj, GError **errp)
{
    if (visit_object(v, name, type, obj, errp)) {
        return true;
    }
    if (v->ops->input) {
        qapi_clear(type, obj);
        if (obj) {
            memset(obj, 0, type->size);
        }
    }
    return false;
}

void visit_free(Visitor *v)
{
    if (v) {
        v->ops->free(v);
    }
}
