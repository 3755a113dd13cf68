/*
 * What the parts of nbd-load share
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef NBD_LOAD_H
#define NBD_LOAD_H

#define DEADLINE_SECONDS 30             /* without a word from the server */

/* A connection on which requests can be sent */
typedef struct NBDExport {
    int fd;
    bool structured;            /* replies, as agreed with the server */
    bool read_only;
    uint64_t size;
} NBDExport;

/* Any failure ends the program. */
void G_GNUC_NORETURN G_GNUC_PRINTF(1, 2) die(const char *format, ...);

void nbd_export_connect(NBDExport *e, const char *uri);
void nbd_export_send(NBDExport *e, const void *data, size_t bytes);
/* What is there, at least one byte */
size_t nbd_export_receive(NBDExport *e, void *buf, size_t size);

#endif
