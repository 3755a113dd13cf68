# The QMP reference manual: a man page and an HTML page
#
# Both are made by one walk over the schema's documentation, with a writer for
# each format underneath.
#
# SPDX-License-Identifier: GPL-2.0-or-later

import html
import re

from .common import write_file
from .doc import Doc
from .markup import blocks
from .model import (AlternateType, ArrayType, Command, EnumType, Event,
                    ObjectType)

TITLE = 'QMP reference of colo-storage-daemon'
INLINE = re.compile(r'``(.+?)``|@([A-Za-z0-9][A-Za-z0-9_-]*)')


class ManWriter:
    def __init__(self, name, version):
        self.out = [
            '.\\" Made by scripts/qapi-gen.py from the schema',
            '.\\" SPDX-License-Identifier: GPL-2.0-or-later',
            f'.TH {name.upper()} 7 "" "colo-block {version}" "QMP"',
            '.SH NAME', f'{name} \\- {TITLE}']

    @staticmethod
    def escape(text):
        text = text.replace('\\', '\\e').replace('-', '\\-')
        return '\\&' + text if text[:1] in ('.', "'") else text

    def inline(self, text):
        text = self.escape(text)
        return INLINE.sub(lambda m: '\\fB' + (m.group(1) or m.group(2))
                          + '\\fR', text.replace('\\-', '-')
                          ).replace('-', '\\-')

    def section(self, level, text):
        macro = '.SH' if level == 1 else '.SS'
        self.out.append(f'{macro} "{self.escape(text)}"')

    def entity(self, name, meta):
        self.out.append(f'.SS "{self.escape(name)} ({meta})"')

    def heading(self, text):
        self.out += ['.PP', f'.B {self.escape(text)}']

    def para(self, text):
        self.out += ['.PP', self.inline(text)]

    def pre(self, text):
        self.out += ['.PP', '.RS 4', '.nf']
        self.out += [self.escape(line) for line in text.split('\n')]
        self.out += ['.fi', '.RE']

    def begin(self, label=None):
        """Indented text below @label, or below a bullet."""
        if label is None:
            self.out += ['.IP \\(bu 3']
        else:
            self.out += ['.TP', f'\\fB{self.escape(label)}\\fR']

    def first(self, text):
        """Text right behind begin()."""
        self.out.append(self.inline(text))

    def nest(self):
        self.out.append('.RS')

    def unnest(self):
        self.out.append('.RE')

    def text(self):
        return '\n'.join(self.out) + '\n'


class HtmlWriter:
    STYLE = ('body{font:16px/1.5 sans-serif;max-width:60em;margin:2em auto;'
             'padding:0 1em}pre,code{background:#f3f3f3}pre{padding:.6em;'
             'overflow:auto}h3{border-top:1px solid #ccc;padding-top:.6em}'
             'dt{font-weight:bold}small{font-weight:normal;color:#666}')

    def __init__(self, names):
        self.names = names
        self.out = [
            '<!DOCTYPE html>',
            '<!-- SPDX-License-Identifier: GPL-2.0-or-later -->',
            f'<html lang="en"><head><meta charset="utf-8"><title>{TITLE}'
            f'</title><style>{self.STYLE}</style></head><body>',
            f'<h1>{TITLE}</h1>']
        self.open = []

    def reference(self, m):
        if m.group(1):
            return f'<code>{m.group(1)}</code>'
        name = m.group(2)
        if name in self.names:
            return f'<a href="#{name}"><code>{name}</code></a>'
        return f'<code>{name}</code>'

    def inline(self, text):
        return INLINE.sub(self.reference, html.escape(text, quote=False))

    def section(self, level, text):
        self.out.append(f'<h{level + 1}>{html.escape(text)}</h{level + 1}>')

    def entity(self, name, meta):
        self.out.append(f'<h3 id="{name}"><code>{name}</code> '
                        f'<small>{meta}</small></h3>')

    def heading(self, text):
        self.out.append(f'<h4>{html.escape(text)}</h4>')

    def para(self, text):
        self.out.append(f'<p>{self.inline(text)}</p>')

    def pre(self, text):
        self.out.append(f'<pre>{html.escape(text)}</pre>')

    def begin(self, label=None):
        if label is None:
            self.out.append('<ul><li>')
            self.open.append('</li></ul>')
        else:
            self.out.append(f'<dl><dt>{html.escape(label)}</dt><dd>')
            self.open.append('</dd></dl>')

    def first(self, text):
        self.out.append(self.inline(text))

    def nest(self):
        """HTML's items nest as they are written."""

    def unnest(self):
        self.out.append(self.open.pop())

    def text(self):
        return '\n'.join(self.out + ['</body></html>']) + '\n'


