"""A proxy for one NBD server that cuts, stalls or delays at a message

It knows where messages begin and end.  A rule says what happens at the n-th
request or reply of the transmission phase, counted over all connections, or
at the first one of a kind.

SPDX-License-Identifier: GPL-2.0-or-later
"""

import contextlib
import selectors
import socket
import struct
import threading
import time

REQUEST, REPLY = 'request', 'reply'
WRITE, FLUSH, TRIM, READ, DISCONNECT, ZEROES = 1, 3, 4, 0, 2, 6
MAGIC_OPTION = b'IHAVEOPT'
MAGIC_REQUEST = 0x25609513
MAGIC_SIMPLE = 0x67446698
MAGIC_STRUCTURED = 0x668e33ef


class Requests:
    """Finds the messages in what a client sends"""

    def __init__(self, link):
        self.link = link
        self.greeted = False

    def first(self, data):
        """(length, kind) of the first message, or None if it is not whole"""
        if not self.greeted:
            self.greeted = len(data) >= 4
            return (4, None) if self.greeted else None
        if data[:4] == MAGIC_OPTION[:4]:
            if len(data) < 16:
                return None
            length = 16 + struct.unpack_from('>I', data, 12)[0]
            return (length, None) if len(data) >= length else None
        if len(data) < 28:
            return None
        magic, _, kind, cookie, _, length = struct.unpack_from('>IHHQQI', data)
        assert magic == MAGIC_REQUEST, hex(magic)
        self.link.transmission = True
        if kind == READ:
            self.link.reads[cookie] = length
        whole = 28 + (length if kind == WRITE else 0)
        return (whole, kind) if len(data) >= whole else None


class Replies:
    """Finds the messages in what a server sends, once requests are made"""

    def __init__(self, link):
        self.link = link

    def first(self, data):
        if not self.link.transmission:
            return len(data), None
        if len(data) < 16:
            return None
        magic, = struct.unpack_from('>I', data)
        if magic == MAGIC_SIMPLE:
            error, cookie = struct.unpack_from('>IQ', data, 4)
            length = 0 if error else self.link.reads.pop(cookie, 0)
            whole = 16 + length
        else:
            assert magic == MAGIC_STRUCTURED, hex(magic)
            whole = 20 + struct.unpack_from('>I', data, 16)[0] \
                if len(data) >= 20 else 1 << 40
        return (whole, None) if len(data) >= whole else None


class Direction:
    def __init__(self, name, source, target, parser):
        self.name = name
        self.source = source
        self.target = target
        self.parser = parser
        self.data = b''


class Link:
    """One client's connection and ours to the server"""

    def __init__(self, client, server):
        self.sockets = client, server
        self.transmission = False
        self.reads = {}
        self.directions = {
            client: Direction(REQUEST, client, server, Requests(self)),
            server: Direction(REPLY, server, client, Replies(self))}


class Rule:
    def __init__(self, action, where, number, kind, seconds):
        self.action = action            # 'cut', 'stall', 'delay'
        self.where = where
        self.number = number            # counts down
        self.kind = kind                # of request, or None for any
        self.seconds = seconds

    def matches(self, where, kind):
        if where != self.where or self.kind not in (None, kind):
            return False
        self.number -= 1
        return self.number == 0


class NbdProxy:
    """Listens on @path, in a thread of its own"""

    def __init__(self, case, path, target):
        self.path = path
        self.target = target
        self.rules = []
        self.links = []
        self.resume_at = None           # None: nothing is held back
        self.fired = threading.Event()
        self.connections = 0
        self.error = None
        self.selector = selectors.DefaultSelector()
        self.wake, self.woken = socket.socketpair()
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen()
        for sock in self.listener, self.woken:
            self.selector.register(sock, selectors.EVENT_READ)
        self.commands = []
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()
        case.addCleanup(self.stop)

    # What tests call

    def rule(self, action, where=REQUEST, number=1, kind=None, seconds=0.0):
        """At the @number-th such message from now on, do @action"""
        self.fired.clear()
        self.command(lambda: self.rules.append(
            Rule(action, where, number, kind, seconds)))

    def cut(self):
        self.command(self.cut_all)

    def resume(self):
        """End a stall"""
        self.command(self.release)

    def stop(self):
        self.commands.append(None)
        self.wake.send(b'x')
        self.thread.join()
        for sock in (self.listener, self.wake, self.woken):
            sock.close()
        if self.error:
            raise self.error

    def command(self, function):
        """Run in the thread; returns when it was"""
        done = threading.Event()
        self.commands.append(lambda: (function(), done.set()))
        self.wake.send(b'x')
        assert done.wait(60)

    # The thread

    def run(self):
        try:
            while self.turn():
                pass
        except Exception as error:      # shown by stop()
            self.error = error
        finally:
            self.cut_all()
            self.selector.close()

    def turn(self):
        timeout = None
        if self.resume_at not in (None, float('inf')):
            timeout = max(self.resume_at - time.monotonic(), 0)
        for key, _ in self.selector.select(timeout):
            if key.fileobj is self.listener:
                self.accept()
            elif key.fileobj is self.woken:
                self.woken.recv(1)
                command = self.commands.pop(0)
                if command is None:
                    return False
                command()
            elif key.fileobj.fileno() >= 0:
                self.readable(key.data, key.fileobj)
        if self.resume_at is not None and \
                time.monotonic() >= self.resume_at:
            self.release()
        return True

    def accept(self):
        client, _ = self.listener.accept()
        server = socket.socket(socket.AF_UNIX)
        try:
            server.connect(self.target)
        except OSError:
            client.close()
            server.close()
            return
        self.connections += 1
        link = Link(client, server)
        self.links.append(link)
        for sock in link.sockets:
            self.selector.register(sock, selectors.EVENT_READ, link)

    def readable(self, link, sock):
        try:
            data = sock.recv(1 << 20)
        except OSError:
            data = b''
        if not data:
            self.drop(link)
            return
        link.directions[sock].data += data
        if self.resume_at is None:
            self.pump(link, link.directions[sock])

    def pump(self, link, direction):
        """Pass messages on, as far as rules allow"""
        while direction.data and link in self.links:
            first = direction.parser.first(direction.data)
            if first is None:
                return
            length, kind = first
            if link.transmission and not (direction.name == REQUEST
                                          and kind is None):
                if self.apply_rules(link, direction, kind):
                    return
            try:
                direction.target.sendall(direction.data[:length])
            except OSError:
                self.drop(link)
            direction.data = direction.data[length:]

    def apply_rules(self, link, direction, kind):
        """Whether the message is not to be passed on now"""
        for rule in self.rules:
            if rule.matches(direction.name, kind):
                self.rules.remove(rule)
                self.fired.set()
                if rule.action == 'cut':
                    self.drop(link)
                else:
                    self.resume_at = time.monotonic() + rule.seconds \
                        if rule.action == 'delay' else float('inf')
                return True
        return False

    def release(self):
        self.resume_at = None
        for link in list(self.links):
            for direction in link.directions.values():
                self.pump(link, direction)

    def drop(self, link):
        if link in self.links:
            self.links.remove(link)
            for sock in link.sockets:
                with contextlib.suppress(KeyError):
                    self.selector.unregister(sock)
                sock.close()

    def cut_all(self):
        for link in list(self.links):
            self.drop(link)
