#!/usr/bin/python3
"""Write the seed inputs of the fuzz targets into folders

    make-corpus.py FOLDER STAMP

Each target gets FOLDER/TARGET/ with one file for each input; STAMP is touched
at the end.  An input that has found a bug belongs here.

SPDX-License-Identifier: GPL-2.0-or-later
"""

import shutil
import struct
import sys
from pathlib import Path

IHAVEOPT = 0x49484156454f5054
REP_MAGIC = 0x3e889045565a9
REQUEST, SIMPLE, STRUCTURED = 0x25609513, 0x67446698, 0x668e33ef
EXPORT_NAME, ABORT, LIST, STARTTLS, INFO, GO, STRUCT, LIST_META, SET_META = \
    1, 2, 3, 5, 6, 7, 8, 9, 10
READ, WRITE, DISC, FLUSH, TRIM, CACHE, ZEROES, STATUS = range(8)
NAME = struct.pack('>I', 4) + b'disk'


def option(number, data=b''):
    return struct.pack('>QII', IHAVEOPT, number, len(data)) + data


def request(kind, offset=0, length=4096, flags=0, data=b'', cookie=1):
    return struct.pack('>IHHQQI', REQUEST, flags, kind, cookie, offset,
                       length) + data


def meta(number, *queries):
    return option(number, NAME + struct.pack('>I', len(queries)) + b''.join(
        struct.pack('>I', len(q)) + q for q in queries))


def nbd_server():
    flags = struct.pack('>I', 3)
    go = option(GO, NAME + struct.pack('>H', 1) + struct.pack('>H', 3))
    full = flags + option(STRUCT) + meta(
        SET_META, b'base:allocation', b'qemu:allocation-depth') + go
    bad = [option(GO, NAME[:4]), option(GO, struct.pack('>I', 1 << 31)),
           option(SET_META, NAME + struct.pack('>II', 1, 1 << 31)),
           struct.pack('>QII', IHAVEOPT, GO, 0xffffffff)]
    yield 'export-name', flags + option(EXPORT_NAME, b'disk') + request(READ)
    yield 'zeroes', struct.pack('>I', 1) + option(EXPORT_NAME, b'disk')
    yield 'list', flags + option(LIST) + option(INFO, NAME + b'\0\0') + \
        option(ABORT)
    yield 'meta', flags + option(STRUCT) + meta(LIST_META) + \
        meta(LIST_META, b'base:', b'qemu:') + option(STARTTLS) + go
    yield 'simple', flags + go + request(READ) + \
        request(WRITE, 0, 512, data=bytes(512)) + request(FLUSH) + \
        request(DISC)
    yield 'structured', full + b''.join(
        [request(READ), request(READ, 100, 65536, 4), request(STATUS),
         request(STATUS, 0, 262144, 8), request(CACHE),
         request(TRIM), request(ZEROES, 0, 65536, 2),
         request(ZEROES, 0, 4096, 16), request(WRITE, 3, 1, 1, b'x'),
         request(FLUSH, 0, 0), request(DISC)])
    yield 'ranges', full + b''.join(
        [request(READ, 262144, 1), request(READ, (1 << 64) - 1, 2),
         request(READ, 0, 0), request(READ, 0, 0xffffffff),
         request(99), request(READ, flags=0xffff),
         request(WRITE, 0, 0x7fffffff)])
    yield 'cut', full + request(WRITE, 0, 4096, data=bytes(100))
    for number, data in enumerate(bad):
        yield f'bad-option-{number}', flags + data + go + request(READ)


def reply(number, kind, data=b''):
    return struct.pack('>QIII', REP_MAGIC, number, kind, len(data)) + data


def chunk(kind, data=b'', flags=0, cookie=0):
    return struct.pack('>IHHQI', STRUCTURED, flags, kind, cookie,
                       len(data)) + data


