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
     * borrowed).  Unknown names give an error.  Without get the properties
     * are the options of object-add; without set none can be changed.
     */
    struct json_t *(*get)(Object *obj, const char *property, GError **errp);
    bool (*set)(Object *obj, const char *property, struct json_t *value,
                GError **errp);
} ObjectTypeInfo;

struct Object {
    const ObjectTypeInfo *info;
    char *id;
    unsigned refcnt;            /* the name table holds one */
    ObjectOptions *options;     /* as given to object-add */
};

/*
 * Register a table (ended by NULL) of types; several add up.  Only before
 * the first object is made.  Tables last as long as the process.
 */
void object_register_types(const ObjectTypeInfo *const *types);

/* All types of this layer; the throttle-group belongs to the block layer. */
extern const ObjectTypeInfo *const qom_types[];

/* object-add.  On failure nothing has changed. */
bool object_add(const ObjectOptions *options, GError **errp);

/* object-del.  Fails while anybody but the name table holds a reference. */
bool object_del(const char *id, GError **errp);

/* The object, borrowed; NULL if there is none.  Per AioContext. */
Object *object_lookup(const char *id);

/* "/objects/ID" or "ID"; NULL and QMP's DeviceNotFound if there is none. */
Object *object_resolve_path(const char *path, GError **errp);

/* What qom-get and qom-set do: new reference, and borrowed. */
struct json_t *object_property_get(Object *obj, const char *property,
                                   GError **errp);
bool object_property_set(Object *obj, const char *property,
                         struct json_t *value, GError **errp);

/*
 * The options of @type, which are its properties, and the names of their
 * types.
 */
void object_type_foreach_option(ObjectType type,
                                void (*cb)(const char *name, const char *type,
                                           void *opaque), void *opaque);

/* For get and set of a type: the error for a name that it does not know. */
void object_error_no_property(Object *obj, const char *property,
                              GError **errp);

/* Whether @id can name an object, a node, an export. */
bool object_id_wellformed(const char *id);

void object_ref(Object *obj);
void object_unref(Object *obj);

void object_foreach(void (*cb)(Object *obj, void *opaque), void *opaque);

/* The contents of secret @id as bytes; free with g_free.  NULL on failure. */
uint8_t *secret_lookup(const char *id, size_t *len, GError **errp);
/* As NUL-terminated UTF-8. */
char *secret_lookup_utf8(const char *id, GError **errp);

#endif
