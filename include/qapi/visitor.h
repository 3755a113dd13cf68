/*
 * Visitors: one walk over a value of a QAPI type, in or out
 *
 * qapi_visit() goes over a value as its descriptor says and calls the
 * visitor for each piece.  An input visitor supplies the pieces (from JSON or
 * from key=value trees), an output visitor takes them.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef QAPI_VISITOR_H
#define QAPI_VISITOR_H

#include "qapi/builtin.h"

typedef struct Visitor Visitor;

/*
 * @name is the member's name, NULL for the root and for elements of a list.
 * Callbacks that return bool set @errp when they return false.
 */
typedef struct VisitorOps {
    bool input;

    /*
     * Enter and leave an object.  check is called when all known members
     * have been visited and fails if the input has others; end follows every
     * successful start, even after an error.
     */
    bool (*start_object)(Visitor *v, const char *name, GError **errp);
    bool (*check_object)(Visitor *v, GError **errp);
    void (*end_object)(Visitor *v);

    bool (*start_list)(Visitor *v, const char *name, GError **errp);
    /* Input only: step to the next element; false if there is none. */
    bool (*next_element)(Visitor *v);
    void (*end_list)(Visitor *v);

    /* Input only: is member @name there? */
    bool (*present)(Visitor *v, const char *name);

    /*
     * Input only: which of @accepted (a mask of 1 << QType) the value is.
     * QTYPE_NONE and an error that names @type if it is none of them.
     */
    QType (*alternative)(Visitor *v, const char *name, unsigned accepted,
                         const QapiType *type, GError **errp);

    /* Scalars: *@val is set by input, taken by output.  Ranges of small
     * integers are the walk's matter. */
    bool (*type_int)(Visitor *v, const char *name, int64_t *val,
                     GError **errp);
    bool (*type_uint)(Visitor *v, const char *name, uint64_t *val,
                      GError **errp);
    bool (*type_size)(Visitor *v, const char *name, uint64_t *val,
                      GError **errp);
    bool (*type_number)(Visitor *v, const char *name, double *val,
                        GError **errp);
    bool (*type_bool)(Visitor *v, const char *name, bool *val,
                      GError **errp);
    /* Input gives a string of the callee's, output borrows it. */
    bool (*type_str)(Visitor *v, const char *name, char **val,
                     GError **errp);
    /* Input gives a reference, output takes its own. */
    bool (*type_any)(Visitor *v, const char *name, json_t **val,
                     GError **errp);
    bool (*type_null)(Visitor *v, const char *name, GError **errp);

    /* Input only: "a.b[2].name", for messages.  Free with g_free. */
    char *(*full_name)(Visitor *v, const char *name);

    void (*free)(Visitor *v);
} VisitorOps;

struct Visitor {
    const VisitorOps *ops;
};

/* Visit the value in @slot.  Failed input leaves nothing in it. */
bool qapi_visit(Visitor *v, const char *name, const QapiType *type,
                void *slot, GError **errp);

/* Visit the struct at @obj, which is the caller's memory, zeroed. */
bool qapi_visit_struct(Visitor *v, const char *name, const QapiType *type,
                       void *obj, GError **errp);

void visit_free(Visitor *v);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Visitor, visit_free)

/* Both keep a reference to @json. */
Visitor *json_input_visitor_new(json_t *json);
Visitor *keyval_input_visitor_new(json_t *tree);

/* *@result gets the value, a new reference, when the visit is over. */
Visitor *json_output_visitor_new(json_t **result);

#endif
