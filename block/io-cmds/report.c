/*
 * What qemu-io's commands print
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "io-cmds-int.h"

char *io_format_size(double value)
{
    static const char *const units[] = { "KiB", "MiB", "GiB", "TiB", "PiB",
                                         "EiB" };
    double scaled = value / 1024;
    g_autofree char *digits = NULL;
    const char *unit = "bytes";
    char *dot;
    size_t i = 0;

    if (scaled >= 1) {
        while (scaled >= 1024 && i + 1 < ARRAY_SIZE(units)) {
            scaled /= 1024;
            i++;
        }
        unit = units[i];
        digits = g_strdup_printf("%.3f", scaled);
    } else {
        digits = g_strdup_printf("%f", value);
    }
    dot = strstr(digits, ".000");
    if (dot) {
        *dot = '\0';
    }
    return g_strdup_printf("%s %s", digits, unit);
}

/* "00.02 sec", with hours and minutes when there are any or if @full. */
static char *format_time(int64_t ns, bool full)
{
    int64_t seconds = ns / NANOSECONDS_PER_SECOND;
    int64_t hundredths = ns % NANOSECONDS_PER_SECOND / 10000000;

    if (full || seconds >= 60) {
        return g_strdup_printf("%" PRId64 ":%02d:%02d.%02d", seconds / 3600,
                               (int)(seconds / 60 % 60), (int)(seconds % 60),
                               (int)hundredths);
    }
    return g_strdup_printf("%02d.%02d sec", (int)seconds, (int)hundredths);
}

void io_report(GString *out, const char *op, int64_t offset, int64_t count,
               int64_t total, int64_t ns, bool machine)
{
    double seconds = MAX(ns, 1) / 1e9;
    g_autofree char *time = format_time(ns, machine);
    g_autofree char *size = io_format_size(total);
    g_autofree char *rate = io_format_size(total / seconds);

    if (machine) {
        g_string_append_printf(out, "%" PRId64 ",1,%s,%.3f,%.3f\n", total,
                               time, total / seconds, 1 / seconds);
        return;
    }
    g_string_append_printf(out, "%s %" PRId64 "/%" PRId64 " bytes at offset "
                           "%" PRId64 "\n%s, 1 ops; %s (%s/sec and %.4f "
                           "ops/sec)\n", op, total, count, offset, size, time,
                           rate, 1 / seconds);
}

void io_dump(GString *out, const uint8_t *buf, int64_t offset, size_t bytes)
{
    size_t i, j, n;

    for (i = 0; i < bytes; i += 16) {
        n = MIN(bytes - i, 16);
        g_string_append_printf(out, "%08" PRIx64 ":  ", offset + (int64_t)i);
        for (j = 0; j < n; j++) {
            g_string_append_printf(out, "%02x ", buf[i + j]);
        }
        g_string_append_c(out, ' ');
        for (j = 0; j < n; j++) {
            g_string_append_c(out, g_ascii_isalnum(buf[i + j])
                              ? (char)buf[i + j] : '.');
        }
        g_string_append_c(out, '\n');
    }
}
