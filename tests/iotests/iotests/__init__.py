"""The harness of the black-box tests

A test is an executable script without extension in the folder above: it
imports this package, derives from DaemonTestCase and calls main().  See
docs/devel/testing.md.

SPDX-License-Identifier: GPL-2.0-or-later
"""

from .case import DaemonTestCase, against_peer, requires
from .daemon import OURS, PEER, QEMU, Daemon
from .mixed_pair import Guest, Pair, Side
from .nbd_proxy import NbdProxy
from .qmp import QmpError, QmpSession
from .runner import main
from .tools import KiB, MiB, GiB, run, seed, sha256

__all__ = ['DaemonTestCase', 'against_peer', 'requires', 'OURS', 'PEER',
           'QEMU', 'Daemon', 'Guest', 'NbdProxy', 'Pair', 'Side', 'QmpError',
           'QmpSession', 'main', 'KiB', 'MiB', 'GiB', 'run', 'seed', 'sha256']
