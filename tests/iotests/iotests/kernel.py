"""Between a daemon and the kernel: see its calls, refuse some

SPDX-License-Identifier: GPL-2.0-or-later
"""

import re
import subprocess
import sys
from collections import namedtuple
from pathlib import Path

from .tools import DEADLINE

CALL = re.compile(r'(\d+) +(\w+)\((.*)')
NUMBERS = {'listen': 50, 'clone': 56, 'chdir': 80, 'io_setup': 206,
           'signalfd4': 289, 'pipe2': 293, 'io_uring_setup': 425}  # of x86-64


SystemCall = namedtuple('SystemCall', 'thread name rest')


class SystemCalls:
    """What @daemon asks for by @names while the block runs, by strace"""

    def __init__(self, daemon, *names):
        self.path = daemon.directory / 'strace'
        self.command = ['strace', '-f', '-o', self.path, '-p', daemon.pid,
                        '-e', 'trace=' + ','.join(names)]

    def __enter__(self):
        # Not a child of the test: it must be gone before the test's end
        self.process = subprocess.Popen(list(map(str, self.command)),
                                        stdin=subprocess.DEVNULL,
                                        stderr=subprocess.PIPE, text=True)
        line = self.process.stderr.readline()
        if 'attached' not in line:
            raise AssertionError(f'strace: {line}')
        return self

    def __exit__(self, *_):
        self.process.send_signal(2)
        self.process.communicate(timeout=DEADLINE)
        with open(self.path, encoding='utf-8') as log:
            self.calls = [SystemCall(int(match[1]), match[2], match[3])
                          for match in map(CALL.match, log) if match]

    def names(self):
        return {call.name for call in self.calls}


def refuse(name):
    """Words to put before a command for which call @name is forbidden"""
    script = Path(__file__).with_name('without_call.py')
    return sys.executable, str(script), str(NUMBERS[name])