def nbd_client():
    hello = b'NBDMAGIC' + struct.pack('>QH', IHAVEOPT, 3)
    export = reply(GO, 3, struct.pack('>HQH', 0, 1 << 20, 0xfed)) + \
        reply(GO, 3, struct.pack('>HIII', 3, 1, 4096, 1 << 25)) + \
        reply(GO, 1)
    simple = hello + reply(STRUCT, 1 << 31 | 1) + export
    full = hello + reply(STRUCT, 1) + reply(
        SET_META, 4, struct.pack('>I', 5) + b'base:allocation') + \
        reply(SET_META, 1) + export
    depth = full.replace(b'\0\0\0\x13\0\0\0\x05base:allocation',
                         b'\0\0\0\x19\0\0\0\x05qemu:allocation-depth')
    data = struct.pack('>Q', 0) + bytes(4096)
    yield 'oldstyle', b'NBDMAGIC' + struct.pack('>QQI', 0x420281861253,
                                                1 << 20, 1) + bytes(124)
    yield 'hello', hello
    yield 'no-go', hello + reply(STRUCT, 1 << 31 | 1) + \
        reply(GO, 1 << 31 | 1) + struct.pack('>QH', 1 << 20, 1) + bytes(124)
    yield 'unknown-export', hello + reply(STRUCT, 1) + \
        reply(SET_META, 1 << 31 | 6, b'no') + reply(GO, 1 << 31 | 6, b'none')
    yield 'depth', depth + chunk(5, struct.pack('>III', 5, 4096, 7), 1, 2)
    for cookie in range(7):
        yield f'simple-{cookie}', simple + struct.pack(
            '>IIQ', SIMPLE, 0, cookie) + bytes(4096)
        yield f'chunks-{cookie}', full + \
            chunk(1, data[:2056], 0, cookie) + \
            chunk(2, struct.pack('>QI', 2048, 2048), 1, cookie) + \
            chunk(5, struct.pack('>III', 5, 4096, 3), 1, cookie + 1) + \
            chunk(0, b'', 1, cookie + 2)
        yield f'errors-{cookie}', full + \
            chunk(1 << 15 | 1, struct.pack('>IH', 5, 2) + b'no', 0, cookie) + \
            chunk(1 << 15 | 2, struct.pack('>IHQ', 28, 0, 7), 1, cookie) + \
            chunk(1, struct.pack('>Q', 1 << 40) + b'x', 1, cookie + 1) + \
            chunk(5, struct.pack('>III', 6, 0, 3), 1, cookie + 2)


def json_inputs():
    texts = [
        '{"execute": "qmp_capabilities"}', "{'execute': 'quit', 'id': 1}",
        '{"a": [1, -2.5e3, true, false, null, "\\u00e9\\ud83d\\ude00\\n"]}',
        '{"a":1}{"b":2}[3] 4 "five"', '[' * 1100, '{"a":' * 50,
        '{"a" 1}{"b": 2}', '"\\ud800" "\\q" \'it\\\'s\'', '01 1e400 -',
        '9223372036854775807 -9223372036854775808 18446744073709551616',
        '{"x": "a\tb"}\n{"execute": "query-version"}', '[1,]{,}[,1]',
        '{"a":1,"a":2}', '\ufeff{}', '']
    for number, text in enumerate(texts):
        for cut in 0, 7:
            yield f'{number}-{cut}', bytes([cut]) + text.encode()
    yield 'not-utf8', b'\5{"a": "\xff\xfe\xc0\x80"}{"b": 1}'
    yield 'resync', b'\0{"a": \xff{"execute": "quit"}'


KEYS = [
    'driver=file,filename=a,,b,cache.direct=on,list.0=x,list.1.y=z',
    'file,node-name=n', 'help', 'a.b=1,a=2', 'list.1=x', '0=1', 'a..b=1',
    '.=,', '', 'throttle-group,id=g,limits.iops-total=10',
    'secret,id=s,data=x', 'tls-creds-psk,id=t,dir=/,endpoint=client']
FILENAMES = [
    'nbd://host:1/name', 'nbd+unix:///e?socket=/x', 'nbd+tcp://',
    'nbd:unix:/x:exportname=e', 'nbd://[::1]:10809/%41%00', 'file:/a:b',
    'nbd:h:1:exportname=', 'null-co://', 'nope:x', 'nbd://h?socket=x',
    'caf\udce9.img']           # a byte that is not UTF-8
BLOCKDEVS = [
    'driver=raw,node-name=n,file.driver=file,file.filename=x',
    'driver=nbd,server.type=inet,server.host=h,server.port=1',
    'driver=blkdebug,image=x,inject-error.0.event=none',
    '{"driver": "throttle", "throttle-group": "g", "file": "f"}',
    '{"driver": "null-co", "size": -1, "bogus": [[]]}']
DRIVES = [
    'file=a,,b,format=raw,if=virtio,index=1,cache=none,aio=native',
    'file=json:{"driver":"null-co"},,if=none,id=d,bps=1M',
    'driver=nbd,host=h,port=1,if=none', 'readonly,cdrom',
    'file.filename=x,throttling.iops-total=5,detect-zeroes=unmap']


