"""Two daemons that replicate disks: ours, QEMU's, or one of each

A side serves two exports of each disk on one unix socket: colo-diskN, what
its guest has, and on the secondary parentN, the disk that the primary writes
to.  QEMU's secondary has its layers in two qcow2 images, ours in colo-buffer.

SPDX-License-Identifier: GPL-2.0-or-later
"""

import json

from .daemon import OURS, QEMU
from .qmp import QmpError
from .tools import MiB, run

QEMU_ARGS = ['-M', 'none', '-nodefaults', '-display', 'none', '-S']
QUORUM = 'driver=quorum,read-pattern=fifo,vote-threshold=1'
RUNNING = {'error': False}


class Guest:
    """The client of one export; comes back after its connection was lost"""

    def __init__(self, case, uri, **kwargs):
        self.case = case
        self.uri = uri
        self.handle = None
        self.kwargs = kwargs

    @staticmethod
    def plain(handle):
        """QEMU's primary asks the secondary for the status of reads else

        Without block sizes libnbd takes requests of any alignment.
        """
        handle.set_request_structured_replies(False)
        handle.set_request_block_size(False)

    def client(self):
        if self.handle is None or not self.handle.aio_is_ready():
            self.handle = self.case.nbd_client(
                self.uri, **{'setup': self.plain, **self.kwargs})
        return self.handle

    def pwrite(self, data, offset, flags=0):
        self.client().pwrite(data, offset, flags)

    def pread(self, length, offset):
        return bytes(self.client().pread(length, offset))

    def size(self):
        return self.client().get_size()

    def content(self):
        """The whole disk"""
        size = self.size()
        return b''.join(self.pread(min(16 * MiB, size - offset), offset)
                        for offset in range(0, size, 16 * MiB))

    def attempt(self, name, *args):
        """Do it; returns 'ok' or the error's name"""
        import nbd
        try:
            getattr(self.client(), name)(*args)
        except nbd.Error as error:
            return f'ERR {error.errno}'
        return 'ok'

    def write(self, data, offset):
        return self.attempt('pwrite', data, offset)

    def close(self):
        if self.handle is not None:
            self.handle.close()
            self.handle = None


class Side:
    """One daemon of a pair"""

    def __init__(self, case, kind, args, name, tcp=False, prefix=()):
        self.case = case
        self.kind = kind
        self.name = name
        extra = QEMU_ARGS if kind == QEMU else []
        self.daemon = case.start_daemon(*extra, *args, binary=kind,
                                        monitors=2, prefix=prefix)
        self.socket = case.socket_path(f'{name}{len(case.daemons)}.sock')
        self.port = case.free_port() if tcp else None
        self.guests = {}

    def cmd(self, name, arguments=None, **kwargs):
        return self.daemon.cmd(name, arguments, **kwargs)

    def answer(self, name, /, **arguments):
        """The answer in the words of a table, errors too"""
        arguments = {key.replace('_', '-'): value
                     for key, value in arguments.items()}
        try:
            return json.dumps(self.cmd(name, arguments), sort_keys=True)
        except QmpError as error:
            return f'ERR {error}'
        except ConnectionError:
            return 'ERR QMP connection lost'

    def hmp(self, line):
        return self.daemon.hmp(line).strip() or '(empty answer = success)'

    def serve(self, *devices):
        """Start the NBD server with a writable export of each device"""
        addr = {'type': 'unix', 'data': {'path': self.socket}}
        if self.port:
            addr = {'type': 'inet', 'data': {'host': '127.0.0.1',
                                             'port': str(self.port)}}
        self.cmd('nbd-server-start', {'addr': addr})
        for device in devices:
            self.cmd('nbd-server-add', {'device': device, 'writable': True})

    def guest(self, number=0, export=None, **kwargs):
        export = export or f'colo-disk{number}'
        if kwargs:
            return Guest(self.case, self.uri(export), **kwargs)
        if export not in self.guests:
            self.guests[export] = Guest(self.case, self.uri(export))
        return self.guests[export]

    def uri(self, export):
        if self.port:
            return f'nbd://127.0.0.1:{self.port}/{export}'
        return self.case.uri(export, self.socket)

    # Replication

    def set_replication(self, enable, primary, **failover):
        self.cmd('xen-set-replication',
                 {'enable': enable, 'primary': primary, **failover})

    def checkpoint(self, **kwargs):
        self.cmd('xen-colo-do-checkpoint', **kwargs)

    def failover(self):
        self.set_replication(False, self.name == 'primary', failover=True)

    def status(self):
        return self.cmd('query-xen-replication-status')

    def info(self, number=0):
        """What query-block-replication says of a disk (ours only)"""
        found = self.cmd('query-block-replication')
        names = [f'replication{number}', f'childs{number}-node']
        return next((one for one in found if one['node-name'] in names), None)

    def state(self, number=0):
        return self.info(number)['state']

    def merged(self):
        """Whether no merge is under way"""
        if self.kind == OURS:
            return all(disk['state'] not in ('failover', 'running')
                       for disk in self.cmd('query-block-replication'))
        # Nothing but the graph shows QEMU's commit job
        return 'mirror_top' not in json.dumps(
            self.cmd('query-named-block-nodes'))

    def wait_merged(self):
        self.case.wait_until(self.merged)


