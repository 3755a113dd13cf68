#!/usr/bin/env python3
#
# Every faulty schema in this folder is refused with the message it expects
#
# The first line of a schema says "# expect: LINE: MESSAGE".  In TAP, one test
# per file.
#
# run.py GENERATOR
#
# SPDX-License-Identifier: GPL-2.0-or-later

import glob
import os
import re
import subprocess
import sys
import tempfile


def run(generator, path):
    """What the generator says about @path, and whether it wrote anything."""
    with tempfile.TemporaryDirectory() as out:
        result = subprocess.run(
            [sys.executable, '-B', generator, '-o', out, path],
            stderr=subprocess.PIPE, text=True, check=False)
        return result.returncode, result.stderr.strip(), os.listdir(out)


def expected(path):
    with open(path, encoding='utf-8') as f:
        m = re.match(r'# expect: (\d+: .*)', f.readline())
    return f'{path}:{m.group(1)}'


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    paths = sorted(glob.glob(os.path.join(here, '*.json')))
    failed = 0
    print(f'1..{len(paths)}')
    for i, path in enumerate(paths, 1):
        status, message, written = run(sys.argv[1], path)
        good = (status == 1 and message == expected(path) and not written)
        print(f'{"ok" if good else "not ok"} {i} {os.path.basename(path)}')
        if not good:
            failed += 1
            print(f'# expected: {expected(path)}\n# got: {message}')
    return 1 if failed or not paths else 0


if __name__ == '__main__':
    sys.exit(main())
