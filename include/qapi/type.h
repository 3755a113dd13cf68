/*
 * Descriptors of QAPI types
 *
 * The generator writes one QapiType for each type of the schema.  Reading,
 * writing, copying and freeing values are each one function over these
 * tables; there is no generated code per type to go wrong or to load.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef QAPI_TYPE_H
#define QAPI_TYPE_H

#include <jansson.h>

#include "osdep.h"

/* What a value is on the wire; also the tag of an alternate. */
typedef enum QType {
    QTYPE_NONE,
    QTYPE_QNULL,
    QTYPE_QNUM,
    QTYPE_QSTRING,
    QTYPE_QDICT,
    QTYPE_QLIST,
    QTYPE_QBOOL,
    QTYPE__MAX,
} QType;

typedef struct QapiEnumLookup {
    const char *name;
    const char *const *names;
    int size;
} QapiEnumLookup;

typedef enum QapiKind {
    QAPI_KIND_INT,              /* signed, @size bytes */
    QAPI_KIND_UINT,             /* unsigned, @size bytes */
    QAPI_KIND_SIZE,             /* uint64_t that takes suffixes in keyval */
    QAPI_KIND_NUMBER,           /* double */
    QAPI_KIND_BOOL,
    QAPI_KIND_STR,              /* char * */
    QAPI_KIND_ANY,              /* json_t *, a reference */
    QAPI_KIND_NULL,             /* json_t *, JSON's null */
    QAPI_KIND_ENUM,             /* C enum, the size of an int */
    QAPI_KIND_OBJECT,           /* pointer to struct */
    QAPI_KIND_ALTERNATE,        /* pointer to struct { QType; union } */
    QAPI_KIND_LIST,             /* pointer to first node or NULL */
} QapiKind;

typedef struct QapiType QapiType;

typedef struct QapiMember {
    const char *name;
    const QapiType *type;
    uint32_t offset;
    bool optional;
    int32_t has_offset;         /* of the bool has_x; -1 if there is none */
} QapiMember;

struct QapiType {
    const char *name;
    QapiKind kind;
    QType qtype;

    /* Of the value, or of what the pointer points to (a list: one node). */
    uint32_t size;

    /* Objects: inherited members first.  Alternates: the alternatives. */
    const QapiMember *members;
    uint32_t n_members;

    /* Unions: an array by value of the tag, with NULL for empty branches */
    const QapiType *const *branches;
    uint32_t tag_offset;

    /* Unions and alternates: where the C union begins.  Lists: the value. */
    uint32_t u_offset;

    const QapiEnumLookup *lookup;       /* enums */
    const QapiType *element;            /* lists */
};

#endif
