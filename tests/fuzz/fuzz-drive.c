/*
 * Fuzz target: -drive and -blockdev
 *
 * Whatever a user types gives options or an error, never both.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "fuzz.h"

#include "block/options.h"
#include "qapi/qapi-visit-block-core.h"

static void fuzz_blockdev(const char *text)
{
    GError *err = NULL;
    BlockdevOptions *options = blockdev_options_parse(text, &err);

    g_assert_true(!options != !err);
    if (options) {
        json_t *again = qapi_BlockdevOptions_to_json(options);

        g_assert_nonnull(again);
        json_decref(again);
    }
    qapi_free_BlockdevOptions(options);
    g_clear_error(&err);
}

static void fuzz_drive(const char *text)
{
    GError *err = NULL;
    DriveSpec *spec = drive_spec_parse(text, &err);

    g_assert_true(!spec != !err);
    g_clear_pointer(&spec, drive_spec_free);
    g_clear_error(&err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_text(data, size, fuzz_blockdev, fuzz_drive);
    return 0;
}
