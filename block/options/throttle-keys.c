/*
 * Throttling keys of -drive
 *
 * throttling.bps-total=... and the older bps=..., as block_set_io_throttle
 * names them.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "block/options.h"

static const struct {
    const char *key;            /* after "throttling." */
    const char *legacy;         /* the old spelling, NULL: none */
    const char *member;         /* of BlockIOThrottle */
    bool mandatory;
} throttle_keys[] = {
    { "bps-total", "bps", "bps", true },
    { "bps-read", "bps_rd", "bps_rd", true },
    { "bps-write", "bps_wr", "bps_wr", true },
    { "iops-total", "iops", "iops", true },
    { "iops-read", "iops_rd", "iops_rd", true },
    { "iops-write", "iops_wr", "iops_wr", true },
    { "bps-total-max", "bps_max", "bps_max" },
    { "bps-read-max", "bps_rd_max", "bps_rd_max" },
    { "bps-write-max", "bps_wr_max", "bps_wr_max" },
    { "iops-total-max", "iops_max", "iops_max" },
    { "iops-read-max", "iops_rd_max", "iops_rd_max" },
    { "iops-write-max", "iops_wr_max", "iops_wr_max" },
    { "bps-total-max-length", NULL, "bps_max_length" },
    { "bps-read-max-length", NULL, "bps_rd_max_length" },
    { "bps-write-max-length", NULL, "bps_wr_max_length" },
    { "iops-total-max-length", NULL, "iops_max_length" },
    { "iops-read-max-length", NULL, "iops_rd_max_length" },
    { "iops-write-max-length", NULL, "iops_wr_max_length" },
    { "iops-size", "iops_size", "iops_size" },
    { "group", "group", "group" },
};

/*
 * Move @key of @opts to @member of *@limits; false if it is there, by the
 * name @modern.
 */
static bool take(json_t *opts, const char *key, const char *modern,
                 const char *member, json_t **limits, GError **errp)
{
    json_t *value = json_object_get(opts, key);

    if (!value) {
        return true;
    }
    if (!*limits) {
        *limits = json_object();
    }
    if (json_object_get(*limits, member)) {
        error_setg(errp, "'%s' and its alias '%s' can't be used at the same "
                   "time", modern, key);
        return false;
    }
    json_object_set(*limits, member, value);
    json_object_del(opts, key);
    return true;
}

json_t *throttle_keys_take(json_t *opts, bool *ok, GError **errp)
{
    json_t *limits = NULL;
    size_t i;

    *ok = false;
    for (i = 0; i < ARRAY_SIZE(throttle_keys); i++) {
        const char *legacy = throttle_keys[i].legacy;
        const char *member = throttle_keys[i].member;
        g_autofree char *key = g_strconcat("throttling.",
                                           throttle_keys[i].key, NULL);

        if (!take(opts, key, key, member, &limits, errp) ||
            (legacy && !take(opts, legacy, key, member, &limits, errp))) {
            json_decref(limits);
            return NULL;
        }
    }

    *ok = true;
    for (i = 0; limits && i < ARRAY_SIZE(throttle_keys); i++) {
        if (throttle_keys[i].mandatory &&
            !json_object_get(limits, throttle_keys[i].member)) {
            json_object_set_new(limits, throttle_keys[i].member,
                                json_string("0"));
        }
    }
    return limits;
}
