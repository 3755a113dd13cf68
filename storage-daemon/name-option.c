/*
 * -name [guest=]NAME[,process=NAME][,debug-threads=on|off]
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "storage-daemon.h"

#include <sys/prctl.h>

#include "block/keyval.h"
#include "monitor/monitor.h"
#include "util/log.h"

static bool apply(json_t *opts, GError **errp)
{
    const char *key;
    json_t *value;

    json_object_foreach(opts, key, value) {
        const char *text = json_string_value(value);

        if (text && g_str_equal(key, "guest")) {
            monitor_set_guest_name(text);
        } else if (text && g_str_equal(key, "process")) {
            prctl(PR_SET_NAME, text, 0, 0, 0);
        } else if (text && g_str_equal(key, "debug-threads")) {
            info_report("-name: threads have no names here, ignored: %s", key);
        } else {
            error_setg(errp, "Invalid parameter '%s', expected guest, process "
                       "or debug-threads", key);
            return false;
        }
    }
    return true;
}

bool coroutine_fn name_option_apply(const char *arg, GError **errp)
{
    json_t *opts = keyval_parse(arg, "guest", NULL, errp);
    bool ok = opts && apply(opts, errp);

    json_decref(opts);
    return ok;
}