def either(*texts):
    """The first byte says which of two kinds of text follows"""
    for which, group in enumerate(texts):
        for number, text in enumerate(group):
            yield f'{which}-{number}', bytes([which]) + \
                text.encode(errors='surrogateescape')


QMP = [
    b'{"execute": "qmp_capabilities", "arguments": {"enable": ["oob"]}}',
    b'{"execute": "query-status", "id": [1, {"a": null}]}',
    b"{'exec-oob': 'query-yank', 'id': 'x'}",
    b'{"execute": "query-block"} {"execute": "query-commands"}',
    b'{"execute": "yank", "arguments": {"instances": '
    b'[{"type": "block-node", "node-name": "n"}]}}',
    b'{"execute": "x-blockdev-change", "arguments": {"parent": "a", '
    b'"child": "b", "node": "c"}}',
    b'{"execute": "qom-get", "arguments": {"path": "/objects/x", '
    b'"property": "y"}}',
    b'{"execute": "block_set_io_throttle", "arguments": {"id": "d", '
    b'"bps": 1, "bps_rd": 2, "bps_wr": 0, "iops": 0, "iops_rd": 0, '
    b'"iops_wr": 0}}',
    b'{"execute": "stop"}{"execute": "cont"}{"execute": 1}[]{"id": 1}',
    b'{"execute": "query-status", "exec-oob": "yank", "x": 1}',
]

QMP_ADD = [
    b'{"execute": "blockdev-add", "arguments": {"driver": "quorum", '
    b'"node-name": "q", "vote-threshold": 1, "children": ["a", '
    b'{"driver": "raw", "file": {"driver": "file", "filename": "/x"}}]}}',
    b'{"execute": "blockdev-add", "arguments": {"driver": "blkdebug", '
    b'"image": "a", "inject-error": [{"event": "read_aio", "errno": 5}]}}',
    b'{"execute": "object-add", "arguments": {"qom-type": "authz-list", '
    b'"id": "a", "policy": "deny", "rules": [{"match": "CN=*", '
    b'"policy": "allow", "format": "glob"}]}}',
    b'{"execute": "block-export-add", "arguments": {"type": "nbd", '
    b'"id": "e", "node-name": "n", "writable": true, "bitmaps": []}}',
    b'{"execute": "nbd-server-start", "arguments": {"addr": {"type": '
    b'"inet", "data": {"host": "h", "port": "1", "to": 9}}}}',
    b'{"execute": "nbd-server-add", "arguments": {"device": "d"}}',
    b'{"execute": "chardev-add", "arguments": {"id": "c", "backend": '
    b'{"type": "socket", "data": {"addr": {"type": "fd", "data": '
    b'{"str": "3"}}, "reconnect": -1}}}}',
]

MONITOR_LINES = [
    'help info', 'info block -n -v "a\\n\\"b"', 'drive_add -n buddy driver=raw',
    'qemu-io d0 "write -P 0xa 0 64k"', '"', '""', ' \t', 'info', 'c', '\\',
    'nbd_server_add -w d0 "na me"', 'block_resize d0 1e3G', 'info nope -x']
QEMU_IO_LINES = [
    'write -P 0xa 0 64k', 'read -vs 1k -l 2 0 1M', 'aio_read -qP3 0 4k 8k',
    'write -- -1 9223372036854775808', 'read -', 'write -P', 'write -\u00e9 0 1',
    'discard 0x10 1.5k extra', 'flush x', 'sleep 1', 'help write', '',
    'break read_aio A']

TARGETS = {
    'fuzz-qmp': ((f'{i}-{mode}', bytes([mode]) + text)
                 for i, text in enumerate(QMP + QMP_ADD) for mode in (0, 1, 3)),
    'fuzz-json': json_inputs(),
    'fuzz-keyval': either(KEYS, FILENAMES),
    'fuzz-drive': either(BLOCKDEVS, DRIVES),
    'fuzz-lines': either(MONITOR_LINES, QEMU_IO_LINES),
    'fuzz-nbd-server': ((f'{name}-{kind}', bytes([kind]) + data)
                        for name, data in nbd_server()
                        for kind in (0, 0xf)),
    'fuzz-nbd-client': ((f'{name}-{depth}', bytes([depth]) + data)
                        for name, data in nbd_client() for depth in (0, 1)),
}


def main():
    root, stamp = Path(sys.argv[1]), Path(sys.argv[2])
    for target, inputs in TARGETS.items():
        folder = root / target
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for name, data in inputs:
            (folder / name).write_bytes(data)
    stamp.touch()


if __name__ == '__main__':
    main()