def secondary_drives(case, kind, number, disk, size, *, layers='',
                     top=None, above=True, disk_file=None,
                     active_key='file.file.filename',
                     hidden_key='file.backing.file.filename', buffers=None,
                     below=None):
    """-drive options of one disk

    @disk_file replaces how it is opened, @active_key and @hidden_key say which
    options name QEMU's images.  @buffers replaces the layers, @below (name: value)
    the disk that is below them.
    """
    top = top or f'colo-disk{number}'
    file = disk_file or f'file.driver=file,file.filename={disk}'

    def backing(key):
        if below is None:
            return f'{key}=parent{number}'
        return ','.join(f'{key}.{name}={value}'
                        for name, value in below.items())

    if buffers:
        pass
    elif kind == QEMU:
        active, hidden = (case.scratch_file(f'{name}{number}.qcow2',
                                            tmpfs=True)
                          for name in ('active', 'hidden'))
        for image in active, hidden:
            run('qemu-img', 'create', '-q', '-f', 'qcow2', image, size)
        buffers = (f'file.driver=qcow2,{active_key}={active},'
                   'file.backing.driver=qcow2,'
                   f'{hidden_key}={hidden},'
                   + backing('file.backing.backing'))
    else:
        buffers = 'file.driver=colo-buffer,' + backing('file.backing')
    drives = ['-drive', f'if=none,id=parent{number},driver=raw,{file}',
              '-drive', f'if=none,id=childs{number},driver=replication,'
                        f'mode=secondary,top-id={top},node-name=childs{number}'
                        f'-node,{buffers}{layers}']
    if above:
        drives += ['-drive', f'if=none,id=colo-disk{number},{QUORUM},'
                             f'children.0=childs{number}']
    return drives


def primary_drives(number, disk, disk_file=None):
    file = disk_file or f'file.driver=file,file.filename={disk}'
    child = ','.join(f'children.0.{part}' for part in file.split(','))
    return ['-drive', f'if=none,id=colo-disk{number},{QUORUM},'
                      f'children.0.driver=raw,{child}']


class Pair:
    """A primary and a secondary with the same disks

    @options are more of the primary's replication nodes, @layers of the
    secondary's (each begins with a comma); @via is a socket to put between;
    @directory is where the disks are, tmpfs by default.
    """

    def __init__(self, case, primary=OURS, secondary=OURS, size=16 * MiB,
                 disks=1, content=None, options='', layers='', attach=True,
                 start=True, via=None, primary_file=None,
                 secondary_file=None, tcp=False, prefix=(), directory=None,
                 **drives):
        self.case = case
        self.tcp = tcp                  # between both
        self.prefix = prefix            # of the secondary's command
        self.size = size
        self.count = disks
        self.options = options
        self.via = via
        directory = directory or case.tmpfs()
        self.disks = {}
        for name in 'primary', 'secondary':
            for number in range(disks):
                path = directory / f'{name}{number}.raw'
                self.disks[name, number] = str(path)
                with open(path, 'wb') as file:
                    file.write(content or b'')
                    file.truncate(size)
        self.secondary = self.start_secondary(
            secondary, secondary_file, layers=layers, **drives)
        self.primary = self.start_primary(primary, primary_file)
        if attach:
            for number in range(disks):
                self.attach(number)
            if start:
                self.start()

    def disk(self, name, number=0):
        return self.disks[name, number]

    def start_secondary(self, kind, file, **drives):
        args = []
        for number in range(self.count):
            disk = self.disk('secondary', number)
            args += secondary_drives(self.case, kind, number, disk,
                                     self.size, **drives,
                                     disk_file=file and file(disk))
        side = Side(self.case, kind, args, 'secondary', self.tcp,
                    self.prefix)
        side.serve(*(f'{name}{number}' for number in range(self.count)
                     for name in ('parent', 'colo-disk')))
        return side

    def start_primary(self, kind, file):
        args = []
        for number in range(self.count):
            disk = self.disk('primary', number)
            args += primary_drives(number, disk, file and file(disk))
        side = Side(self.case, kind, args, 'primary')
        side.serve(*(f'colo-disk{number}' for number in range(self.count)))
        return side

    def drive_add(self, number=0, export=None, name=None, socket=None):
        """Connect to the secondary's disk; returns what people read"""
        socket = socket or self.via or self.secondary.socket
        server = f'file.server.type=unix,file.server.path={socket}'
        if self.tcp:
            server = f'file.host=127.0.0.1,file.port={self.secondary.port}'
        options = self.options if self.primary.kind == OURS else ''
        return self.primary.hmp(
            'drive_add -n buddy driver=replication,mode=primary,'
            f'file.driver=nbd,{server},'
            f'file.export={export or f"parent{number}"},'
            f'node-name={name or f"replication{number}"}{options}')

    def attach(self, number=0, **kwargs):
        answer = self.drive_add(number, **kwargs)
        self.case.assertEqual(answer, '(empty answer = success)')
        self.primary.cmd('x-blockdev-change', {
            'parent': f'colo-disk{number}',
            'node': kwargs.get('name') or f'replication{number}'})

    def detach(self, number=0, name=None):
        """As the documents do after the secondary has died"""
        self.primary.cmd('x-blockdev-change', {
            'parent': f'colo-disk{number}', 'child': 'children.1'})
        return self.primary.hmp(f'drive_del {name or f"replication{number}"}')

    def start(self):
        self.secondary.set_replication(True, False)
        self.primary.set_replication(True, True)

    def checkpoint(self):
        """Both, the primary first: it has everything acknowledged then"""
        self.primary.checkpoint()
        self.secondary.checkpoint()

    def guests(self, number=0):
        return self.primary.guest(number), self.secondary.guest(number)

    def content(self, name, number=0):
        return self.case.read_file(self.disk(name, number))

    def assertSame(self, first, second, message=''):
        """Two contents, without printing megabytes"""
        if first != second:
            where = next((i for i, (a, b) in enumerate(zip(first, second))
                          if a != b), min(len(first), len(second)))
            self.case.fail(f'{message} differ at offset {where}')

    def assertDisksIdentical(self):
        for number in range(self.count):
            self.assertSame(self.content('primary', number),
                            self.content('secondary', number),
                            f'both copies of disk {number}')
