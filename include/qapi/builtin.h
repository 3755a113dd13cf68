/*
 * QAPI's built-in types, and what works on values of any type
 *
 * Included by all generated headers.  A "value" is what a member of that type
 * holds: a scalar, or the pointer to a string, struct or list.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef QAPI_BUILTIN_H
#define QAPI_BUILTIN_H

#include "qapi/type.h"

/* Name of @val; asserts that there is one. */
const char *qapi_enum_str(const QapiEnumLookup *lookup, int val);

/* The value called @name; -1 and an error if there is none. */
int qapi_enum_parse(const QapiEnumLookup *lookup, const char *name,
                    GError **errp);

/* "a, b, c": the names of @lookup.  Free with g_free. */
char *qapi_enum_names(const QapiEnumLookup *lookup);

/* Free the struct, alternate or list @obj (NULL is fine). */
void qapi_free(const QapiType *type, void *obj);

/* Free what the members of the struct at @obj hold, not @obj itself. */
void qapi_clear(const QapiType *type, void *obj);

/* Deep copy of a struct, alternate or list; NULL gives NULL. */
void *qapi_clone(const QapiType *type, const void *obj);
#define QAPI_CLONE(type, obj) \
    ((type *)qapi_clone(&qapi_type_##type, (const type *)(obj)))

/* Struct, alternate or list to JSON: a new reference. */
json_t *qapi_to_json(const QapiType *type, const void *obj);

/* The value in @slot (the address of a member, say) to JSON. */
json_t *qapi_value_to_json(const QapiType *type, const void *slot);

/*
 * JSON to struct, alternate or list; types must match.  NULL and an error
 * that names the member by its path on failure.  The empty list is NULL too.
 */
void *qapi_from_json(const QapiType *type, json_t *json, GError **errp);

/*
 * The same, where strings stand for scalars ("on", "64k", "12") as they come
 * from key=value text.  Values that are not strings must match as above.
 */
void *qapi_from_keyval(const QapiType *type, json_t *tree, GError **errp);

/* Fill the struct at @obj.  On failure it holds nothing. */
bool qapi_struct_from_json(const QapiType *type, json_t *json, void *obj,
                           GError **errp);

#define QAPI_BUILTIN_TYPE(name_, c_type_) \
    typedef struct name_##List name_##List; \
    struct name_##List { \
        name_##List *next; \
        c_type_ value; \
    }; \
    extern const QapiType qapi_type_##name_; \
    extern const QapiType qapi_type_##name_##List; \
    static inline void qapi_free_##name_##List(name_##List *list) \
    { \
        qapi_free(&qapi_type_##name_##List, list); \
    } \
    static inline json_t *qapi_##name_##List_to_json(const name_##List *l) \
    { \
        return qapi_to_json(&qapi_type_##name_##List, l); \
    } \
    static inline name_##List *qapi_##name_##List_from_json(json_t *json, \
                                                            GError **errp) \
    { \
        return qapi_from_json(&qapi_type_##name_##List, json, errp); \
    } \
    G_DEFINE_AUTOPTR_CLEANUP_FUNC(name_##List, qapi_free_##name_##List)

QAPI_BUILTIN_TYPE(str, char *)
QAPI_BUILTIN_TYPE(number, double)
QAPI_BUILTIN_TYPE(int, int64_t)
QAPI_BUILTIN_TYPE(size, uint64_t)
QAPI_BUILTIN_TYPE(bool, bool)
QAPI_BUILTIN_TYPE(any, json_t *)
QAPI_BUILTIN_TYPE(null, json_t *)
QAPI_BUILTIN_TYPE(int8, int8_t)
QAPI_BUILTIN_TYPE(int16, int16_t)
QAPI_BUILTIN_TYPE(int32, int32_t)
QAPI_BUILTIN_TYPE(int64, int64_t)
QAPI_BUILTIN_TYPE(uint8, uint8_t)
QAPI_BUILTIN_TYPE(uint16, uint16_t)
QAPI_BUILTIN_TYPE(uint32, uint32_t)
QAPI_BUILTIN_TYPE(uint64, uint64_t)

#undef QAPI_BUILTIN_TYPE

/* The arguments of a command that has none */
extern const QapiType qapi_type_q_empty;

/* Put @element in front of @list; the list owns it. */
#define QAPI_LIST_PREPEND(list, element) do { \
    typeof(list) _node = g_new0(typeof(*(list)), 1); \
    _node->value = (element); \
    _node->next = (list); \
    (list) = _node; \
} while (0)

/* Put @element at @tail, the address of the last next pointer; moves it. */
#define QAPI_LIST_APPEND(tail, element) do { \
    *(tail) = g_new0(typeof(**(tail)), 1); \
    (*(tail))->value = (element); \
    (tail) = &(*(tail))->next; \
} while (0)

#endif
