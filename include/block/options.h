/*
 * -drive, drive_add and -blockdev: from a user's text to typed options
 *
 * A -drive string goes through flat keys, a tree of strings with QEMU's short
 * forms written out, and typed options.  All but those
 * with _co_ in their names are pure functions.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef BLOCK_OPTIONS_H
#define BLOCK_OPTIONS_H

#include <jansson.h>

#include "block/graph.h"
#include "qapi/qapi-types-block-core.h"

/*
 * "a=b,c,nod" to {"a": "b", "c": "on", "d": "off"}; keys are not split, the
 * last of several equal ones counts.  New reference.
 */
json_t *optstr_parse(const char *optstr, GError **errp);

/*
 * The options that @filename, in UTF-8, stands for, "driver" among them: a
 * path, file:, host_device:, null-co://, or one of NBD's forms.  With @driver,
 * a filename for that driver.  A path may be that of a device:
 * node_tree_co_open() looks.  New reference.
 */
json_t *filename_parse(const char *filename, const char *driver,
                       GError **errp);

/* The same for nbd://, nbd+tcp://, nbd+unix://, nbd:host:port, nbd:unix:. */
json_t *nbd_filename_parse(const char *filename, GError **errp);

/* Replace host=, port=, path= in nbd's options by server.*. */
bool nbd_legacy_keys(json_t *node, GError **errp);

/*
 * Write out what is implied in the tree @node of a root node: drivers of
 * protocol nodes, NBD's old keys, "" for no backing.  Other nodes may be
 * without a driver, if they have a file.
 */
bool node_tree_complete(json_t *node, GError **errp);

/* Let all files in the tree use @aio unless they say otherwise. */
void node_tree_set_aio(json_t *node, const char *aio);

/*
 * Call @fn for each node directly below @node, with the name of the child.
 * It returns what takes the place of @child, a new reference, or NULL to
 * stop, in which case false is returned.
 */
typedef json_t *NodeTreeMap(json_t *child, json_t *parent, const char *name,
                            void *opaque);
bool node_tree_map(json_t *node, NodeTreeMap *fn, void *opaque);

/*
 * Where a node of the tree is to be probed, some nodes are opened on their
 * own: write out what all of them inherit from those above them.
 */
void node_tree_inherit(json_t *node);

/*
 * Open the tree, which is changed.  Nodes without a driver are opened by
 * what is found in their file.
 */
BlockDriverState *coroutine_fn node_tree_co_open(json_t *node, GError **errp);

/*
 * Take the throttling keys (throttling.* and the old bps=...) out of the flat
 * @opts: a BlockIOThrottle as strings, NULL with *@ok false on error, NULL if
 * there are none.
 */
json_t *throttle_keys_take(json_t *opts, bool *ok, GError **errp);

/* What a -drive says. */
typedef struct DriveSpec {
    char *id;                   /* NULL: to be made up */
    const char *interface;      /* of if=, "none" when absent */
    int index, bus, unit;       /* -1: not given */
    bool cdrom;
    bool read_only;
    bool writethrough;
    json_t *node;               /* NULL: a drive without a medium */
    json_t *throttle;           /* NULL: no limits */
} DriveSpec;

DriveSpec *drive_spec_parse(const char *optstr, GError **errp);
void drive_spec_free(DriveSpec *spec);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(DriveSpec, drive_spec_free)

/*
 * Settle bus, unit and id of @spec given the drives there are (see
 * drive_info_foreach()).  Fails when the place is taken.
 */
bool drive_spec_place(DriveSpec *spec, GError **errp);

/* A -blockdev argument, JSON or keys. */
BlockdevOptions *blockdev_options_parse(const char *arg, GError **errp);

/* A drive that exists, by its BlockBackend's name. */
typedef struct DriveInfo {
    char *id;
    const char *interface;
    int bus, unit;
    bool cdrom;
} DriveInfo;

DriveInfo *drive_info_find(const char *id);
DriveInfo *drive_info_at(const char *interface, int bus, int unit);

/* Options that name a drive: the most devices a bus of @interface has, or 0. */
int drive_interface_max_devs(const char *interface);
/* The constant of that name, NULL if there is no such interface. */
const char *drive_interface_find(const char *name);

/* Remember the placed @spec; forget @id. */
void drive_info_add(const DriveSpec *spec);
void drive_info_del(const char *id);

/*
 * Open a drive and name it.  Holds the graph mutex.  On failure nothing has
 * changed.  @hotplug (drive_add): only if=none.  Returns the drive, owned by
 * the list of drives.
 */
const DriveInfo *coroutine_fn drive_co_add(const char *optstr, bool hotplug,
                                           GError **errp);

/* drive_add -n: a node that the monitor owns, with the keys of -drive. */
bool coroutine_fn drive_co_add_node(const char *optstr, GError **errp);

/* drive_del: a drive that nothing uses, or a node of the monitor. */
bool coroutine_fn drive_co_del(const char *id, GError **errp);

/* Free every drive; the daemon's end. */
void coroutine_fn drive_co_close_all(void);

#endif
