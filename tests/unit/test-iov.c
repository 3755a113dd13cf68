/*
 * Unit tests of scatter-gather vectors
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "util/iov.h"

/* "abcdefghij" in pieces of 3, 0, 5 and 2 bytes. */
static void fill(IOVector *qiov, char *text)
{
    iov_init(qiov, 0);
    iov_add(qiov, text, 3);
    iov_add(qiov, text + 3, 0);
    iov_add(qiov, text + 3, 5);
    iov_add(qiov, text + 8, 2);
}

static void test_copy_crosses_areas(void)
{
    char text[] = "abcdefghij";
    char out[7] = "";
    g_auto(IOVector) qiov;

    fill(&qiov, text);
    g_assert_cmpuint(qiov.size, ==, 10);
    iov_to_buf(&qiov, 2, out, 6);
    g_assert_cmpstr(out, ==, "cdefgh");
    iov_from_buf(&qiov, 2, "CDEFGH", 6);
    g_assert_cmpstr(text, ==, "abCDEFGHij");
    iov_memset(&qiov, 7, '.', 3);
    g_assert_cmpstr(text, ==, "abCDEFG...");
}

static void test_slice_is_a_window(void)
{
    char text[] = "abcdefghij";
    char out[6] = "";
    g_auto(IOVector) qiov, slice, sub;

    fill(&qiov, text);
    iov_init_slice(&slice, &qiov, 1, 8);
    g_assert_cmpuint(slice.size, ==, 8);
    g_assert_cmpint(slice.niov, ==, 3);
    iov_init_slice(&sub, &slice, 1, 5);
    iov_to_buf(&sub, 0, out, 5);
    g_assert_cmpstr(out, ==, "cdefg");
    g_assert_cmpint(sub.niov, ==, 2);
}

static void test_single_area_needs_no_memory(void)
{
    char buf[4] = "abc";
    IOVector qiov;

    iov_init_buf(&qiov, buf, sizeof(buf));
    g_assert_true(qiov.iov == &qiov.local);
    iov_destroy(&qiov);

    iov_init(&qiov, 1);
    iov_add(&qiov, buf, 2);
    g_assert_true(qiov.iov == &qiov.local);
    iov_destroy(&qiov);
}

static void test_external_array_is_not_ours(void)
{
    char buf[4] = "abc";
    struct iovec iov[2] = { { buf, 1 }, { buf + 1, 3 } };
    IOVector qiov;

    iov_init_external(&qiov, iov, 2);
    g_assert_cmpuint(qiov.size, ==, 4);
    iov_destroy(&qiov);
    g_assert_cmpuint(iov[1].iov_len, ==, 3);
}

static void test_many_areas(void)
{
    char buf[100];
    char out[100];
    g_auto(IOVector) qiov;

    iov_init(&qiov, 0);
    for (int i = 0; i < 100; i++) {
        buf[i] = (char)i;
        iov_add(&qiov, buf + i, 1);
    }
    iov_to_buf(&qiov, 0, out, 100);
    g_assert_cmpmem(out, 100, buf, 100);
}

static void test_discard_front(void)
{
    char text[] = "abcdefghij";
    struct iovec array[3] = { { text, 3 }, { text + 3, 5 }, { text + 8, 2 } };
    struct iovec *iov = array;
    int niov = 3;

    iov_discard_front(&iov, &niov, 4);
    g_assert_cmpint(niov, ==, 2);
    g_assert_true(iov->iov_base == text + 4);
    g_assert_cmpuint(iov->iov_len, ==, 4);
    iov_discard_front(&iov, &niov, 6);
    g_assert_cmpint(niov, ==, 0);
}

static void test_alignment(void)
{
    char *buf = g_aligned_alloc(1, 8192, 4096);
    g_auto(IOVector) qiov;

    iov_init(&qiov, 2);
    iov_add(&qiov, buf, 4096);
    g_assert_true(iov_is_aligned(&qiov, 4096));
    iov_add(&qiov, buf + 4096, 512);
    g_assert_false(iov_is_aligned(&qiov, 4096));
    g_assert_true(iov_is_aligned(&qiov, 512));
    g_aligned_free(buf);
}

static void test_zero_finds_each_byte(void)
{
    static const size_t sizes[] = { 0, 1, 7, 31, 32, 33, 64, 100, 255, 1024 };
    uint8_t buf[1024 + 3] = { 0 };

    for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
        for (int shift = 0; shift < 3; shift++) {
            uint8_t *p = buf + shift;

            g_assert_true(buffer_is_zero(p, sizes[i]));
            for (size_t j = 0; j < sizes[i]; j++) {
                p[j] = 1;
                g_assert_false(buffer_is_zero(p, sizes[i]));
                p[j] = 0;
            }
        }
    }
}

static void test_zero_of_vector(void)
{
    char zero[64] = "";
    char one[64] = "1";
    g_auto(IOVector) qiov;

    iov_init(&qiov, 2);
    iov_add(&qiov, zero, 64);
    iov_add(&qiov, one, 64);
    g_assert_false(iov_is_zero(&qiov, 0, 128));
    g_assert_true(iov_is_zero(&qiov, 0, 64));
    g_assert_true(iov_is_zero(&qiov, 65, 63));
    g_assert_false(iov_is_zero(&qiov, 60, 5));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/iov/copy/crosses-areas", test_copy_crosses_areas);
    g_test_add_func("/iov/slice/window", test_slice_is_a_window);
    g_test_add_func("/iov/init/single", test_single_area_needs_no_memory);
    g_test_add_func("/iov/init/external", test_external_array_is_not_ours);
    g_test_add_func("/iov/add/many", test_many_areas);
    g_test_add_func("/iov/discard-front", test_discard_front);
    g_test_add_func("/iov/aligned", test_alignment);
    g_test_add_func("/iov/zero/buffer", test_zero_finds_each_byte);
    g_test_add_func("/iov/zero/vector", test_zero_of_vector);
    return g_test_run();
}
