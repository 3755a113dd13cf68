"""A running daemon: ours or QEMU's

SPDX-License-Identifier: GPL-2.0-or-later
"""

import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

from .qmp import QmpSession
from .tools import DEADLINE, sanitizer_findings

OURS = 'colo-storage-daemon'
PEER = 'qemu-storage-daemon'
QEMU = 'qemu-system-x86_64'     # its block layer has replication, no daemon

SANITIZER_ENV = {
    'ASAN_OPTIONS': 'detect_leaks=1:exitcode=99:'
                    'detect_stack_use_after_return=0',
    'UBSAN_OPTIONS': 'print_stacktrace=1:halt_on_error=1',
}


def find_binary(name):
    """The path of daemon @name"""
    if name in (PEER, QEMU):
        return shutil.which(name)
    given = os.environ.get('COLO_DAEMON')
    if given:
        return given
    root = Path(__file__).resolve().parents[3]
    for build in 'build', 'build-check':
        path = root / build / 'storage-daemon' / OURS
        if path.exists():
            return str(path)
    raise FileNotFoundError(f'no {OURS}: build it or set COLO_DAEMON')


def is_linked(library):
    """Whether our daemon was built with @library"""
    return f'{library}.so.'.encode() in Path(find_binary(OURS)).read_bytes()


class Daemon:
    """One process with @monitors sockets for QMP

    A socket chardev serves one peer at a time, as in QEMU: whoever wants
    several sessions at once needs several monitors.
    """

    def __init__(self, directory, args, name=OURS, monitors=1, prefix=(),
                 env=None):
        self.name = name
        self.directory = Path(directory)
        self.log_path = self.directory / 'stderr'
        self.qmp = None
        self.sessions = []
        command = [*prefix, find_binary(name)]
        for number in range(monitors):
            command += self.monitor_args(number)
        self.command = [*command, *map(str, args)]
        with open(self.log_path, 'wb') as log:
            self.process = subprocess.Popen(
                self.command, stdin=subprocess.DEVNULL, stdout=log,
                stderr=log,
                env={**os.environ, **SANITIZER_ENV, **(env or {})})
        if monitors:
            self.connect_first()

    def monitor_path(self, number=0):
        return str(self.directory / f'qmp{number}.sock')

    def monitor_args(self, number):
        mon = '-mon' if self.name == QEMU else '--monitor'
        path = self.monitor_path(number)
        return ['--chardev', f'socket,id=qmp{number},path={path},'
                             'server=on,wait=off',
                mon, f'chardev=qmp{number},mode=control']

    @property
    def pid(self):
        return self.process.pid

    def log(self):
        return self.log_path.read_text(encoding='utf-8', errors='replace')

    def connect_first(self):
        """Wait until the monitor listens; the socket cannot tell us"""
        deadline = time.monotonic() + DEADLINE
        while True:
            try:
                self.qmp = self.connect()
                return
            except (FileNotFoundError, ConnectionRefusedError):
                if self.process.poll() is not None:
                    raise AssertionError(
                        f'{" ".join(self.command)} ended with status '
                        f'{self.process.returncode}:\n{self.log()}') from None
                if time.monotonic() > deadline:
                    self.kill()
                    raise
            time.sleep(0.005)

    def connect(self, number=0, **kwargs):
        """A session on monitor @number"""
        session = QmpSession(self.monitor_path(number), **kwargs)
        self.sessions.append(session)
        return session

    def cmd(self, name, arguments=None, **kwargs):
        return self.qmp.cmd(name, arguments, **kwargs)

    def hmp(self, line):
        return self.qmp.hmp(line)

    def event_wait(self, name, match=None, timeout=None):
        return self.qmp.event_wait(name, match, timeout)

    def wait(self, timeout=DEADLINE):
        """Wait for the end; returns the exit status"""
        try:
            return self.process.wait(timeout)
        finally:
            for session in self.sessions:
                session.close()

    def quit(self):
        """Ask it to end as a user would; returns the exit status"""
        if self.process.poll() is None:
            if self.qmp:
                try:
                    self.qmp.cmd('quit')
                except (ConnectionError, OSError):
                    pass
            else:
                self.process.send_signal(signal.SIGTERM)
        return self.wait()

    def kill(self):
        """End it without asking"""
        self.process.kill()
        self.wait()

    def findings(self):
        """What sanitizers found"""
        return sanitizer_findings(self.log())

    # What the process holds

    def status(self, key):
        """A number of /proc/PID/status"""
        for line in Path(f'/proc/{self.pid}/status').read_text().splitlines():
            name, _, value = line.partition(':')
            if name == key:
                return int(value.split()[0])
        raise KeyError(key)

    def descriptors(self):
        return len(os.listdir(f'/proc/{self.pid}/fd'))


def free_port():
    """A TCP port that nobody listens on now"""
    with socket.socket() as sock:
        sock.bind(('127.0.0.1', 0))
        return sock.getsockname()[1]
