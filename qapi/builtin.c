/*
 * Descriptors of QAPI's built-in types and their lists
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "qapi/builtin.h"

#define BUILTIN(name_, c_type_, kind_, qtype_) \
    const QapiType qapi_type_##name_ = { \
        .name = #name_, \
        .kind = kind_, \
        .qtype = qtype_, \
        .size = sizeof(c_type_), \
    }; \
    const QapiType qapi_type_##name_##List = { \
        .name = #name_ "List", \
        .kind = QAPI_KIND_LIST, \
        .qtype = QTYPE_QLIST, \
        .size = sizeof(name_##List), \
        .u_offset = offsetof(name_##List, value), \
        .element = &qapi_type_##name_, \
    }

BUILTIN(str, char *, QAPI_KIND_STR, QTYPE_QSTRING);
BUILTIN(number, double, QAPI_KIND_NUMBER, QTYPE_QNUM);
BUILTIN(int, int64_t, QAPI_KIND_INT, QTYPE_QNUM);
BUILTIN(size, uint64_t, QAPI_KIND_SIZE, QTYPE_QNUM);
BUILTIN(bool, bool, QAPI_KIND_BOOL, QTYPE_QBOOL);
BUILTIN(any, json_t *, QAPI_KIND_ANY, QTYPE_NONE);
BUILTIN(null, json_t *, QAPI_KIND_NULL, QTYPE_QNULL);
BUILTIN(int8, int8_t, QAPI_KIND_INT, QTYPE_QNUM);
BUILTIN(int16, int16_t, QAPI_KIND_INT, QTYPE_QNUM);
BUILTIN(int32, int32_t, QAPI_KIND_INT, QTYPE_QNUM);
BUILTIN(int64, int64_t, QAPI_KIND_INT, QTYPE_QNUM);
BUILTIN(uint8, uint8_t, QAPI_KIND_UINT, QTYPE_QNUM);
BUILTIN(uint16, uint16_t, QAPI_KIND_UINT, QTYPE_QNUM);
BUILTIN(uint32, uint32_t, QAPI_KIND_UINT, QTYPE_QNUM);
BUILTIN(uint64, uint64_t, QAPI_KIND_UINT, QTYPE_QNUM);

const QapiType qapi_type_q_empty = {
    .name = "q_empty",
    .kind = QAPI_KIND_OBJECT,
    .qtype = QTYPE_QDICT,
};
