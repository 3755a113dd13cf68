# Names and C text for the QAPI generator
#
# How schema names become C names, and the writer that leaves an unchanged
# file alone so that nothing depending on it is rebuilt.
#
# SPDX-License-Identifier: GPL-2.0-or-later

import os
import re

# Words that C, or the preprocessor in gnu mode, keeps for itself
RESERVED = set("""
auto break case char const continue default do double else enum extern float
for goto if inline int long register restrict return short signed sizeof
static struct switch typedef union unsigned void volatile while asm typeof
bool true false errno unix linux i386 mips sparc
""".split())


def c_name(name, protect=True):
    """@name as a C identifier; 'q_' in front of those that C keeps."""
    name = re.sub(r'[^A-Za-z0-9_]', '_', name)
    if protect and (name in RESERVED or name[0].isdigit()):
        name = 'q_' + name
    return name


def c_upper(camel):
    """CamelCase to UPPER_CASE: OnOffAuto, NBDServer, X86CPU."""
    split = re.sub(r'(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])', '_',
                   camel)
    return c_name(split, False).upper()


def c_enum_const(type_name, value, prefix=None):
    prefix = c_upper(type_name) if prefix is None else prefix
    return prefix + '_' + c_name(value, False).upper()


def c_string(text):
    """@text as a C string literal."""
    out = text.replace('\\', '\\\\').replace('"', '\\"').replace('\n', '\\n')
    return '"' + out + '"'


def guard(filename):
    return 'QAPI_GEN_' + re.sub(r'[^A-Za-z0-9]', '_', filename).upper()


def c_file(filename, what, body, includes):
    """A generated .c or .h file."""
    head = f"""/*
 * {what}
 *
 * Made by scripts/qapi-gen.py from the schema; changes here are lost.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

"""
    lines = ''.join(f'#include "{i}"\n' for i in includes)
    if filename.endswith('.h'):
        g = guard(filename)
        return (f'{head}#ifndef {g}\n#define {g}\n\n{lines}\n{body}'
                f'\n#endif\n')
    return f'{head}#include "osdep.h"\n{lines}\n{body}'


def write_file(outdir, name, text):
    path = os.path.join(outdir, name)
    try:
        with open(path, encoding='utf-8') as f:
            if f.read() == text:
                return
    except OSError:
        pass
    with open(path, 'w', encoding='utf-8') as f:
        f.write(text)
