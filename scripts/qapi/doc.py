# Doc comments of a QAPI schema
#
# A doc comment is a description, then sections: one per argument (@name:),
# Features: with one section per feature, and tagged ones (Since:, Returns:,
# Errors:, Example:, Note:).  Doc.check() holds it against what is defined.
#
# SPDX-License-Identifier: GPL-2.0-or-later

import re
import textwrap

SYMBOL = re.compile(r'@([A-Za-z0-9_.-]+):(?:\s+(.*))?$')
TAG = re.compile(r'(Returns|Errors|Since|Notes?|Examples?):(?:\s+(.*))?$')


class Section:
    """@tag is None for plain text."""

    def __init__(self, where, tag=None):
        self.where = where
        self.tag = tag
        self.lines = []

    @property
    def text(self):
        """The text without the indentation of its continuation lines."""
        if not self.lines:
            return ''
        rest = textwrap.dedent('\n'.join(self.lines[1:]))
        return (self.lines[0].strip() + '\n' + rest).strip('\n')


class Doc:
    def __init__(self, where, lines):
        self.where = where
        self.symbol = None
        self.args = {}          # name: Section
        self.features = {}      # name: Section
        self.sections = []      # in order, without args and features
        self._current = None
        self._in_features = False
        self._blank = False
        self._parse(lines)

    def _parse(self, lines):
        while lines and not lines[0][1]:
            lines = lines[1:]
        m = lines and SYMBOL.match(lines[0][1])
        if m:
            self.symbol = m.group(1)
            lines = [(lines[0][0], m.group(2) or '')] + lines[1:]
        self._start(Section(lines[0][0] if lines else self.where))
        self.sections.append(self._current)
        for where, line in lines:
            self._parse_line(where, line)

    def _start(self, section):
        self._current = section
        self._blank = False

    def _parse_line(self, where, line):
        if self.symbol:
            m = SYMBOL.match(line)
            if m:
                self._start_named(where, m)
                return
            if line == 'Features:':
                self._in_features = True
                self._start(Section(where, 'Features'))
                return
            m = TAG.match(line)
            if m:
                self._start_tagged(where, m.group(1), m.group(2))
                return
            # Text that starts over at the margin belongs to the whole again
            if (self._blank and line and line[0] != ' '
                    and self._current.tag):
                self._in_features = False
                self._start_tagged(where, None, line)
                return
        self._blank = not line
        self._current.lines.append(line)

    def _start_named(self, where, m):
        name = m.group(1)
        names = self.features if self._in_features else self.args
        if name in names:
            raise where.error(f"'@{name}' is documented twice")
        section = Section(where, '@' + name)
        section.lines.append(m.group(2) or '')
        names[name] = section
        self._start(section)

    def _start_tagged(self, where, tag, text):
        self._in_features = False
        section = Section(where, tag)
        section.lines.append(text or '')
        self.sections.append(section)
        self._start(section)

    @property
    def since(self):
        for section in self.sections:
            if section.tag == 'Since':
                return section.text
        return None

    def check(self, where, name, what, members, features):
        """Every member and feature is described, and nothing else is."""
        if self.symbol != name:
            raise self.where.error(
                f"documentation is for '{self.symbol}', but the definition "
                f"that follows is '{name}'")
        self._check_names(where, what, 'member', self.args, members)
        self._check_names(where, what, 'feature', self.features, features)

    @staticmethod
    def _check_names(where, what, kind, documented, defined):
        for name in defined:
            if name not in documented or not documented[name].text:
                raise where.error(
                    f"{what}: {kind} '{name}' is not documented")
        for name, section in documented.items():
            if name not in defined:
                raise section.where.error(
                    f"{what} has no {kind} '{name}', but it is documented")
