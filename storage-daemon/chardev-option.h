/*
 * Character devices as they stand on a command line
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef CHARDEV_OPTION_H
#define CHARDEV_OPTION_H

#include "qapi/qapi-types-char.h"

/*
 * -chardev: "socket,id=m,path=/s,server=on,wait=off", "stdio,id=x"...
 * *@id is set to the id; g_free.
 */
ChardevBackend *chardev_option_parse(const char *arg, char **id,
                                     GError **errp);

/*
 * -qmp and -monitor: "unix:/s,server=on,wait=off", "tcp:host:port,...",
 * "stdio", "null", "file:path".
 */
ChardevBackend *chardev_compat_parse(const char *arg, GError **errp);

#endif
