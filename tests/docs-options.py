#!/usr/bin/env python3
# Every option that --help lists is described, and nothing else is
#
#   tests/docs-options.py DAEMON FILE...
#
# SPDX-License-Identifier: GPL-2.0-or-later

import re
import subprocess
import sys


def options_of_help(daemon: str) -> set[str]:
    text = subprocess.run([daemon, '--help'], check=True, text=True,
                          stdout=subprocess.PIPE).stdout
    text = text.split('Accepted and ignored')[0]
    return set(re.findall(r'^  -{1,2}([\w-]+)', text, re.MULTILINE))


def options_of_page(path: str) -> set[str]:
    with open(path, encoding='utf-8') as page:
        text = page.read()
    if path.endswith('.1'):
        text = text.replace('\\-', '-')
        text = text.split('.SH OPTIONS')[1].split('.SH EXIT')[0]
        return set(re.findall(r'^\.BI? -{1,2}([\w-]+)', text, re.MULTILINE))
    return set(re.findall(r'\*\*-{1,2}([\w-]+)\*\*', text))


def main() -> int:
    known = options_of_help(sys.argv[1])
    failed = False
    print(f'1..{len(sys.argv) - 2}')
    for number, path in enumerate(sys.argv[2:], 1):
        described = options_of_page(path)
        for name in sorted(known - described):
            print(f'# {path}: --{name} is not described')
        for name in sorted(described - known - {'h', 'V', 'T'}):
            print(f'# {path}: --{name} does not exist')
        good = known == described - {'h', 'V', 'T'}
        failed = failed or not good
        print(f'{"" if good else "not "}ok {number} - {path}')
    return failed


if __name__ == '__main__':
    sys.exit(main())
