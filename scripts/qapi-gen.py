#!/usr/bin/env python3
#
# Generate C code and the reference manual from a QAPI schema
#
# qapi-gen.py -o DIR [-p PREFIX] [-i INCDIR] [-D SYMBOL] SCHEMA
#
# SPDX-License-Identifier: GPL-2.0-or-later

import argparse
import sys

sys.dont_write_bytecode = True

from qapi import calls, ctypes, introspect, manual, visits  # noqa: E402
from qapi.common import c_file, c_name, write_file          # noqa: E402
from qapi.error import QapiError                            # noqa: E402
from qapi.model import Command, Event                       # noqa: E402
from qapi.parser import parse_schema                        # noqa: E402
from qapi.schema import Schema                              # noqa: E402


class Generator:
    """Writes the files of one schema into @outdir."""

    def __init__(self, schema, args):
        self.schema = schema
        self.outdir = args.output_dir
        self.prefix = args.prefix
        self.incdir = args.include_dir
        self.c_prefix = c_name(args.prefix) if args.prefix else ''

    def file_name(self, kind, module=None):
        suffix = '-' + module.name if module and module.name else ''
        return f'{self.prefix}qapi-{kind}{suffix}'

    def include(self, kind, module=None):
        return f'{self.incdir}{self.file_name(kind, module)}.h'

    def write(self, name, what, body, includes):
        write_file(self.outdir, name, c_file(name, what, body, includes))

    def pair(self, kind, module, header, h_incs, source, c_incs):
        name = self.file_name(kind, module)
        what = f"QAPI {kind} of schema module '{module.name or 'main'}'"
        self.write(name + '.h', what, header, h_incs)
        self.write(name + '.c', what, source,
                   [self.include(kind, module)] + c_incs)

    def module(self, module):
        schema = self.schema
        types = [self.include('types', m)
                 for m in ctypes.referenced(schema, module)]
        self.pair('types', module, ctypes.header(schema, module),
                  ['qapi/builtin.h'] + types,
                  ctypes.source(schema, module), [])
        visit = [self.include('visit', m) for m in module.includes]
        self.pair('visit', module, visits.header(schema, module),
                  [self.include('types', module)] + visit,
                  visits.source(schema, module), [])
        self.pair('commands', module,
                  calls.commands_header(schema, module),
                  [self.include('types', m) for m in
                   calls.used_modules(schema, module, Command)],
                  calls.commands_source(schema, module), [])
        self.pair('events', module, calls.events_header(schema, module),
                  [self.include('types', m) for m in
                   calls.used_modules(schema, module, Event)],
                  calls.events_source(schema, module, self.c_prefix),
                  ['qapi/event.h', self.include('emit-events')])

    def whole(self):
        schema = self.schema
        name = self.file_name('emit-events')
        self.write(name + '.h', 'The enum of QMP events',
                   calls.event_enum(schema, self.c_prefix),
                   ['qapi/type.h'])
        self.write(name + '.c', 'The names of QMP events',
                   calls.event_lookup(schema, self.c_prefix),
                   [self.include('emit-events')])
        decl = ''
        if self.c_prefix:
            decl = (f'extern const QapiCommand {self.c_prefix}'
                    'qapi_commands[];\n'
                    f'extern const size_t {self.c_prefix}qapi_n_commands;\n')
        name = self.file_name('init-commands')
        self.write(name + '.h', 'The table of QMP commands', decl,
                   ['qapi/dispatch.h'])
        self.write(name + '.c', 'The table of QMP commands',
                   calls.command_table(schema, self.c_prefix),
                   [self.include('init-commands')] +
                   [self.include('commands', m) for m in schema.modules])
        name = self.file_name('introspect')
        self.write(name + '.h', 'The schema as JSON text',
                   f'extern const char {self.c_prefix}'
                   'qapi_introspect_text[];\n', [])
        self.write(name + '.c', 'The schema as JSON text',
                   introspect.source(schema, self.c_prefix),
                   [self.include('introspect')])

    def run(self):
        for module in self.schema.modules:
            self.module(module)
        self.whole()


def parse_args():
    p = argparse.ArgumentParser(
        description='Generate C code and manuals from a QAPI schema')
    p.add_argument('-o', '--output-dir', default='.')
    p.add_argument('-p', '--prefix', default='',
                   help='put in front of file names, e.g. test-')
    p.add_argument('-i', '--include-dir', default='',
                   help='put in front of names in #include, e.g. qapi/')
    p.add_argument('-D', '--define', action='append', default=[],
                   help="symbol that makes an 'if' true")
    p.add_argument('-d', '--depfile', help='write make rules here')
    p.add_argument('--depfile-target', help='what the rules are for')
    p.add_argument('--manual', metavar='NAME',
                   help='write NAME.7 and NAME.html instead of code')
    p.add_argument('--version', default='')
    p.add_argument('schema')
    return p.parse_args()


def main():
    args = parse_args()
    try:
        parser = parse_schema(args.schema)
        schema = Schema(parser.modules, set(args.define))
        if args.manual:
            manual.write(schema, args.output_dir, args.manual, args.version)
        else:
            Generator(schema, args).run()
    except QapiError as e:
        print(e, file=sys.stderr)
        return 1
    if args.depfile:
        with open(args.depfile, 'w', encoding='utf-8') as f:
            f.write(f'{args.depfile_target}: {" ".join(parser.sources)}\n')
    return 0


if __name__ == '__main__':
    sys.exit(main())
