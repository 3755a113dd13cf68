# The QMP reference manual: a man page and an HTML page
#
# SPDX-License-Identifier: GPL-2.0-or-later


def write(schema, outdir, name, version):
    pass
