/*
 * What a file name stands for
 *
 * A path, or "protocol:..." as in QEMU.  Whether a path is that of a device is
 * found out when it is opened: to look at it can take as long as a network does.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "block/options.h"

/* How drivers read a file name: their prefix and what to do with the rest. */
static const struct {
    const char *prefix;
    const char *driver;
} protocols[] = {
    { "file:", "file" },
    { "host_device:", "host_device" },
    { "nbd:", "nbd" },
    { "nbd+tcp:", "nbd" },
    { "nbd+unix:", "nbd" },
    { "null-co:", "null-co" },
};

/* "x:y" names a protocol, "./x:y" and "a/b:c" do not. */
static bool has_protocol(const char *filename)
{
    return filename[strcspn(filename, ":/")] == ':';
}

static const char *find_protocol(const char *filename, GError **errp)
{
    size_t i;

    for (i = 0; i < ARRAY_SIZE(protocols); i++) {
        if (g_str_has_prefix(filename, protocols[i].prefix)) {
            return protocols[i].driver;
        }
    }
    error_setg(errp, "Unknown protocol '%.*s'",
               (int)strcspn(filename, ":"), filename);
    return NULL;
}

json_t *filename_parse(const char *filename, const char *driver,
                       GError **errp)
{
    bool prefixed = has_protocol(filename);
    const char *path = filename;

    if (!g_utf8_validate(filename, -1, NULL)) {
        error_setg(errp, "File name is not valid UTF-8");
        return NULL;
    }
    if (!driver) {
        driver = prefixed ? find_protocol(filename, errp) : "file";
        if (!driver) {
            return NULL;
        }
    }

    if (g_str_equal(driver, "nbd")) {
        return nbd_filename_parse(filename, errp);
    }
    if (g_str_equal(driver, "null-co")) {
        if (!g_str_equal(filename, "null-co://")) {
            error_setg(errp, "The only allowed filename for this driver is "
                       "'null-co://'");
            return NULL;
        }
        return json_pack("{s:s}", "driver", driver);
    }
    if (prefixed && g_str_has_prefix(filename, driver) &&
        filename[strlen(driver)] == ':') {
        path += strlen(driver) + 1;
    }
    return json_pack("{s:s, s:s}", "driver", driver, "filename", path);
}
