/*
 * Probing: what a format's first bytes look like
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "block/probe.h"

static void check(size_t offset, const char *magic, size_t len,
                  const char *format)
{
    uint8_t buf[BDRV_PROBE_BYTES] = { 0 };

    memcpy(buf + offset, magic, len);
    g_assert_cmpstr(bdrv_probe_format(buf, sizeof(buf)), ==, format);
    /* Not without its last byte */
    g_assert_cmpstr(bdrv_probe_format(buf, offset + len - 1), ==, "raw");
}

static void test_magics(void)
{
    check(0, "QFI\xfb", 4, "qcow2");
    check(0, "QED\0", 4, "qed");
    check(0, "LUKS\xba\xbe", 6, "luks");
    check(0, "KDMV", 4, "vmdk");
    check(64, "\x7f\x10\xda\xbe", 4, "vdi");
    check(0, "vhdxfile", 8, "vhdx");
    check(0, "conectix", 8, "vpc");
    check(0, "WithoutFreeSpace", 16, "parallels");
}

static void test_qcow_versions(void)
{
    const uint8_t v1[] = "QFI\xfb\0\0\0\1";
    const uint8_t v3[] = "QFI\xfb\0\0\0\3";

    g_assert_cmpstr(bdrv_probe_format(v1, 8), ==, "qcow");
    g_assert_cmpstr(bdrv_probe_format(v3, 8), ==, "qcow2");
}

static void check_text(const char *text, const char *format)
{
    g_assert_cmpstr(bdrv_probe_format((const uint8_t *)text, strlen(text)),
                    ==, format);
}

static void test_vmdk_descriptor(void)
{
    check_text("# Disk DescriptorFile\nversion=1\n", "vmdk");
    check_text("\n\n#x\n  version=2\n", "vmdk");
    check_text("# Disk DescriptorFile\nversion=9\n", "raw");
    check_text("# Disk DescriptorFile", "raw");
    check_text("version", "raw");
}

static void test_others_are_raw(void)
{
    uint8_t buf[BDRV_PROBE_BYTES] = { 0 };

    g_assert_cmpstr(bdrv_probe_format(buf, sizeof(buf)), ==, "raw");
    g_assert_cmpstr(bdrv_probe_format(buf, 0), ==, "raw");
    buf[510] = 0x55;
    buf[511] = 0xaa;
    g_assert_cmpstr(bdrv_probe_format(buf, sizeof(buf)), ==, "raw");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/probe/magics", test_magics);
    g_test_add_func("/probe/qcow-versions", test_qcow_versions);
    g_test_add_func("/probe/vmdk-descriptor", test_vmdk_descriptor);
    g_test_add_func("/probe/raw", test_others_are_raw);
    return g_test_run();
}
