# Parser for the QAPI schema language
#
# A schema file is a row of objects in a JSON dialect (single-quoted strings,
# # comments), with doc comments (## blocks) between them.  parse_schema()
# follows 'include' and 'pragma' and returns the modules in the order in which
# they are first included.
#
# SPDX-License-Identifier: GPL-2.0-or-later

import os
import re

from .doc import Doc
from .error import Where

TOKEN = re.compile(r"""
    (?P<space>[ \t\r]+)
  | (?P<newline>\n)
  | (?P<doc>\#\#[ \t]*(?:\n|$))
  | (?P<comment>\#[^\n]*)
  | (?P<punct>[][{}:,])
  | (?P<string>'(?:[^'\\\n]|\\.)*')
  | (?P<word>[A-Za-z]+)
""", re.VERBOSE)

WORDS = {'true': True, 'false': False}

PRAGMAS = ('doc-required', 'command-name-exceptions',
           'command-returns-exceptions', 'documentation-exceptions',
           'member-name-exceptions')


class QapiDict(dict):
    """A dict that knows the lines where it and its keys stand."""

    def __init__(self, where):
        super().__init__()
        self.where = where
        self.key_where = {}


class Expr:
    """A top-level object and the doc comment in front of it, if any."""

    def __init__(self, body, doc):
        self.body = body
        self.where = body.where
        self.doc = doc


class Module:
    """A schema file: what it includes, defines and says."""

    def __init__(self, path, name):
        self.path = path
        self.name = name
        self.includes = []      # Modules
        self.contents = []      # Expr and free-form Doc, in order


class FileParser:
    def __init__(self, path, text):
        self.path = path
        self.text = text
        self.pos = 0
        self.line = 1
        self.tok = None
        self.val = None
        self.where = None
        self.advance()

    def next_doc(self):
        """Collect the lines up to the closing ## line."""
        where = self.where
        lines = []
        while True:
            end = self.text.find('\n', self.pos)
            if end < 0:
                end = len(self.text)
            line = self.text[self.pos:end]
            if not line.startswith('#'):
                raise where.error("documentation comment must end with '##'")
            here = Where(self.path, self.line)
            self.pos = min(end + 1, len(self.text))
            self.line += 1
            if line.rstrip() == '##':
                return Doc(where, lines)
            if line.startswith('##'):
                raise here.error("'##' within a documentation comment")
            if len(line) > 1 and line[1] != ' ':
                raise here.error("missing space after '#'")
            lines.append((here, line[2:].rstrip()))

    def advance(self):
        """Read the next token into tok ('' at the end of the file)."""
        while True:
            self.where = Where(self.path, self.line)
            if self.pos >= len(self.text):
                self.tok, self.val = '', None
                return
            m = TOKEN.match(self.text, self.pos)
            if not m:
                bad = self.text[self.pos:].split('\n')[0][:20]
                raise self.where.error(f'stray "{bad}"')
            self.pos = m.end()
            kind = m.lastgroup
            if kind == 'newline':
                self.line += 1
            elif kind == 'doc':
                self.line += 1
                self.tok, self.val = 'doc', self.next_doc()
                return
            elif kind not in ('space', 'comment'):
                self.set_token(kind, m.group())
                return

    def set_token(self, kind, text):
        if kind == 'punct':
            self.tok, self.val = text, None
        elif kind == 'string':
            self.tok, self.val = 'string', re.sub(r'\\(.)', r'\1', text[1:-1])
        elif text in WORDS:
            self.tok, self.val = 'value', WORDS[text]
        else:
            raise self.where.error(f"unknown keyword '{text}'")

    def expect(self, tok, what):
        if self.tok != tok:
            raise self.where.error(f'expected {what}')
        val = self.val
        self.advance()
        return val

    def parse_object(self):
        obj = QapiDict(self.where)
        self.expect('{', "'{'")
        if self.tok == '}':
            self.advance()
            return obj
        while True:
            where = self.where
            key = self.expect('string', "string or '}'")
            if key in obj:
                raise where.error(f"duplicate key '{key}'")
            self.expect(':', "':'")
            obj[key] = self.parse_value()
            obj.key_where[key] = where
            if self.tok == '}':
                self.advance()
                return obj
            self.expect(',', "',' or '}'")

    def parse_array(self):
        items = []
        self.expect('[', "'['")
        if self.tok == ']':
            self.advance()
            return items
        while True:
            items.append(self.parse_value())
            if self.tok == ']':
                self.advance()
                return items
            self.expect(',', "',' or ']'")

    def parse_value(self):
        if self.tok == '{':
            return self.parse_object()
        if self.tok == '[':
            return self.parse_array()
        if self.tok in ('string', 'value'):
            val = self.val
            self.advance()
            return val
        raise self.where.error("expected '{', '[', string or boolean")


class SchemaParser:
    """Parses a file and what it includes, each file once."""

    def __init__(self):
        self.modules = []
        self.by_path = {}
        self.sources = []

    def parse_file(self, path, name):
        try:
            with open(path, encoding='utf-8') as f:
                text = f.read()
        except OSError as e:
            raise Where(path, 1).error(f'cannot read: {e.strerror}') from e
        module = Module(path, name)
        self.by_path[os.path.abspath(path)] = module
        self.sources.append(path)
        self.parse_contents(FileParser(path, text), module)
        self.modules.append(module)
        return module

    def parse_contents(self, parser, module):
        doc = None
        while parser.tok:
            if parser.tok == 'doc':
                self.check_used(doc)
                doc = parser.val
                parser.advance()
                if not doc.symbol:
                    module.contents.append(doc)
                    doc = None
                continue
            body = parser.parse_object()
            if 'include' in body:
                self.check_used(doc)
                self.include(body, module)
            elif 'pragma' in body:
                self.check_used(doc)
                self.pragma(body)
            else:
                module.contents.append(Expr(body, doc))
            doc = None
        self.check_used(doc)

    @staticmethod
    def check_used(doc):
        if doc:
            raise doc.where.error(
                f"documentation of '{doc.symbol}' is not followed by its "
                'definition')

    def include(self, body, module):
        name = body['include']
        if len(body) != 1 or not isinstance(name, str):
            raise body.where.error("'include' takes a file name, nothing else")
        path = os.path.join(os.path.dirname(module.path), name)
        known = self.by_path.get(os.path.abspath(path))
        if not known:
            if not os.path.exists(path):
                raise body.where.error(f"cannot find file '{name}'")
            known = self.parse_file(path, module_name(path))
        if known is module:
            raise body.where.error(f"'{name}' includes itself")
        if known not in module.includes:
            module.includes.append(known)

    @staticmethod
    def pragma(body):
        if len(body) != 1 or not isinstance(body['pragma'], dict):
            raise body.where.error("'pragma' takes an object, nothing else")
        for key in body['pragma']:
            if key not in PRAGMAS:
                raise body.where.error(f"unknown pragma '{key}'")


def module_name(path):
    return os.path.splitext(os.path.basename(path))[0]


def parse_schema(path):
    """The parser with all modules of the schema; the main one is last."""
    parser = SchemaParser()
    parser.parse_file(path, '')
    return parser
