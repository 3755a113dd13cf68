/*
 * Lines of the human monitor
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef MONITOR_HMP_H
#define MONITOR_HMP_H

#define HMP_FLAGS_MAX 2
#define HMP_WORDS_MAX 2

/* What stands behind the command in a line */
typedef struct HmpArgs {
    bool flag[HMP_FLAGS_MAX];   /* of the command's flags, which are given */
    char *word[HMP_WORDS_MAX];  /* NULL: not given */
} HmpArgs;

/* Print to @out.  @args has all words that the command needs. */
typedef void coroutine_fn HmpHandler(const HmpArgs *args, GString *out);

typedef struct HmpCommand {
    const char *name;
    const char *params;         /* for help */
    const char *help;
    HmpHandler *handler;

    const char *flags;          /* "nv": knows -n and -v; NULL: none */
    const char *needs;          /* names the words that must be there */
    unsigned n_needed;
    unsigned n_words;           /* how many may be there; 0: just @n_needed */
    bool whole_rest;            /* one word, which is the rest of the line */
} HmpCommand;

/* Print @err, if there is one, the way that people are used to; frees it. */
void hmp_error(GString *out, GError *err);

/*
 * Take the next word off *@p: quoted by "..." or up to a space.  NULL: there
 * is none, or a quote without end, which stays there.
 */
char *hmp_word(const char **p);

HmpHandler hmp_block_resize, hmp_cont, hmp_drive_add, hmp_drive_del, hmp_help,
    hmp_info_block, hmp_info_blockstats, hmp_info_jobs, hmp_info_replication,
    hmp_info_status, hmp_info_version, hmp_nbd_server_add,
    hmp_nbd_server_remove, hmp_nbd_server_start, hmp_nbd_server_stop,
    hmp_object_add, hmp_object_del, hmp_qemu_io, hmp_quit, hmp_stop;

#endif
