/*
 * What the two input visitors share: the position in a tree of json_t
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef QAPI_INPUT_VISITOR_H
#define QAPI_INPUT_VISITOR_H

#include "qapi/visitor.h"

/* An object or array that is being visited */
typedef struct InputFrame {
    const char *name;           /* NULL for an element of a list */
    json_t *json;               /* borrowed from its parent */
    size_t index;               /* arrays: of the next element */
    GPtrArray *seen;            /* objects: names of the members visited */
} InputFrame;

typedef struct InputVisitor {
    Visitor visitor;
    VisitorOps ops;             /* json_input_ops, or with keyval's scalars */
    json_t *root;
    GArray *frames;             /* of InputFrame */
    bool keyval;                /* how paths are written */
} InputVisitor;

/* The value of member @name; NULL if it is not there. */
json_t *input_get(InputVisitor *iv, const char *name);
/* The same with an error. */
json_t *input_require(InputVisitor *iv, const char *name, GError **errp);

/* "Invalid parameter type for 'a.b', expected: ...": always false. */
bool input_wrong_type(InputVisitor *iv, const char *name,
                      const char *expected, GError **errp);

/* "Parameter 'a.b' expects ...": always false. */
bool input_wrong_value(InputVisitor *iv, const char *name,
                       const char *expected, GError **errp);

QType input_qtype(json_t *json);

/* The callbacks of the JSON visitor; keyval falls back on them. */
extern const VisitorOps json_input_ops;

InputVisitor *input_visitor_new(json_t *json);

#endif
