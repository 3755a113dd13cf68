#!/usr/bin/python3
"""Check that includes only go downwards, and that this check would notice

The layers are those of docs/devel/architecture.md.  A header belongs to the
layer of the folder that implements it.  Prints TAP.

SPDX-License-Identifier: GPL-2.0-or-later
"""

import re
import sys
from pathlib import Path

import tap

# Folder -> layer; the longest prefix of a path counts.
LAYERS = {
    'util': 0,
    'qapi': 1, 'qom': 1, 'io': 1,
    'nbd': 2, 'block': 2, 'block/options': 2,
    'block/drivers': 3,
    'block/export': 4, 'block/jobs': 4, 'block/io-cmds': 4,
    'replication': 5,
    'monitor': 6,
    'storage-daemon': 7,
}

# Public headers that folders below block/ implement
HEADERS = {
    'block/blkdebug.h': 'block/drivers',
    'block/colo-layers.h': 'block/drivers',
    'block/drivers.h': 'block/drivers',
    'block/export.h': 'block/export',
    'block/nbd-server.h': 'block/export',
    'block/io-cmds.h': 'block/io-cmds',
    'block/job.h': 'block/jobs',
    'block/keyval.h': 'block/options',
    'block/options.h': 'block/options',
    'block/replication.h': 'block/drivers',
    'block/run-state.h': 'block/export',
}

# Beyond the layers: the wire knows no graph.
FORBIDDEN = [
    ('nbd', 'block', 'the NBD wire code knows no graph'),
]

INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.MULTILINE)


def folder_of(path):
    """The folder of LAYERS that @path (no leading include/) is in, or None"""
    if path in HEADERS:
        return HEADERS[path]
    parts = path.split('/')[:-1]
    while parts:
        folder = '/'.join(parts)
        if folder in LAYERS:
            return folder
        parts.pop()
    return None


def check_source(path, text):
    """Complaints about the includes of the file @path with contents @text"""
    own = folder_of(path.removeprefix('include/'))
    if own is None:
        return []
    complaints = []
    for header in INCLUDE.findall(text):
        other = folder_of(header)
        if other is None:
            continue
        if LAYERS[other] > LAYERS[own]:
            complaints.append(
                f'{path}: layer {LAYERS[own]} ({own}) includes "{header}" '
                f'of layer {LAYERS[other]} ({other})')
        for low, high, why in FORBIDDEN:
            if own == low and other.split('/')[0] == high:
                complaints.append(f'{path}: includes "{header}": {why}')
    return complaints


def sources(root):
    for pattern in ('*.c', '*.h'):
        for top in sorted({key.split('/')[0] for key in LAYERS} | {'include'}):
            yield from sorted((root / top).rglob(pattern))


def check_tree(root):
    complaints = [f'{name} does not exist' for name in
                  [*LAYERS, *(f'include/{header}' for header in HEADERS)]
                  if not (root / name).exists()]
    for path in sources(root):
        complaints += check_source(str(path.relative_to(root)),
                                   path.read_text(encoding='utf-8'))
    return complaints


def check_self():
    """What must be noticed, and what must not"""
    bad = [
        ('util/a.c', '#include "block/graph.h"'),
        ('block/a.c', '#include "block/export.h"'),
        ('block/a.c', '#include "block/replication.h"'),
        ('block/drivers/a.c', '#include "block/run-state.h"'),
        ('block/a.c', '#include "monitor/monitor.h"'),
        ('include/io/a.h', '# include "nbd/nbd.h"'),
        ('nbd/a.c', '#include "block/io.h"'),
    ]
    good = [
        ('block/drivers/a.c', '#include "block/driver.h"'),
        ('storage-daemon/a.c', '#include "block/export.h"'),
        ('block/export/a.c', '#include "block/export.h"'),
        ('util/a.c', '#include "osdep.h"'),
        ('util/a.c', '#include <block/graph.h>'),
        ('nbd/a.c', '#include "io/channel.h"'),
    ]
    return ([f'not noticed: {path}: {text}' for path, text in bad
             if not check_source(path, text)] +
            [f'wrongly refused: {path}: {text}' for path, text in good
             if check_source(path, text)])


def main():
    root = Path(__file__).resolve().parent.parent
    tests = [('bad includes are noticed', check_self()),
             ('includes go downwards', check_tree(root))]
    return tap.report(tests)


if __name__ == '__main__':
    sys.exit(main())
