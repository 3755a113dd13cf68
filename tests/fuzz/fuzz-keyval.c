/*
 * Fuzz target: option strings as keys or JSON, file names and URIs
 *
 * Whatever a user types gives a value or an error, never both.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "fuzz.h"

#include "block/keyval.h"
#include "block/options.h"
#include "qapi/qapi-visit-qom.h"

static void take_json(json_t *value, GError *err)
{
    g_assert_true(!value != !err);
    json_decref(value);
    g_clear_error(&err);
}

static void fuzz_keyval(const char *text)
{
    GError *err = NULL;
    bool help = false;
    json_t *value = keyval_parse(text, "qom-type", &help, &err);

    g_assert_true(value || err || help);
    if (value) {
        qapi_free_ObjectOptions(qapi_ObjectOptions_from_keyval(value, NULL));
        json_decref(keyval_stringify(value, NULL));
    }
    json_decref(value);
    g_clear_error(&err);
}

static void fuzz_filename(const char *text)
{
    GError *err = NULL;
    json_t *value = filename_parse(text, NULL, &err);

    take_json(value, err);
    err = NULL;
    value = nbd_filename_parse(text, &err);
    take_json(value, err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_text(data, size, fuzz_keyval, fuzz_filename);
    return 0;
}
