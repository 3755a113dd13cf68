"""A model of a disk that concurrent requests change

Requests are made in rounds.  Within a round all are in flight together, so a
byte that several of them write may end as either's, and a read may see what
was there before or what any of them writes.  After the round the ambiguous
bytes are read back, checked, and taken over into the model.

SPDX-License-Identifier: GPL-2.0-or-later
"""

import random

from .tools import KiB

WRITE, ZERO, DISCARD, READ, FLUSH = 'write', 'zero', 'discard', 'read', 'flush'


class Request:
    def __init__(self, kind, offset=0, data=b'', length=0, fua=False):
        self.kind = kind
        self.offset = offset
        self.data = data
        self.length = length or len(data)
        self.fua = fua
        self.buffer = None          # what a read returned
        self.error = 0

    @property
    def end(self):
        return self.offset + self.length

    def writes(self):
        return self.kind in (WRITE, ZERO, DISCARD)

    def bytes_at(self, start, end):
        """What it writes to that part of its range"""
        if self.kind == WRITE:
            return self.data[start - self.offset:end - self.offset]
        return bytes(end - start)

    def __repr__(self):
        return f'{self.kind} {self.offset}+{self.length}'


def random_request(rng, size, unit):
    """A request that fits into @size, at multiples of @unit bytes"""
    kind = rng.choices([WRITE, ZERO, DISCARD, READ, FLUSH],
                       [40, 12, 10, 33, 5])[0]
    if kind == FLUSH:
        return Request(FLUSH)
    align = max(unit, rng.choice([1, 1, 512, 4 * KiB, 64 * KiB]))
    length = rng.choice([1, 17, 511, 512, 4 * KiB, 4 * KiB, 5000, 64 * KiB,
                         rng.randrange(1, 256 * KiB)])
    length = min(-(-length // align) * align, size)
    # Mostly within a small part, so that requests do overlap
    span = size if rng.random() < 0.3 else min(size, 512 * KiB)
    offset = rng.randrange(0, max(span - length, 0) + 1) // align * align
    length = min(length, size - offset)
    if kind == WRITE:
        return Request(WRITE, offset, rng.randbytes(length),
                       fua=rng.random() < 0.1)
    return Request(kind, offset, length=length)


class Model:
    """What the disk should hold"""

    def __init__(self, size):
        self.content = bytearray(size)

    def resize(self, size):
        del self.content[size:]
        self.content.extend(bytes(size - len(self.content)))

    def candidates(self, writers, start, end, before):
        """The possible contents of a part that each writer covers or misses"""
        active = [w for w in writers if w.offset <= start and end <= w.end]
        values = [w.bytes_at(start, end) for w in active]
        # A discard may do nothing
        if before or all(w.kind == DISCARD for w in active):
            values.append(bytes(self.content[start:end]))
        return values

    @staticmethod
    def parts(writers, start, end):
        """Split a range where any writer begins or ends"""
        cuts = {start, end}
        for writer in writers:
            cuts.update(cut for cut in (writer.offset, writer.end)
                        if start < cut < end)
        cuts = sorted(cuts)
        return zip(cuts, cuts[1:])

    def check(self, writers, start, found, before):
        """None, or the offset where @found cannot come from the requests"""
        for low, high in self.parts(writers, start, start + len(found)):
            part = found[low - start:high - start]
            values = self.candidates(writers, low, high, before)
            if part in values:
                continue
            for i, byte in enumerate(part):
                if all(value[i] != byte for value in values):
                    return low + i
        return None

    def ambiguous(self, writers):
        """Ranges whose content after the round is not known"""
        if not writers:
            return
        start = min(w.offset for w in writers)
        end = max(w.end for w in writers)
        for low, high in self.parts(writers, start, end):
            covering = [w for w in writers
                        if w.offset <= low and high <= w.end]
            if len(covering) > 1 or any(w.kind == DISCARD for w in covering):
                yield low, high

    def settle(self, writers, read):
        """Take a finished round over; @read(offset, length) reads the disk

        Returns None or the offset of a byte that is wrong.
        """
        settled = []
        for low, high in self.ambiguous(writers):
            found = read(low, high - low)
            wrong = self.check(writers, low, found, False)
            if wrong is not None:
                return wrong
            settled.append((low, found))
        for writer in writers:
            if writer.kind != DISCARD:
                self.content[writer.offset:writer.end] = \
                    writer.bytes_at(writer.offset, writer.end)
        for low, found in settled:
            self.content[low:low + len(found)] = found
        return None


class Driver:
    """Runs rounds over several libnbd handles"""

    def __init__(self, seed, size):
        self.rng = random.Random(seed)
        self.model = Model(size)
        self.clients = []

    def submit(self, client, request):
        import nbd
        flags = nbd.CMD_FLAG_FUA if request.fua else 0

        def done(error):
            request.error = error.value
            return 1

        if request.kind == WRITE:
            client.aio_pwrite(nbd.Buffer.from_bytearray(
                bytearray(request.data)), request.offset, done, flags)
        elif request.kind == ZERO:
            hole = self.rng.choice([0, nbd.CMD_FLAG_NO_HOLE])
            client.aio_zero(request.length, request.offset, done, hole)
        elif request.kind == DISCARD:
            client.aio_trim(request.length, request.offset, done)
        elif request.kind == READ:
            request.buffer = nbd.Buffer(request.length)
            client.aio_pread(request.buffer, request.offset, done)
        else:
            client.aio_flush(done)

    def round(self, count):
        """@count requests together; returns None or what went wrong"""
        requests = []
        for _ in range(count):
            client, unit = self.rng.choice(self.clients)
            request = random_request(self.rng, len(self.model.content), unit)
            requests.append(request)
            self.submit(client, request)
        for client, _ in self.clients:
            while client.aio_in_flight() > 0:
                client.poll(-1)
        return self.verdict(requests)

    def verdict(self, requests):
        writers = [r for r in requests if r.writes()]
        for request in requests:
            if request.error:
                return f'{request!r}: error {request.error}'
            if request.kind == READ:
                wrong = self.model.check(
                    writers, request.offset,
                    bytes(request.buffer.to_bytearray()), True)
                if wrong is not None:
                    return f'{request!r}: wrong at {wrong} of {requests}'
        client = self.clients[0][0]
        wrong = self.model.settle(
            writers, lambda offset, length: self.read(client, offset, length))
        if wrong is not None:
            return f'wrong at {wrong} after {requests}'
        return None

    @staticmethod
    def read(client, offset, length):
        """Read whole sectors, so that any block size will do"""
        low = offset // 4096 * 4096
        high = min(-(-(offset + length) // 4096) * 4096, client.get_size())
        return bytes(client.pread(high - low, low)[offset - low:
                                                   offset - low + length])

    def compare(self):
        """Whether the whole disk is as it should be"""
        client = self.clients[0][0]
        return self.read(client, 0, len(self.model.content)) == \
            self.model.content
