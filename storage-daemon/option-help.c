/*
 * Lists of names that options give instead of doing something
 *
 *   -object help, -object TYPE,help, -chardev help, -drive format=help;
 *   -trace help is with the rest of -trace.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "storage-daemon.h"

#include "block/driver.h"
#include "block/keyval.h"
#include "block/options.h"
#include "qapi/qapi-types-char.h"
#include "qom/object.h"

static bool is_help(const char *word)
{
    return word && (g_str_equal(word, "help") || g_str_equal(word, "?"));
}

static gint compare_names(gconstpointer a, gconstpointer b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void add_option(const char *name, const char *type, void *opaque)
{
    g_ptr_array_add(opaque, g_strdup_printf("  %s=<%s>\n", name, type));
}

static void help_object_type(ObjectType type, GString *out)
{
    g_autoptr(GPtrArray) lines = g_ptr_array_new_with_free_func(g_free);
    guint i;

    object_type_foreach_option(type, add_option, lines);
    g_ptr_array_sort(lines, compare_names);
    g_string_append_printf(out, "%s options:\n", ObjectType_str(type));
    for (i = 0; i < lines->len; i++) {
        g_string_append(out, g_ptr_array_index(lines, i));
    }
}

static void help_object(const char *arg, GString *out)
{
    bool help = false;
    json_t *tree = keyval_parse(arg, "qom-type", &help, NULL);
    const char *name = json_string_value(json_object_get(tree, "qom-type"));
    int type = name ? ObjectType_parse(name, NULL) : -1;

    if (help && type >= 0) {
        help_object_type(type, out);
    } else if (help && !name) {
        g_string_append(out, "List of user creatable objects:\n");
        for (type = 0; type < OBJECT_TYPE__MAX; type++) {
            g_string_append_printf(out, "  %s\n", ObjectType_str(type));
        }
    }
    json_decref(tree);
}

static void help_chardev(const char *arg, GString *out)
{
    int kind;

    if (!is_help(arg)) {
        return;
    }
    g_string_append(out, "Available chardev backend types: \n");
    for (kind = 0; kind < CHARDEV_BACKEND_KIND__MAX; kind++) {
        g_string_append_printf(out, "  %s\n", ChardevBackendKind_str(kind));
    }
}

static void help_drive(const char *arg, GString *out)
{
    json_t *opts = optstr_parse(arg, NULL);
    int driver;

    if (is_help(json_string_value(json_object_get(opts, "format")))) {
        g_string_append(out, "Supported formats:");
        for (driver = 0; driver < BLOCKDEV_DRIVER__MAX; driver++) {
            if (bdrv_find_driver(BlockdevDriver_str(driver))) {
                g_string_append_printf(out, " %s",
                                       BlockdevDriver_str(driver));
            }
        }
        g_string_append(out, "\n");
    }
    json_decref(opts);
}

static void help_machine(const char *name, const char *arg, GString *out)
{
    if (is_help(arg) || (arg && g_str_has_suffix(arg, ",help"))) {
        g_string_append_printf(out, "%s: there is no machine here, nothing to "
                               "list\n", name);
    }
}

char *option_help(const CommandLine *cl)
{
    GString *out = g_string_new(NULL);
    guint i;

    for (i = 0; i < cl->given->len && !out->len; i++) {
        GivenOption *given = &g_array_index(cl->given, GivenOption, i);

        switch (given->option) {
        case OPT_OBJECT:
            help_object(given->arg, out);
            break;
        case OPT_CHARDEV:
            help_chardev(given->arg, out);
            break;
        case OPT_DRIVE:
            help_drive(given->arg, out);
            break;
        case OPT_IGNORED:
            help_machine(given->name, given->arg, out);
            break;
        default:
            break;
        }
    }
    return g_string_free(out, out->len == 0);
}
