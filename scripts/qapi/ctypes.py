# C types: qapi-types-MODULE.h and .c
#
# Structs, enums and list nodes, their free functions, and the declarations of
# the descriptors that visits.py defines.
#
# SPDX-License-Identifier: GPL-2.0-or-later

from .common import c_enum_const, c_name
from .model import AlternateType, ArrayType, EnumType, ObjectType


def enum_decl(enum):
    out = f'typedef enum {enum.c_name} {{\n'
    for m in enum.members:
        out += f'    {enum.const(m.name)},\n'
    out += f"    {enum_max(enum)},\n}} {enum.c_name};\n\n"
    n = enum.c_name
    return out + f"""extern const QapiEnumLookup {n}_lookup;
extern const QapiType qapi_type_{n};

static inline const char *{n}_str({n} val)
{{
    return qapi_enum_str(&{n}_lookup, val);
}}

static inline int {n}_parse(const char *name, GError **errp)
{{
    return qapi_enum_parse(&{n}_lookup, name, errp);
}}

"""


def enum_max(enum):
    return c_enum_const(enum.name, '_MAX', enum.prefix)


def enum_lookup(enum):
    n = enum.c_name
    out = f'static const char *const {n}_names[] = {{\n'
    for m in enum.members:
        out += f'    [{enum.const(m.name)}] = "{m.name}",\n'
    if not enum.members:
        out += '    NULL\n'
    return out + f"""}};

const QapiEnumLookup {n}_lookup = {{
    .name = "{enum.name}",
    .names = {n}_names,
    .size = {enum_max(enum)},
}};

"""


def members_decl(members):
    out = ''
    for m in members:
        if m.has:
            out += f'    bool {m.has};\n'
        out += f'    {m.type.decl(m.c_name)};\n'
    return out


def object_decl(obj):
    out = f'struct {obj.c_name} {{\n'
    if obj.base and obj.base.all_members:
        out += f'    /* Members inherited from {obj.base.name} */\n'
        out += members_decl(obj.base.all_members)
        if obj.members or obj.tag_name:
            out += '    /* Own members */\n'
    out += members_decl(obj.members)
    branches = obj.filled_branches
    if branches:
        out += f'    union {{ /* by {obj.tag.c_name} */\n'
        for value, typ in branches.items():
            out += f'        {typ.c_name} {c_name(value)};\n'
        out += '    } u;\n'
    if obj.is_empty():
        out += '    char empty;     /* C wants a member */\n'
    return out + '};\n\n'


def alternate_decl(alt):
    out = f'struct {alt.c_name} {{\n    QType type;\n    union {{\n'
    for m in alt.members:
        if isinstance(m.type, ObjectType):
            out += f'        {m.type.c_name} {m.c_name};\n'
        else:
            out += f'        {m.type.decl(m.c_name)};\n'
    return out + '    } u;\n};\n\n'


def embedded(typ):
    """The types that @typ holds by value."""
    if isinstance(typ, ObjectType):
        return list(typ.filled_branches.values())
    if isinstance(typ, AlternateType):
        return [m.type for m in typ.members if isinstance(m.type, ObjectType)]
    return []


def by_dependency(types):
    """@types such that what is embedded comes before what embeds it."""
    done = []

    def visit(typ, path):
        if typ in done or typ not in types:
            return
        if typ in path:
            raise typ.where.error(f"type '{typ.name}' contains itself")
        for inner in embedded(typ):
            visit(inner, path + [typ])
        done.append(typ)

    for typ in types:
        visit(typ, [])
    return done


def referenced(schema, module):
    """Modules whose types @module uses, those it includes first."""
    result = list(module.includes)
    used = []
    for e in schema.of(module, ObjectType, AlternateType):
        members = e.all_members if isinstance(e, ObjectType) else e.members
        used += [m.type for m in members] + embedded(e)
    for typ in used:
        if typ.module and typ.module is not module \
                and typ.module not in result:
            result.append(typ.module)
    return result


def list_decl(element):
    n = ArrayType(element).c_name
    return (f'struct {n} {{\n    {n} *next;\n'
            f'    {element.decl("value")};\n}};\n\n')


def handles(names):
    out = ''
    for n in names:
        out += f'extern const QapiType qapi_type_{n};\n'
        out += f'void qapi_free_{n}({n} *obj);\n'
        out += f'G_DEFINE_AUTOPTR_CLEANUP_FUNC({n}, qapi_free_{n})\n\n'
    return out


def header(schema, module):
    enums = schema.of(module, EnumType)
    structs = schema.of(module, ObjectType, AlternateType)
    names = [t.c_name for t in structs]
    lists = [ArrayType(t).c_name for t in enums + structs]
    out = ''.join(enum_decl(e) for e in enums)
    for n in names + lists:
        out += f'typedef struct {n} {n};\n'
    out += '\n' if names + lists else ''
    out += ''.join(list_decl(t) for t in enums + structs)
    for typ in by_dependency(structs):
        if isinstance(typ, AlternateType):
            out += alternate_decl(typ)
        else:
            out += object_decl(typ)
    return out + handles(names + lists)


def source(schema, module):
    enums = schema.of(module, EnumType)
    structs = schema.of(module, ObjectType, AlternateType)
    out = ''.join(enum_lookup(e) for e in enums)
    for n in ([t.c_name for t in structs]
              + [ArrayType(t).c_name for t in enums + structs]):
        out += (f'void qapi_free_{n}({n} *obj)\n{{\n'
                f'    qapi_free(&qapi_type_{n}, obj);\n}}\n\n')
    return out
