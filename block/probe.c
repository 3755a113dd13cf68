/*
 * Which image format do the first bytes of a disk belong to
 *
 * Knows more formats than there are drivers: a guest that may write the
 * header of another program's format into a raw disk could make that program
 * read any file of the host the next time the disk is opened.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "block/probe.h"

typedef struct ProbeMagic {
    const char *format;
    size_t offset;
    const char *magic;
    size_t len;
} ProbeMagic;

#define MAGIC(format, offset, text) \
    { format, offset, text, sizeof(text) - 1 }

static const ProbeMagic magics[] = {
    MAGIC("qcow", 0, "QFI\xfb\0\0\0\1"),
    MAGIC("qcow2", 0, "QFI\xfb"),
    MAGIC("qed", 0, "QED\0"),
    MAGIC("luks", 0, "LUKS\xba\xbe"),
    MAGIC("vmdk", 0, "KDMV"),
    MAGIC("vmdk", 0, "COWD"),
    MAGIC("vdi", 64, "\x7f\x10\xda\xbe"),
    MAGIC("vhdx", 0, "vhdxfile"),
    MAGIC("vpc", 0, "conectix"),
    MAGIC("parallels", 0, "WithoutFreeSpace"),
    MAGIC("parallels", 0, "WithouFreSpacExt"),
    MAGIC("bochs", 0, "Bochs Virtual HD Image"),
    MAGIC("cloop", 0, "#!/bin/sh\n#V2.0 Format\nmodprobe cloop"),
    /* The trailer of a dmg; in front when the image is nothing else. */
    MAGIC("dmg", 0, "koly"),
};

/*
 * A vmdk descriptor is text: comments and empty lines, then a line
 * "version=N".  The first comment usually is "# Disk DescriptorFile", but
 * readers do not insist on it.
 */
static bool is_vmdk_descriptor(const char *p, const char *end)
{
    static const char version[] = "version=";
    const size_t len = sizeof(version) - 1;

    while (p < end) {
        if (*p == '#') {
            p = memchr(p, '\n', end - p);
            if (!p) {
                return false;
            }
            p++;
        } else if (*p == ' ' || *p == '\n' || *p == '\r') {
            p++;
        } else {
            return (size_t)(end - p) > len && memcmp(p, version, len) == 0 &&
                   p[len] >= '1' && p[len] <= '3';
        }
    }
    return false;
}

const char *bdrv_probe_format(const uint8_t *buf, size_t len)
{
    for (size_t i = 0; i < ARRAY_SIZE(magics); i++) {
        const ProbeMagic *m = &magics[i];

        if (m->offset + m->len <= len &&
            memcmp(buf + m->offset, m->magic, m->len) == 0) {
            return m->format;
        }
    }
    if (is_vmdk_descriptor((const char *)buf, (const char *)buf + len)) {
        return "vmdk";
    }
    return "raw";
}
