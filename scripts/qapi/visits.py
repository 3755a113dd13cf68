# Visits: qapi-visit-MODULE.h and .c
#
# The descriptor of each type, and its ways from and to JSON.
#
# SPDX-License-Identifier: GPL-2.0-or-later

from .ctypes import enum_max
from .model import AlternateType, ArrayType, EnumType, ObjectType


def members_table(c_type, members):
    out = ''
    for m in members:
        has = f'offsetof({c_type}, {m.has})' if m.has else '-1'
        optional = 'true' if m.optional else 'false'
        out += (f'    {{ "{m.name}", {m.type.descriptor},\n'
                f'      offsetof({c_type}, {m.c_name}), {optional}, {has} }},'
                '\n')
    return out


def descriptor(c_type, name, fields, static=False, symbol=None):
    scope = 'static ' if static else ''
    out = f'{scope}const QapiType qapi_type_{symbol or c_type} = {{\n'
    for key, value in [('name', f'"{name}"')] + fields:
        out += f'    .{key} = {value},\n'
    return out + '};\n\n'


def object_tables(obj, static=False):
    n = obj.c_name
    out = ''
    fields = [('kind', 'QAPI_KIND_OBJECT'), ('qtype', 'QTYPE_QDICT'),
              ('size', f'sizeof({n})')]
    members = obj.all_members
    if members:
        out += (f'static const QapiMember {n}_members[] = {{\n'
                f'{members_table(n, members)}}};\n\n')
        fields += [('members', f'{n}_members'),
                   ('n_members', f'ARRAY_SIZE({n}_members)')]
    if obj.filled_branches:
        enum = obj.tag.type
        out += (f'static const QapiType *const {n}_branches'
                f'[{enum_max(enum)}] = {{\n')
        for value, typ in obj.filled_branches.items():
            out += f'    [{enum.const(value)}] = {typ.descriptor},\n'
        out += '};\n\n'
        fields += [('branches', f'{n}_branches'),
                   ('tag_offset', f'offsetof({n}, {obj.tag.c_name})'),
                   ('u_offset', f'offsetof({n}, u)')]
    return out + descriptor(n, obj.name, fields, static)


def enum_table(enum):
    return descriptor(enum.c_name, enum.name, [
        ('kind', 'QAPI_KIND_ENUM'), ('qtype', 'QTYPE_QSTRING'),
        ('size', f'sizeof({enum.c_name})'),
        ('lookup', f'&{enum.c_name}_lookup')])


def alternate_table(alt):
    n = alt.c_name
    out = f'static const QapiMember {n}_members[] = {{\n'
    for m in alt.members:
        out += (f'    {{ "{m.name}", {m.type.descriptor},\n'
                f'      offsetof({n}, u.{m.c_name}), false, -1 }},\n')
    return out + '};\n\n' + descriptor(n, alt.name, [
        ('kind', 'QAPI_KIND_ALTERNATE'), ('size', f'sizeof({n})'),
        ('members', f'{n}_members'),
        ('n_members', f'ARRAY_SIZE({n}_members)'),
        ('u_offset', f'offsetof({n}, u)')])


def list_table(element):
    n = ArrayType(element).c_name
    return descriptor(n, element.name + 'List', [
        ('kind', 'QAPI_KIND_LIST'), ('qtype', 'QTYPE_QLIST'),
        ('size', f'sizeof({n})'), ('u_offset', f'offsetof({n}, value)'),
        ('element', element.descriptor)])


def converted(schema, module):
    """The C types that get conversion functions."""
    structs = schema.of(module, ObjectType, AlternateType)
    enums = schema.of(module, EnumType)
    return ([t.c_name for t in structs]
            + [ArrayType(t).c_name for t in enums + structs])


def header(schema, module):
    out = ''
    for n in converted(schema, module):
        out += (f'json_t *qapi_{n}_to_json(const {n} *obj);\n'
                f'{n} *qapi_{n}_from_json(json_t *json, GError **errp);\n'
                f'{n} *qapi_{n}_from_keyval(json_t *tree, GError **errp);\n'
                '\n')
    return out


def source(schema, module):
    out = ''
    for typ in schema.of(module, EnumType, ObjectType, AlternateType):
        if isinstance(typ, EnumType):
            out += enum_table(typ)
        elif isinstance(typ, ObjectType):
            out += object_tables(typ)
        else:
            out += alternate_table(typ)
        out += list_table(typ)
    for n in converted(schema, module):
        out += f"""json_t *qapi_{n}_to_json(const {n} *obj)
{{
    return qapi_to_json(&qapi_type_{n}, obj);
}}

{n} *qapi_{n}_from_json(json_t *json, GError **errp)
{{
    return qapi_from_json(&qapi_type_{n}, json, errp);
}}

{n} *qapi_{n}_from_keyval(json_t *tree, GError **errp)
{{
    return qapi_from_keyval(&qapi_type_{n}, tree, errp);
}}

"""
    return out
