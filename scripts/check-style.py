#!/usr/bin/python3
"""Check what can be checked of the coding style without reading it

Every file says what it is and under which licence, in one way of writing:
see docs/devel/style.md.  Prints TAP.

SPDX-License-Identifier: GPL-2.0-or-later
"""

import fnmatch
import re
import subprocess
import sys
from pathlib import Path

import tap

LINE_MAX = 100              # 80 columns, with some grace
FILE_MAX = 900
FUNCTION_MAX = 80
SPDX = 'SPDX-License-Identifier: GPL-2.0-or-later'
# Spelled so that this file passes its own check
UNFINISHED = re.compile(r'\b(TO' r'DO|FIX' r'ME|X' r'XX)\b')
# Written by others, or data
EXEMPT = {'COPYING', '.clang-format', '.gitignore'}


def kind_of(path, text):
    """'c', 'script', 'json', 'meson', 'text', 'other', None for what is not ours"""
    if path.name in EXEMPT or 'LICENSES' in path.parts:
        return None
    if path.suffix in ('.c', '.h', '.S'):
        return 'c'
    if path.suffix == '.py' or text.startswith('#!'):
        return 'script'
    if path.name in ('meson.build', 'meson_options.txt'):
        return 'meson'
    if path.suffix == '.json':
        return 'json'
    return 'text' if path.suffix == '.md' else 'other'


def check_head(kind, lines):
    head = '\n'.join(lines[:40])
    if kind != 'other' and SPDX not in head:
        yield 1, f'has no line "{SPDX}"'
    if kind == 'c':
        ok = lines[:1] == ['/*'] and len(lines) > 2 and \
            re.match(r' \* \S', lines[1])
        if not ok:
            yield 1, 'does not begin with a comment that says what it is'
    elif kind == 'script':
        first = next((i for i in lines if not i.startswith('#!')), '')
        if not re.match(r'("""|# ?\w|#$)', first):
            yield 1, 'does not begin with a comment that says what it is'


def check_lines(kind, lines):
    for number, line in enumerate(lines, 1):
        if '\t' in line:
            yield number, 'tab'
        if line != line.rstrip():
            yield number, 'white space at the end of the line'
        if len(line) > LINE_MAX and kind not in ('text', 'other'):
            yield number, f'{len(line)} columns, at most {LINE_MAX}'
        if UNFINISHED.search(line):
            yield number, 'speaks of unfinished work'


def check_size(kind, lines):
    if kind in ('c', 'script') and len(lines) > FILE_MAX:
        yield 1, f'{len(lines)} lines, at most {FILE_MAX}'
    if kind != 'c':
        return
    start = None
    for number, line in enumerate(lines, 1):
        if line == '{':
            start = number
        elif line == '}' and start is not None:
            if number - start - 1 > FUNCTION_MAX:
                yield start, (f'function of {number - start - 1} lines, '
                              f'at most {FUNCTION_MAX}')
            start = None


def check_text(path, text):
    kind = kind_of(path, text)
    if kind is None:
        return []
    lines = text.splitlines()
    found = [*check_head(kind, lines), *check_lines(kind, lines),
             *check_size(kind, lines)]
    if text and not text.endswith('\n'):
        found.append((len(lines), 'no newline at the end of the file'))
    return [f'{path}:{number}: {what}' for number, what in found]


def tracked_files(root):
    git = subprocess.run(['git', 'ls-files', '-z'], cwd=root, check=False,
                         capture_output=True)
    if git.returncode == 0 and git.stdout:
        return [Path(name.decode()) for name in git.stdout.split(b'\0')
                if name and (root / name.decode()).is_file()]
    return [path.relative_to(root) for path in root.rglob('*')
            if path.is_file() and not str(path.relative_to(root))
            .startswith(('build', '.git/'))]


def check_tree(root):
    complaints = []
    for path in sorted(tracked_files(root)):
        try:
            text = (root / path).read_text(encoding='utf-8')
        except UnicodeDecodeError:
            continue                    # an image or other data
        complaints += check_text(path, text)
    return complaints


def check_maintainers(root):
    """Each pattern matches something, each file is somebody's"""
    files = [str(path) for path in tracked_files(root)]
    text = (root / 'MAINTAINERS').read_text(encoding='utf-8')
    patterns = [re.sub(r'/$', '/*', pattern) for pattern in
                re.findall(r'^F: (\S+)$', text, re.MULTILINE)]
    for pattern in patterns:
        if not fnmatch.filter(files, pattern):
            yield f'MAINTAINERS: nothing matches {pattern}'
    for path in files:
        if not any(fnmatch.fnmatch(path, pattern) for pattern in patterns):
            yield f'MAINTAINERS: {path} is in no section'


def check_self():
    head = f'/*\n * What it is\n *\n * {SPDX}\n */\n'
    bad = {
        'no-spdx.c': '/*\n * What it is\n */\n',
        'no-comment.c': f'int i; /* {SPDX} */\n',
        'tab.c': head + 'int f(void)\n{\n\treturn 0;\n}\n',
        'wide.c': head + 'int ' + 'x' * LINE_MAX + ';\n',
        'space.c': head + 'int x; \n',
        'marker.c': head + '/* FIX' 'ME */\n',
        'cut.c': head + 'int x;',
        'long.c': head + 'int x;\n' * FILE_MAX,
        'long-function.c': head + 'void f(void)\n{\n' +
                           '    g();\n' * (FUNCTION_MAX + 1) + '}\n',
        'script': '#!/bin/sh\necho\n',
        'page.md': '# Title\n',
    }
    complaints = [f'not noticed: {name}' for name, text in bad.items()
                  if not check_text(Path(name), text)]
    return complaints + check_text(Path('good.c'), head + 'int x;\n')


def main():
    root = Path(__file__).resolve().parent.parent
    tests = [('bad style is noticed', check_self()),
             ('sources keep to the style', check_tree(root)),
             ('MAINTAINERS knows every file', list(check_maintainers(root)))]
    return tap.report(tests)


if __name__ == '__main__':
    sys.exit(main())
