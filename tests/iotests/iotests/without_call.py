"""A program of its own: run another that may not make one system call

Arguments: the number of the call, then the command.  kernel.refuse() knows.

SPDX-License-Identifier: GPL-2.0-or-later
"""

import ctypes
import os
import struct
import sys


def refuse_from_now_on(number):
    """By a seccomp filter, as the managers of containers do"""
    load, equal, leave = 0x20, 0x15, 0x06       # of classic BPF
    code = b''.join(struct.pack('=HBBI', *row) for row in (
        (load, 0, 0, 0),                        # the number of the call
        (equal, 0, 1, number),
        (leave, 0, 0, 0x00050000 | 1),          # EPERM
        (leave, 0, 0, 0x7fff0000)))             # go on
    buffer = ctypes.create_string_buffer(code)
    program = struct.pack('=HxxxxxxQ', 4, ctypes.addressof(buffer))
    libc = ctypes.CDLL(None, use_errno=True)
    no_new_privs, set_seccomp, filter_mode = 38, 22, 2
    if libc.prctl(no_new_privs, 1, 0, 0, 0) or \
       libc.prctl(set_seccomp, filter_mode, program, 0, 0):
        raise OSError(ctypes.get_errno(), 'no filter')


if __name__ == '__main__':
    refuse_from_now_on(int(sys.argv[1]))
    os.execv(sys.argv[2], sys.argv[2:])
