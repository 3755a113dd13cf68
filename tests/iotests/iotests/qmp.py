"""A QMP client: commands, events, and raw bytes for bad input

SPDX-License-Identifier: GPL-2.0-or-later
"""

import json
import socket
import time

from .tools import DEADLINE


class QmpError(Exception):
    """The daemon answered with an error"""

    def __init__(self, error):
        super().__init__(f'{error["class"]}: {error["desc"]}')
        self.error_class = error['class']
        self.desc = error['desc']


def dial(path):
    sock = socket.socket(socket.AF_UNIX)
    try:
        sock.connect(path)
    except OSError:
        sock.close()
        raise
    return sock


class QmpSession:
    """One connection to a monitor"""

    def __init__(self, peer, negotiate=True, oob=False, timeout=DEADLINE):
        """@peer is the path of a socket, or a socket that is connected"""
        self.sock = peer if isinstance(peer, socket.socket) else dial(peer)
        self.sock.settimeout(timeout)
        self.buffer = b''
        self.events = []
        self.last_id = 0
        self.greeting = None
        if negotiate:
            self.greeting = self.receive()
            self.cmd('qmp_capabilities',
                     {'enable': ['oob']} if oob else None)

    def close(self):
        self.sock.close()

    def send_bytes(self, data):
        self.sock.sendall(data)

    def send(self, name, arguments=None, oob=False):
        """Send a command without waiting; returns its id"""
        self.last_id += 1
        message = {'exec-oob' if oob else 'execute': name, 'id': self.last_id}
        if arguments is not None:
            message['arguments'] = arguments
        self.send_bytes(json.dumps(message).encode() + b'\r\n')
        return self.last_id

    def receive(self, timeout=None):
        """The next message of any kind; None when the peer has closed"""
        deadline = time.monotonic() + (timeout or DEADLINE)
        while b'\n' not in self.buffer:
            self.sock.settimeout(max(deadline - time.monotonic(), 0.001))
            try:
                data = self.sock.recv(1 << 20)
            except ConnectionResetError:
                data = b''
            if not data:
                return None
            self.buffer += data
        line, self.buffer = self.buffer.split(b'\n', 1)
        return json.loads(line)

    def receive_reply(self, request=None, timeout=None):
        """The reply with id @request (any if None); events are kept"""
        while True:
            message = self.receive(timeout)
            if message is None:
                raise ConnectionError('the monitor was closed')
            if 'event' in message:
                self.events.append(message)
            elif request is None or message.get('id') == request:
                return message

    def cmd(self, name, arguments=None, oob=False, timeout=None):
        """Run a command; returns its value or raises QmpError"""
        reply = self.receive_reply(self.send(name, arguments, oob), timeout)
        if 'error' in reply:
            raise QmpError(reply['error'])
        return reply['return']

    def hmp(self, line):
        return self.cmd('human-monitor-command', {'command-line': line})

    def event_wait(self, name, match=None, timeout=None):
        """Take the first event @name whose data contains @match"""
        def wanted(event):
            data = event.get('data', {})
            return event['event'] == name and all(
                data.get(key) == value for key, value in (match or {}).items())

        while True:
            for event in self.events:
                if wanted(event):
                    self.events.remove(event)
                    return event
            message = self.receive(timeout)
            if message is None:
                raise ConnectionError(f'closed while waiting for {name}')
            if 'event' in message:
                self.events.append(message)
