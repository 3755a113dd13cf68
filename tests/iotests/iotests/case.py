"""The base of all tests that start daemons

Whatever a test starts is registered for clean-up; after each test every
daemon must have ended with status 0, without a word from a sanitizer, and
without leaving a child behind.

SPDX-License-Identifier: GPL-2.0-or-later
"""

import contextlib
import ctypes
import os
import shutil
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

from . import tls
from .daemon import OURS, PEER, Daemon, free_port, is_linked
from .qmp import QmpError
from .tools import have, run

PR_SET_CHILD_SUBREAPER = 36
ACCEPTS_CONNECTIONS = 0x10000   # among the flags in /proc/net/unix


def requires(*programs):
    """Skip the test or class, visibly, where a program is missing

    "build:libNAME" is a library that the daemon must have been built with.
    """
    missing = [name for name in programs if not (
        is_linked(name.removeprefix('build:')) if name.startswith('build:')
        else have(name))]
    return unittest.skipIf(missing, f'needs {", ".join(missing)}')


def against_peer(cls):
    """Run every test of @cls against QEMU's daemon too

    Where both have a feature, both pass the same test: self.binary says
    which one start_daemon() starts.
    """
    peer = type(cls.__name__ + 'Peer', (cls,),
                {'binary': PEER, '__module__': cls.__module__})
    setattr(sys.modules[cls.__module__], peer.__name__, requires(PEER)(peer))
    return cls


def become_subreaper():
    """Orphans of daemons become our children, so that we see them"""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def children():
    """Ids and names of our child processes"""
    found = {}
    for entry in Path('/proc').iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                name, rest = (entry / 'stat').read_text().rsplit(')', 1)
                if int(rest.split()[1]) == os.getpid():
                    found[int(entry.name)] = name.split('(', 1)[1]
    return found


def is_ready(path):
    """Whether @path is there and, if it is a socket, listens"""
    if not Path(path).is_socket():
        return Path(path).exists()
    with open('/proc/net/unix', encoding='utf-8') as sockets:
        fields = [line.split() for line in sockets][1:]
    return any(field[-1] == path and int(field[3], 16) & ACCEPTS_CONNECTIONS
               for field in fields)


