/*
 * Lines of the human monitor
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef MONITOR_HMP_H
#define MONITOR_HMP_H

/* Print to @out; @args is the rest of the line, without surrounding space. */
typedef void coroutine_fn HmpHandler(const char *args, GString *out);

typedef struct HmpCommand {
    const char *name;
    const char *params;         /* for help */
    const char *help;
    HmpHandler *handler;
} HmpCommand;

/* Print @err, if there is one, the way that people are used to; frees it. */
void hmp_error(GString *out, GError *err);

/* The line does not fit the command @name: say what is wrong. */
void hmp_usage(GString *out, const char *name, const char *what);

/* Take the next word off *@p: quoted by "..." or up to a space; NULL: none. */
char *hmp_word(const char **p);

/*
 * Take the flags ("-n") in front of the arguments: one of @known is put into
 * @found at its place there.  false: an unknown one, which the user was told.
 */
bool hmp_take_flags(const char *name, const char **args, const char *known,
                    char *found, GString *out);

HmpHandler hmp_block_resize, hmp_cont, hmp_drive_add, hmp_drive_del, hmp_help,
    hmp_info_block, hmp_info_blockstats, hmp_info_jobs, hmp_info_replication,
    hmp_info_status, hmp_info_version, hmp_nbd_server_add,
    hmp_nbd_server_remove, hmp_nbd_server_start, hmp_nbd_server_stop,
    hmp_object_add, hmp_object_del, hmp_qemu_io, hmp_quit, hmp_stop;

#endif
