"""A pair of daemons with replicated disks between them

The secondary exports its disks under the name disk0, disk1, ...; both serve
their guest the disk guest0, guest1, ... over a unix socket of its own.

SPDX-License-Identifier: GPL-2.0-or-later
"""

from .tools import MiB


class Side:
    """One daemon of a pair, and what a guest of it sees"""

    def __init__(self, test, name, disks, size, contents):
        self.test = test
        self.name = name
        self.images = [test.scratch_file(f'{name}{i}.raw', size=size,
                                         content=contents)
                       for i in range(disks)]
        self.guest_socket = test.socket_path(f'{name}-guest.sock')
        self.daemon = None
        self.guests = {}

    def cmd(self, name, arguments=None):
        return self.daemon.cmd(name, arguments)

    def guest(self, disk=0):
        """The guest's connection to a disk"""
        if disk not in self.guests:
            self.guests[disk] = self.test.nbd_client(
                self.test.uri(f'guest{disk}', self.guest_socket))
        return self.guests[disk]

    def forget_guests(self):
        self.guests.clear()

    def status(self):
        return self.cmd('query-xen-replication-status')

    def info(self, disk=0):
        return self.cmd('query-block-replication')[disk]

    def state(self, disk=0):
        return self.info(disk)['state']

    def start(self, primary):
        self.cmd('xen-set-replication', {'enable': True, 'primary': primary})

    def stop(self, primary=False, failover=None):
        arguments = {'enable': False, 'primary': primary}
        if failover is not None:
            arguments['failover'] = failover
        self.cmd('xen-set-replication', arguments)

    def checkpoint(self):
        self.cmd('xen-colo-do-checkpoint')

    def image(self, disk=0, size=-1, offset=0):
        return self.test.read_file(self.images[disk], size, offset)


class Pair:
    """Both sides, with nothing attached or started yet"""

    def __init__(self, test, disks=1, size=4 * MiB, contents=None):
        self.test = test
        self.disks = disks
        self.peer_socket = test.socket_path('peer.sock')
        self.primary = Side(test, 'primary', disks, size, contents)
        self.secondary = Side(test, 'secondary', disks, size, contents)

    def secondary_args(self, disk, layers=''):
        image = self.secondary.images[disk]
        return ['-drive', f'if=none,id=parent{disk},file={image},format=raw',
                '-drive', f'if=none,id=childs{disk},driver=replication,'
                          f'mode=secondary,top-id=guest{disk},'
                          'file.driver=colo-buffer,'
                          f'file.backing=parent{disk}{layers}',
                '-drive', f'if=virtio,id=guest{disk},driver=quorum,'
                          'read-pattern=fifo,vote-threshold=1,'
                          f'children.0=childs{disk}']

    def primary_args(self, disk):
        return ['-drive', f'if=virtio,id=guest{disk},driver=quorum,'
                          'read-pattern=fifo,vote-threshold=1,'
                          'children.0.driver=raw,'
                          'children.0.file.driver=file,'
                          'children.0.file.filename='
                          f'{self.primary.images[disk]}']

    def start_secondary(self, *args, layers=''):
        side = self.secondary
        side.daemon = self.test.start_daemon(
            '--guest-socket', f'unix:{side.guest_socket}',
            *[arg for disk in range(self.disks)
              for arg in self.secondary_args(disk, layers)],
            *args, monitors=2)
        side.cmd('nbd-server-start', {
            'addr': {'type': 'unix', 'data': {'path': self.peer_socket}}})
        for disk in range(self.disks):
            side.cmd('nbd-server-add', {'device': f'parent{disk}',
                                        'name': f'disk{disk}',
                                        'writable': True})
        return side

    def start_primary(self, *args):
        side = self.primary
        side.daemon = self.test.start_daemon(
            '--guest-socket', f'unix:{side.guest_socket}',
            *[arg for disk in range(self.disks)
              for arg in self.primary_args(disk)],
            *args, monitors=2)
        return side

    def attach(self, options=''):
        """Give each of the primary's disks its way to the secondary

        @options are the same for all disks, or a list.
        """
        if isinstance(options, str):
            options = [options] * self.disks
        for disk in range(self.disks):
            answer = self.primary.daemon.hmp(
                f'drive_add -n buddy driver=replication,mode=primary,'
                f'file.driver=nbd,file.server.type=unix,'
                f'file.server.path={self.peer_socket},'
                f'file.export=disk{disk},node-name=replication{disk}{options[disk]}')
            self.test.assertEqual(answer, '')
            self.primary.cmd('x-blockdev-change', {
                'parent': f'guest{disk}', 'node': f'replication{disk}'})

    def start(self, options=''):
        """Everything up to a running pair"""
        self.start_secondary()
        self.start_primary()
        self.attach(options)
        self.secondary.start(primary=False)
        self.primary.start(primary=True)
        return self.primary, self.secondary

    def checkpoint(self):
        """Of both sides; the primary first, as a manager does"""
        self.primary.checkpoint()
        self.secondary.checkpoint()

    def assert_identical(self):
        for disk in range(self.disks):
            self.test.assertEqual(self.primary.image(disk),
                                  self.secondary.image(disk))
