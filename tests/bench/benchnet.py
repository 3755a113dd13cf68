"""A network namespace for benchmarks over TCP

A host may pace TCP (tcp_congestion_control=bbr), loopback included: runs with
large requests then switch between two speeds for seconds at a time and measure
the pacing, not the servers.  In a namespace of one's own reno may always be
chosen, and on a loopback, which loses nothing, it never slows down.

SPDX-License-Identifier: GPL-2.0-or-later
"""

import fcntl
import os
import socket
import struct
import subprocess
import sys
from pathlib import Path

INSIDE = 'COLO_BENCH_INSIDE'    # set for the script that runs once more
CONTROL = Path('/proc/sys/net/ipv4/tcp_congestion_control')

SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 1
IFREQ = struct.Struct('16sh14x')


def execute_inside():
    """Run the script once more, inside; returns why that cannot be"""
    command = ['unshare', '--net']
    if os.geteuid():
        command.append('--map-root-user')
    try:
        subprocess.run([*command, 'true'], check=True, text=True,
                       stderr=subprocess.PIPE)
    except OSError as e:
        return str(e)
    except subprocess.CalledProcessError as e:
        return e.stderr.strip()
    os.environ[INSIDE] = '1'
    return os.execvp(command[0], [*command, sys.executable, *sys.argv])


def raise_loopback():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        def request(number, flags):
            answer = fcntl.ioctl(any_socket, number,
                                 IFREQ.pack(b'lo', flags))
            return IFREQ.unpack(answer)[1]

        request(SIOCSIFFLAGS, request(SIOCGIFFLAGS, 0) | IFF_UP)


def enter():
    """Begin to run inside and print what TCP is like there"""
    where = 'a network namespace of its own'
    try:
        if not os.environ.pop(INSIDE, None):
            raise OSError(execute_inside())
        raise_loopback()
        CONTROL.write_text('reno')
    except OSError as e:
        print(f'WARNING: no namespace with reno, TCP may be paced: {e}')
        where = 'the network as it is'
    print(f'TCP: congestion control {CONTROL.read_text().strip()}, {where}',
          flush=True)
