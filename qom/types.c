/*
 * The object types of this layer
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "qom/object.h"

#include "qom/authz.h"
#include "qom/iothread.h"
#include "qom/secret.h"
#include "qom/tls-creds.h"

const ObjectTypeInfo *const qom_types[] = {
    &authz_list_type,
    &authz_list_file_type,
    &authz_simple_type,
    &iothread_type,
    &secret_type,
    &tls_creds_psk_type,
    &tls_creds_x509_type,
    NULL
};
