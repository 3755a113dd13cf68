/*
 * User-creatable objects by id
 *
 * -object and object-add make them, object-del removes them unless somebody
 * holds a reference.  There is no class tree: an ObjectType is a row in a
 * table that the daemon registers.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef QOM_OBJECT_H
#define QOM_OBJECT_H

#include "qapi/qapi-types-qom.h"

typedef struct Object Object;

typedef struct ObjectTypeInfo {
    ObjectType type;
    size_t instance_size;       /* of the struct that begins with Object */

    /* Take what is needed from @options and check it. */
    bool (*init)(Object *obj, const ObjectOptions *options, GError **errp);
    /* Also called after a failed init: copes with a half-made object. */
    void (*finalize)(Object *obj);

    /*
     * Optional: properties for qom-get and qom-set (json_t, new reference and
     * borrowed).  Unknown names give an error.
     */
    struct json_t *(*get)(Object *obj, const char *property, GError **errp);
    bool (*set)(Object *obj, const char *property, struct json_t *value,
                GError **errp);
} ObjectTypeInfo;

struct Object {
    const ObjectTypeInfo *info;
    char *id;
    unsigned refcnt;            /* the name table holds one */
};

/* Register the table (ended by NULL) of all types: once, by the daemon. */
void object_register_types(const ObjectTypeInfo *const *types);

/* object-add.  On failure nothing has changed. */
bool object_add(const ObjectOptions *options, GError **errp);

/* object-del.  Fails while anybody but the name table holds a reference. */
bool object_del(const char *id, GError **errp);

/* The object, borrowed; NULL if there is none.  Per AioContext. */
Object *object_lookup(const char *id);
/* The same with an error that names @id and @type, if it is of another type. */
Object *object_lookup_type(const char *id, ObjectType type, GError **errp);

void object_ref(Object *obj);
void object_unref(Object *obj);

void object_foreach(void (*cb)(Object *obj, void *opaque), void *opaque);

/* The contents of secret @id as bytes; free with g_free.  NULL on failure. */
uint8_t *secret_lookup(const char *id, size_t *len, GError **errp);
/* As NUL-terminated UTF-8. */
char *secret_lookup_utf8(const char *id, GError **errp);

#endif
