# The types, commands and events of a checked QAPI schema
#
# Plain data with the C spelling of each type; built by schema.py, read by
# the writers.  QType (what an alternate tells apart) is of the value on the
# wire.
#
# SPDX-License-Identifier: GPL-2.0-or-later

from .common import c_enum_const, c_name


class Feature:
    def __init__(self, name):
        self.name = name


class Type:
    """What all types have in common."""

    meta = None
    qtype = 'QTYPE_NONE'
    pointer = True              # held by pointer, so NULL says 'absent'

    def __init__(self, name, module=None, where=None, doc=None):
        self.name = name
        self.module = module
        self.where = where
        self.doc = doc
        self.features = []

    @property
    def c_name(self):
        return c_name(self.name, False)

    @property
    def c_type(self):
        """The type of a member."""
        return self.c_name + ' *'

    @property
    def c_param(self):
        """The type of an argument."""
        return self.c_type

    @property
    def descriptor(self):
        return '&qapi_type_' + self.c_name

    def decl(self, name):
        """A declaration of @name, the star where it belongs."""
        sep = '' if self.c_type.endswith('*') else ' '
        return f'{self.c_type}{sep}{name}'

    def param(self, name):
        sep = '' if self.c_param.endswith('*') else ' '
        return f'{self.c_param}{sep}{name}'


class BuiltinType(Type):
    meta = 'builtin'

    def __init__(self, name, c_type, qtype, json_type):
        super().__init__(name)
        self._c_type = c_type
        self.qtype = qtype
        self.json_type = json_type
        self.pointer = c_type.endswith('*')

    @property
    def c_type(self):
        return self._c_type

    @property
    def c_param(self):
        return 'const char *' if self.name == 'str' else self._c_type


class EnumMember:
    def __init__(self, name, features):
        self.name = name
        self.features = features


class EnumType(Type):
    meta = 'enum'
    qtype = 'QTYPE_QSTRING'
    pointer = False

    def __init__(self, name, module, where, doc, prefix):
        super().__init__(name, module, where, doc)
        self.prefix = prefix
        self.members = []

    def const(self, value):
        return c_enum_const(self.name, value, self.prefix)

    @property
    def names(self):
        return [m.name for m in self.members]

    @property
    def c_type(self):
        return self.c_name


class ArrayType(Type):
    meta = 'array'
    qtype = 'QTYPE_QLIST'

    def __init__(self, element):
        super().__init__(element.name + 'List', element.module)
        self.element = element

    @property
    def c_name(self):
        return c_name(self.element.name, False) + 'List'


class Member:
    """Of an object: its C name is @c_name, has_ in front if @has."""

    def __init__(self, name, typ, optional, features, where):
        self.name = name
        self.type = typ
        self.optional = optional
        self.features = features
        self.where = where

    @property
    def c_name(self):
        return c_name(self.name)

    @property
    def has(self):
        if self.optional and not self.type.pointer:
            return 'has_' + c_name(self.name, False)
        return None


class ObjectType(Type):
    """A struct, or a union if it has a tag."""

    meta = 'object'
    qtype = 'QTYPE_QDICT'

    def __init__(self, name, module, where, doc):
        super().__init__(name, module, where, doc)
        self.base = None        # ObjectType
        self.members = []       # own, or those of an inline base
        self.tag_name = None
        self.branches = {}      # enum value: ObjectType
        self.implicit = False   # arguments written in the command itself

    @property
    def all_members(self):
        inherited = self.base.all_members if self.base else []
        return inherited + self.members

    @property
    def tag(self):
        for m in self.all_members:
            if m.name == self.tag_name:
                return m
        return None

    @property
    def filled_branches(self):
        """Branches that add something, and so have a union member."""
        return {k: t for k, t in self.branches.items() if not t.is_empty()}

    def is_empty(self):
        return not self.all_members and not self.tag_name


class AlternateType(Type):
    meta = 'alternate'

    def __init__(self, name, module, where, doc):
        super().__init__(name, module, where, doc)
        self.members = []


class Callable:
    """A command or event."""

    def __init__(self, name, module, where, doc):
        self.name = name
        self.module = module
        self.where = where
        self.doc = doc
        self.arg = None         # ObjectType
        self.boxed = False
        self.features = []

    @property
    def c_name(self):
        return c_name(self.name, False)


class Command(Callable):
    meta = 'command'

    def __init__(self, name, module, where, doc):
        super().__init__(name, module, where, doc)
        self.ret = None
        self.success_response = True
        self.allow_oob = False
        self.allow_preconfig = False
        self.gen = True


class Event(Callable):
    meta = 'event'


def builtin_types():
    qnum = 'QTYPE_QNUM'
    rows = [('str', 'char *', 'QTYPE_QSTRING', 'string'),
            ('number', 'double', qnum, 'number'),
            ('int', 'int64_t', qnum, 'int'),
            ('size', 'uint64_t', qnum, 'int'),
            ('bool', 'bool', 'QTYPE_QBOOL', 'boolean'),
            ('any', 'json_t *', 'QTYPE_NONE', 'value'),
            ('null', 'json_t *', 'QTYPE_QNULL', 'null')]
    for sign in ('', 'u'):
        for bits in (8, 16, 32, 64):
            rows.append((f'{sign}int{bits}', f'{sign}int{bits}_t', qnum,
                         'int'))
    return {r[0]: BuiltinType(*r) for r in rows}
