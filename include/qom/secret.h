/*
 * Secrets; how to use them is in qom/object.h
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef QOM_SECRET_H
#define QOM_SECRET_H

#include "qom/object.h"

extern const ObjectTypeInfo secret_type;

#endif
