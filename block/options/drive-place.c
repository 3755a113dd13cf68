/*
 * Which drives there are, and at which place of which bus
 *
 * A guest's machine is not here, but command lines that put two disks at one
 * place are refused as QEMU refuses them.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "block/options.h"

#include "util/aio.h"

typedef struct DriveTable {
    GPtrArray *drives;          /* of DriveInfo */
} DriveTable;

static void drive_info_free(gpointer data)
{
    DriveInfo *info = data;

    g_free(info->id);
    g_free(info);
}

static void drive_table_init(AioContext *ctx, void *data)
{
    DriveTable *table = data;

    table->drives = g_ptr_array_new_with_free_func(drive_info_free);
}

static void drive_table_fini(AioContext *ctx, void *data)
{
    DriveTable *table = data;

    g_ptr_array_unref(table->drives);
}

static const AioLocal drive_table_key = {
    .size = sizeof(DriveTable),
    .init = drive_table_init,
    .fini = drive_table_fini,
};

static GPtrArray *drives(void)
{
    DriveTable *table = aio_local_get(aio_get_current(), &drive_table_key);

    return table->drives;
}

/* Interfaces with the number of devices on a bus of theirs, 0: one bus. */
static const struct {
    const char *name;
    int max_devs;
} interfaces[] = {
    { "none", 0 }, { "ide", 2 }, { "scsi", 7 }, { "floppy", 0 },
    { "pflash", 0 }, { "mtd", 0 }, { "sd", 0 }, { "virtio", 0 },
    { "xen", 0 },
};

const char *drive_interface_find(const char *name)
{
    size_t i;

    for (i = 0; i < ARRAY_SIZE(interfaces); i++) {
        if (g_str_equal(interfaces[i].name, name)) {
            return interfaces[i].name;
        }
    }
    return NULL;
}

int drive_interface_max_devs(const char *interface)
{
    size_t i;

    for (i = 0; i < ARRAY_SIZE(interfaces); i++) {
        if (g_str_equal(interfaces[i].name, interface)) {
            return interfaces[i].max_devs;
        }
    }
    return 0;
}

DriveInfo *drive_info_find(const char *id)
{
    guint i;

    for (i = 0; i < drives()->len; i++) {
        DriveInfo *info = g_ptr_array_index(drives(), i);

        if (g_str_equal(info->id, id)) {
            return info;
        }
    }
    return NULL;
}

DriveInfo *drive_info_at(const char *interface, int bus, int unit)
{
    guint i;

    for (i = 0; i < drives()->len; i++) {
        DriveInfo *info = g_ptr_array_index(drives(), i);

        if (g_str_equal(info->interface, interface) && info->bus == bus &&
            info->unit == unit) {
            return info;
        }
    }
    return NULL;
}

void drive_info_add(const DriveSpec *spec)
{
    DriveInfo *info = g_new0(DriveInfo, 1);

    info->id = g_strdup(spec->id);
    info->interface = spec->interface;
    info->bus = spec->bus;
    info->unit = spec->unit;
    info->cdrom = spec->cdrom;
    g_ptr_array_add(drives(), info);
}

void drive_info_del(const char *id)
{
    DriveInfo *info = drive_info_find(id);

    if (info) {
        g_ptr_array_remove(drives(), info);
    }
}

/* The first free place, on any bus if the user named none. */
static void find_free_unit(DriveSpec *spec, int max_devs)
{
    spec->unit = 0;
    while (drive_info_at(spec->interface, spec->bus, spec->unit)) {
        spec->unit++;
        if (max_devs && spec->unit >= max_devs) {
            spec->unit = 0;
            spec->bus++;
        }
    }
}

static bool settle_place(DriveSpec *spec, GError **errp)
{
    int max_devs = drive_interface_max_devs(spec->interface);
    int index;

    if (spec->index >= 0) {
        if (spec->bus >= 0 || spec->unit >= 0) {
            error_setg(errp, "index cannot be used with bus and unit");
            return false;
        }
        spec->bus = max_devs ? spec->index / max_devs : 0;
        spec->unit = max_devs ? spec->index % max_devs : spec->index;
    }
    spec->bus = MAX(spec->bus, 0);
    if (spec->unit < 0) {
        find_free_unit(spec, max_devs);
    }
    if (max_devs && spec->unit >= max_devs) {
        error_setg(errp, "unit %d too big (max is %d)", spec->unit,
                   max_devs - 1);
        return false;
    }
    if (drive_info_at(spec->interface, spec->bus, spec->unit)) {
        index = max_devs ? spec->bus * max_devs + spec->unit : spec->unit;
        error_setg(errp, "drive with bus=%d, unit=%d (index=%d) exists",
                   spec->bus, spec->unit, index);
        return false;
    }
    return true;
}

/* "ide0-hd0", "virtio0": names that QEMU makes up too. */
static char *make_id(const DriveSpec *spec)
{
    const char *media = "";

    if (drive_interface_max_devs(spec->interface)) {
        media = spec->cdrom ? "-cd" : "-hd";
        return g_strdup_printf("%s%d%s%d", spec->interface, spec->bus, media,
                               spec->unit);
    }
    return g_strdup_printf("%s%d", spec->interface, spec->unit);
}

bool drive_spec_place(DriveSpec *spec, GError **errp)
{
    if (spec->id && drive_info_find(spec->id)) {
        error_setg(errp, "Duplicate ID '%s' for drive", spec->id);
        return false;
    }
    if (!settle_place(spec, errp)) {
        return false;
    }
    if (!spec->id) {
        spec->id = make_id(spec);
    }
    return true;
}
