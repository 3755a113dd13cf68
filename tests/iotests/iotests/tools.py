"""Programs that tests run, and small helpers

SPDX-License-Identifier: GPL-2.0-or-later
"""

import hashlib
import os
import re
import shutil
import subprocess

KiB = 1024
MiB = 1024 * KiB
GiB = 1024 * MiB

# The system's Python has the system's modules; e2fsck is in sbin
os.environ['PATH'] = '/usr/bin:/usr/sbin:/bin:/sbin:' + os.environ['PATH']

DEADLINE = 60                   # seconds that nothing healthy ever needs


class ToolError(AssertionError):
    """A program ended with another status than was asked for"""


def run(*command, check=True, input=None, env=None, timeout=DEADLINE):
    """Run to the end; returns stdout and stderr together as text

    With check=False the status does not matter; a number is the status that
    is expected.
    """
    done = subprocess.run([str(arg) for arg in command], input=input,
                          env={**os.environ, **(env or {})}, timeout=timeout,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          stdin=None if input else subprocess.DEVNULL,
                          text=True, check=False)
    expected = 0 if check is True else check
    if check is not False and done.returncode != expected:
        raise ToolError(f'{" ".join(map(str, command))}: status '
                        f'{done.returncode} instead of {expected}:\n'
                        f'{done.stdout}')
    return done.stdout


def have(program):
    """Whether @program (or the Python module "module:NAME") is there"""
    if program.startswith('module:'):
        try:
            __import__(program.removeprefix('module:'))
            return True
        except ImportError:
            return False
    return shutil.which(program) is not None


def seed():
    """The seed of random tests: fixed, unless --long varies it"""
    return int(os.environ.get('IOTESTS_SEED', '1'))


def sha256(path):
    digest = hashlib.sha256()
    with open(path, 'rb') as file:
        while chunk := file.read(MiB):
            digest.update(chunk)
    return digest.hexdigest()


SANITIZER_WORDS = re.compile(
    r'ERROR: \w*Sanitizer|WARNING: \w*Sanitizer|runtime error:|'
    r'SUMMARY: \w*Sanitizer')


def sanitizer_findings(text):
    """The part of @text that a sanitizer wrote, or ''"""
    match = SANITIZER_WORDS.search(text)
    return text[match.start():] if match else ''
