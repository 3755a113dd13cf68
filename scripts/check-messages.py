#!/usr/bin/python3
"""Check that some test asserts every message a user can see

A message is a string literal of a call that makes one (MAKERS).  It counts
as asserted when a string of a test has it as a whole, anything standing for
its conversions, or a piece of it that no other message has.  Prints TAP.

SPDX-License-Identifier: GPL-2.0-or-later
"""

import ast
import re
import sys
from pathlib import Path

import tap

MAKERS = ('error_setg', 'error_setg_errno', 'error_set_class', 'error_prepend',
          'error_report', 'warn_report', 'info_report', 'nbd_client_fail',
          'nbd_connection_fail', 'nbd_option_reply_error', 'refuse',
          'colo_buffer_error', 'limit_error', 'syntax_error',
          'bdrv_apply_auto_read_only', 'usage', 'g_string_append_printf',
          'g_string_append')
SOURCES = ('block', 'io', 'monitor', 'nbd', 'qapi', 'qom', 'replication',
           'storage-daemon', 'util')
TESTS = ('unit', 'sim', 'iotests')
PIECE = 12                      # characters that are enough to know it by

# What cannot be provoked in a test, and why
EXEMPT = {
    'Cannot import certificate: %s':
        'GnuTLS has parsed it in the handshake',
    'Unable to decrypt secret: %s':
        'GnuTLS always has the cipher, and the lengths were checked',
    'Cannot allocate credentials: %s':
        'only without memory, which GLib does not survive either',
    'Cannot create TLS session: %s':
        'only without memory, which GLib does not survive either',
}

COMMENT = re.compile(r'/\*.*?\*/', re.DOTALL)
STRING = re.compile(r'"((?:[^"\\\n]|\\.)*)"')
JOINT = re.compile(r'(?:\s|\b(?:PRI|SCN)\w+)*')
CALL = re.compile(r'\b(' + '|'.join(MAKERS) + r')\s*\(')
CONVERSION = re.compile(r'%[-+ #0]*[\d*]*(?:\.[\d*]+)?(?:hh|h|ll|l|z|j|t)?'
                        r'[a-zA-Z]?')


def decode(text):
    return ast.literal_eval(f'"{text}"') if '\\' in text else text


def c_strings(text):
    """(position, string) of the literals, adjacent ones as one"""
    found = []
    end = None
    for match in STRING.finditer(text):
        if found and JOINT.fullmatch(text, end, match.start()):
            joint = 'd' if text[end:match.start()].strip() else ''
            found[-1] = (found[-1][0],
                         found[-1][1] + joint + decode(match[1]))
        else:
            found.append((match.start(), decode(match[1])))
        end = match.end()
    return found


def blank_comments(text):
    """Without comments, each line where it was; no string has a slash-star"""
    return COMMENT.sub(lambda m: re.sub(r'[^\n]', ' ', m[0]), text)


def end_of_call(text, start):
    """The position behind the parenthesis that closes the one at @start"""
    depth = 0
    for match in re.finditer(r'"(?:[^"\\\n]|\\.)*"|\'(?:[^\'\\]|\\.)+\'|[()]',
                             text[start:]):
        depth += {'(': 1, ')': -1}.get(match[0], 0)
        if depth == 0:
            return start + match.end()
    return len(text)


def messages_of(text):
    """(line, format) of the messages in C source"""
    text = blank_comments(text)
    strings = c_strings(text)
    for call in CALL.finditer(text):
        end = end_of_call(text, call.end() - 1)
        for start, string in strings:
            # What is not a sentence is a name, or of a conversion only.
            if call.end() <= start < end and ' ' in string.strip() and \
                    re.search('[a-z]{3}', CONVERSION.sub('', string)):
                yield text.count('\n', 0, start) + 1, string


def python_strings(text):
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.JoinedStr):
            yield ''.join(part.value if isinstance(part, ast.Constant)
                          else '?' for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
        elif isinstance(node, ast.Constant) and isinstance(node.value, bytes):
            yield node.value.decode('latin-1')


def test_strings(root):
    for folder in TESTS:
        for path in sorted((root / 'tests' / folder).rglob('*')):
            if path.suffix in ('.c', '.h'):
                text = blank_comments(path.read_text(encoding='utf-8'))
                yield from (string for _, string in c_strings(text))
            elif path.is_file() and path.suffix in ('', '.py'):
                text = path.read_text(encoding='utf-8')
                if path.suffix or 'python' in text[:30]:
                    yield from python_strings(text)


def pieces(message):
    for part in CONVERSION.split(message):
        for i in range(len(part) - PIECE + 1):
            yield part[i:i + PIECE]


def is_asserted(message, corpus, shared):
    parts = [re.escape(part) for part in CONVERSION.split(message.strip())]
    return bool(re.search('[^\0]{0,60}?'.join(parts), corpus)) or \
        any(piece in corpus and piece not in shared
            for piece in pieces(message))


def shared_pieces(messages):
    """What more than one message has"""
    seen, shared = set(), set()
    for message in messages:
        own = set(pieces(message))
        shared |= seen & own
        seen |= own
    return shared


def complaints_about(found, corpus):
    """@found: place by message; @corpus: the strings of all tests"""
    shared = shared_pieces(found)
    return [f'{place}: no test asserts {message!r}'
            for message, place in found.items() if message not in EXEMPT
            and not is_asserted(message, corpus, shared)]


def check_self():
    """What must be noticed, and what must not"""
    source = """
        /* error_setg(errp, "Only a comment of the code"); */
        error_setg(errp, "Node '%s' is not " "there", name);
        error_setg_errno(errp, errno, "Could not open '%s'", path);
        g_string_append(out, "on");
    """
    found = {message: 'a.c' for _, message in messages_of(source)}
    good = ["Node 'disk0' is not there\0Could not open 'a'",
            "is not there\0Could not open"]
    bad = ['', "Node 'disk0' is there\0Could not open 'a'",
           "Node 'disk0' is not there\0Could not close 'a'"]
    return (['the messages found are ' + repr(list(found))
             for _ in range(len(found) != 2)] +
            [f'wrongly refused: {corpus!r}' for corpus in good
             if complaints_about(found, corpus)] +
            [f'not noticed: {corpus!r}' for corpus in bad
             if not complaints_about(found, corpus)])


def check_tree(root):
    found = {}
    for folder in SOURCES:
        for path in sorted((root / folder).rglob('*.[ch]')):
            for line, message in messages_of(path.read_text(encoding='utf-8')):
                found.setdefault(message, f'{path.relative_to(root)}:{line}')
    corpus = '\0'.join(test_strings(root))
    return complaints_about(found, corpus) + [
        f'exempt, but no message: {message!r}'
        for message in EXEMPT if message not in found]


def main():
    root = Path(__file__).resolve().parent.parent
    tests = [('a message without a test is noticed', check_self()),
             ('some test asserts every message', check_tree(root))]
    return tap.report(tests)


if __name__ == '__main__':
    sys.exit(main())