class DaemonTestCase(unittest.TestCase):
    """A test that starts daemons, servers and clients"""

    binary = OURS
    longMessage = True

    def run(self, result=None):
        """Give every test its directory before setUp and check it after"""
        become_subreaper()
        self.scratch = Path(tempfile.mkdtemp(prefix='colo-'))
        self.daemons = []
        self.servers = []
        try:
            return super().run(result)
        finally:
            self._stop_everything()
            shutil.rmtree(self.scratch, ignore_errors=True)

    def _callTestMethod(self, method):
        super()._callTestMethod(method)
        self.finish_daemons()
        self.addCleanup(self.check_no_children)

    def _stop_everything(self):
        for daemon in self.daemons:
            if daemon.process.poll() is None:
                daemon.kill()
        for server in self.servers:
            if server.poll() is None:
                server.kill()
            server.wait()

    # Daemons

    def start_daemon(self, *args, binary=None, monitors=1, prefix=(),
                     env=None):
        """Start the daemon under test with @args; checked after the test"""
        directory = tempfile.mkdtemp(prefix='daemon-', dir=self.scratch)
        daemon = Daemon(directory, args, binary or self.binary, monitors,
                        prefix, env)
        daemon.checked = False
        self.daemons.append(daemon)
        return daemon

    def finish_daemons(self):
        """All daemons quit on request, with status 0, and clean"""
        for daemon in self.daemons:
            if not daemon.checked:
                self.finish(daemon)

    def finish(self, daemon, status=0):
        """Quit @daemon now and check it"""
        daemon.checked = True
        self.assertEqual(daemon.quit(), status, daemon.log())
        self.assertEqual(daemon.findings(), '')

    def run_daemon(self, *args, status=0, **kwargs):
        """Run the daemon to its end, which must have @status; its output"""
        daemon = self.start_daemon(*args, monitors=0, **kwargs)
        daemon.checked = True
        self.assertEqual(daemon.wait(), status, daemon.log())
        self.assertEqual(daemon.findings(), '')
        return daemon.log()

    def other_children(self):
        """Orphans that live; dead ones are buried"""
        own = {process.pid for process in self.servers} | \
              {daemon.pid for daemon in self.daemons}
        left = {}
        for pid, name in children().items():
            if pid not in own and os.waitpid(pid, os.WNOHANG) == (0, 0):
                left[pid] = name
        return left

    def check_no_children(self):
        self.wait_until(lambda: not self.other_children(), timeout=5,
                        what=self.other_children)

    def start_server(self, *command, ready=None):
        """Start a server that we did not write, until the test's end

        @ready is the socket path that appears when it listens.
        """
        log = open(self.scratch / f'server{len(self.servers)}', 'wb')
        process = subprocess.Popen([str(arg) for arg in command], stdout=log,
                                   stderr=log, stdin=subprocess.DEVNULL)
        log.close()
        self.servers.append(process)
        self.wait_until(lambda: ready is None or is_ready(str(ready))
                        or process.poll() is not None)
        self.assertIsNone(process.poll(), f'{command[0]} has ended')
        return process

    def wait_until(self, condition, timeout=60, what=None):
        """Ask again until @condition holds: for what cannot be waited for

        @what() tells what there is instead.
        """
        deadline = time.monotonic() + timeout
        while not condition():
            if time.monotonic() > deadline:
                self.fail(f'did not happen within {timeout} s: '
                          f'{what() if what else ""}')
            time.sleep(0.01)

    # Files and addresses

    def scratch_file(self, name='disk.raw', size=None, content=None,
                     tmpfs=False):
        """A path in the test's own folder, a sparse or given file there"""
        directory = self.tmpfs() if tmpfs else self.scratch
        path = directory / name
        if content is not None:
            path.write_bytes(content)
        elif size is not None:
            with open(path, 'wb') as file:
                file.truncate(size)
        return str(path)

    def tmpfs(self):
        """A folder in memory, for as long as the test"""
        directory = Path(tempfile.mkdtemp(prefix='colo-', dir='/dev/shm'))
        self.addCleanup(shutil.rmtree, directory, ignore_errors=True)
        return directory

    def read_file(self, path, size=-1, offset=0):
        with open(path, 'rb') as file:
            file.seek(offset)
            return file.read(size)

    def socket_path(self, name='nbd.sock'):
        return str(self.scratch / name)

    free_port = staticmethod(free_port)

    def uri(self, export='', socket=None, scheme='nbd+unix', query=''):
        return (f'{scheme}:///{export}?socket='
                f'{socket or self.socket_path()}{query}')

    def certificates(self, name='tls'):
        return tls.Certificates(self.scratch / name)

    def psk(self, *users, name='psk'):
        return tls.psk_directory(self.scratch / name, *users)

    # The usual daemon: one export of one file on one unix socket

    def nbd_address(self):
        return f'addr.type=unix,addr.path={self.socket_path()}'

    def start_export(self, path, *args, export='disk', writable=True,
                     options='', server='', **kwargs):
        """Serve @path as @export on socket_path(); node-name is "node"

        @options are more of the file node's, @server of the NBD server's.
        """
        return self.start_daemon(
            '--blockdev', f'driver=file,node-name=file,filename={path}'
                          f'{options}',
            '--blockdev', 'driver=raw,node-name=node,file=file',
            '--nbd-server', self.nbd_address() + server,
            '--export', f'type=nbd,id=export,node-name=node,name={export},'
                        f'writable={"on" if writable else "off"}',
            *args, **kwargs)

    # Clients

    def nbd_client(self, uri=None, export='disk', setup=None):
        """A connected libnbd handle; @setup prepares it"""
        try:
            import nbd
        except ImportError:
            self.skipTest('needs python3-libnbd')
        client = nbd.NBD()
        client.add_meta_context('base:allocation')
        if setup:
            setup(client)
        client.connect_uri(uri or self.uri(export))
        return client

    @staticmethod
    def qemu_io(uri, *commands, check=True, args=('-f', 'raw')):
        options = [option for line in commands for option in ('-c', line)]
        return run('qemu-io', *args, *options, uri, check=check)

    @staticmethod
    def qemu_img(*args, check=True):
        return run('qemu-img', *args, check=check)

    # Assertions

    @contextlib.contextmanager
    def assertQmpError(self, error_class, text):
        """The block ends in a QMP error of that class with @text in it"""
        with self.assertRaises(QmpError) as caught:
            yield
        self.assertEqual(caught.exception.error_class, error_class)
        self.assertIn(text, caught.exception.desc)

    def assertFileIs(self, path, data, offset=0):
        """The file holds @data there; says where it differs"""
        found = self.read_file(path, len(data), offset)
        if found != data:
            where = next((i for i, (a, b) in enumerate(zip(found, data))
                          if a != b), min(len(found), len(data)))
            self.fail(f'{path} differs at offset {offset + where}')

