# The text of doc comments as blocks
#
# Enough of reStructuredText for what schemas use: paragraphs, lists, literal
# blocks and directives.  blocks() gives tuples:
#
#   ('para', text)  ('pre', text)  ('item', blocks)  ('note', title, blocks)
#
# SPDX-License-Identifier: GPL-2.0-or-later

import re
import textwrap

DIRECTIVE = re.compile(r'\.\. ([a-z-]+)::\s*(.*)$')
ITEM = re.compile(r'(?:[-*]|\d+\.) +(.*)$')
OPTION = re.compile(r'\s+:[a-z-]+:')
QMP = re.compile(r'(->|<-) ')

# Directives whose body is shown as it stands
LITERAL = ('qmp-example', 'code-block', 'parsed-literal')


def indented(lines, i):
    """The block from line @i that is indented, and where it ends."""
    start = i
    while i < len(lines) and (not lines[i] or lines[i][0] == ' '):
        i += 1
    return textwrap.dedent('\n'.join(lines[start:i])).strip('\n'), i


def directive(name, arg, lines, i):
    while i < len(lines) and OPTION.match(lines[i]):
        i += 1
    body, i = indented(lines, i)
    if name in LITERAL:
        return ('pre', body), i
    if name == 'admonition':
        return ('note', arg, blocks(body)), i
    text = arg + '\n' + body if arg else body
    return ('note', name.capitalize(), blocks(text)), i


def paragraph(lines, i):
    start = i
    while (i < len(lines) and lines[i] and not DIRECTIVE.match(lines[i])
           and (i == start or not ITEM.match(lines[i]))):
        i += 1
    return ' '.join(line.strip() for line in lines[start:i]), i


def example(lines, i):
    """Lines of a QMP conversation, up to a blank one."""
    start = i
    while i < len(lines) and lines[i]:
        i += 1
    return '\n'.join(lines[start:i]), i


def blocks(text):
    lines = text.split('\n')
    result = []
    i = 0
    while i < len(lines):
        m = DIRECTIVE.match(lines[i])
        item = ITEM.match(lines[i])
        if not lines[i]:
            i += 1
        elif m:
            block, i = directive(m.group(1), m.group(2), lines, i + 1)
            result.append(block)
        elif QMP.match(lines[i]):
            body, i = example(lines, i)
            result.append(('pre', body))
        elif item:
            body, i = indented(lines, i + 1)
            result.append(('item', blocks(item.group(1) + '\n' + body)))
        else:
            body, i = paragraph(lines, i)
            literal = body.endswith('::')
            if literal:
                body = body[:-1] if body != '::' else ''
            if body:
                result.append(('para', body))
            if literal:
                body, i = indented(lines, i)
                result.append(('pre', body))
    return result