def type_text(typ):
    if isinstance(typ, ArrayType):
        return '[' + type_text(typ.element) + ']'
    return typ.name


class Manual:
    """Walks over the schema's documentation into @writer."""

    def __init__(self, schema, writer):
        self.schema = schema
        self.w = writer
        self.by_doc = {e.doc: e for e in schema.entities}
        # The main module speaks about the whole
        for module in schema.modules[-1:] + schema.modules[:-1]:
            for item in module.contents:
                if isinstance(item, Doc):
                    self.free_form(item)
                elif item.doc in self.by_doc:
                    self.entity(self.by_doc[item.doc])

    def free_form(self, doc):
        for section in doc.sections:
            plain = []
            for line in section.text.split('\n'):
                m = re.match(r'(=+) (.*)$', line)
                if m:
                    self.blocks(blocks('\n'.join(plain)))
                    plain = []
                    self.w.section(len(m.group(1)), m.group(2))
                else:
                    plain.append(line)
            self.blocks(blocks('\n'.join(plain)))

    def blocks(self, items):
        for item in items:
            if item[0] == 'para':
                self.w.para(item[1])
            elif item[0] == 'pre':
                self.w.pre(item[1])
            elif item[0] == 'item':
                self.indented(None, item[1])
            else:
                self.indented(item[1] + ':', item[2])

    def indented(self, label, items):
        self.w.begin(label)
        if items and items[0][0] == 'para':
            self.w.first(items[0][1])
            items = items[1:]
        self.w.nest()
        self.blocks(items)
        self.w.unnest()

    def entity(self, e):
        meta = e.meta.capitalize()
        if isinstance(e, ObjectType):
            meta = 'Union' if e.tag_name else 'Struct'
        self.w.entity(e.name, meta)
        self.blocks(blocks(e.doc.sections[0].text))
        self.members(e)
        self.named('Features', e.doc.features, {})
        for section in e.doc.sections[1:]:
            self.section(e, section)

    def members(self, e):
        members = []
        if isinstance(e, (Command, Event)) and e.arg:
            if not e.arg.implicit:
                self.w.heading('Arguments')
                self.w.para(f'The members of @{e.arg.name}.')
                return
            members = e.arg.members
        elif isinstance(e, (ObjectType, AlternateType)):
            members = e.members
        labels = {}
        for m in members:
            optional = ', optional' if m.optional else ''
            labels[m.name] = f'{m.name} ({type_text(m.type)}{optional})'
        title = 'Arguments' if isinstance(e, Command) else \
            'Values' if isinstance(e, EnumType) else \
            'Alternatives' if isinstance(e, AlternateType) else 'Members'
        args = e.doc.args
        if labels:
            args = {m.name: args[m.name] for m in members}
        self.named(title, args, labels)
        if isinstance(e, ObjectType):
            self.variants(e)

    def variants(self, obj):
        if obj.base:
            self.w.para(f'The members of @{obj.base.name}.')
        for value, typ in obj.filled_branches.items():
            self.w.para(f'When ``{obj.tag_name}`` is ``{value}``: the '
                        f'members of @{typ.name}.')

    def named(self, title, sections, labels):
        if not sections:
            return
        self.w.heading(title)
        for name, section in sections.items():
            self.indented(labels.get(name, name), blocks(section.text))

    def section(self, e, section):
        if section.tag is None:
            self.blocks(blocks(section.text))
        elif section.tag.startswith('Example'):
            self.w.heading(section.tag)
            self.w.pre(section.text)
        elif section.tag == 'Returns' and getattr(e, 'ret', None):
            self.indented(f'Returns ({type_text(e.ret)}):',
                          blocks(section.text))
        else:
            self.indented(section.tag + ':', blocks(section.text))


def write(schema, outdir, name, version):
    man = ManWriter(name, version)
    Manual(schema, man)
    write_file(outdir, name + '.7', man.text())
    page = HtmlWriter({e.name for e in schema.entities})
    Manual(schema, page)
    write_file(outdir, name + '.html', page.text())
