/*
 * Run a fuzz target over files: main() where there is no libFuzzer
 *
 * Arguments are files and folders of them, whose regular files are run one
 * by one in the order of their names.  Prints TAP: one case for an argument.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "fuzz.h"

static void run_file(const char *path)
{
    g_autofree char *data = NULL;
    g_autoptr(GError) err = NULL;
    size_t size;

    if (!g_file_get_contents(path, &data, &size, &err)) {
        g_error("%s", err->message);
    }
    /* A copy of exactly that size, so that ASan sees reads beyond it */
    {
        g_autofree uint8_t *copy = g_memdup2(data, size);

        LLVMFuzzerTestOneInput(copy, size);
    }
}

static gint compare(gconstpointer a, gconstpointer b)
{
    return strcmp(*(const char **)a, *(const char **)b);
}

/* Returns how many files there were. */
static unsigned run_folder(const char *path)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
    GDir *dir = g_dir_open(path, 0, NULL);
    const char *name;
    unsigned i;

    if (!dir) {
        run_file(path);
        return 1;
    }
    while ((name = g_dir_read_name(dir))) {
        g_ptr_array_add(names, g_build_filename(path, name, NULL));
    }
    g_dir_close(dir);

    g_ptr_array_sort(names, compare);
    for (i = 0; i < names->len; i++) {
        run_file(names->pdata[i]);
    }
    return names->len;
}

int main(int argc, char **argv)
{
    int i;

    printf("1..%d\n", argc - 1);
    for (i = 1; i < argc; i++) {
        unsigned n = run_folder(argv[i]);

        printf("%s %d - %u inputs of %s\n", n > 0 ? "ok" : "not ok", i, n,
               argv[i]);
    }
    return argc < 2;
}
