# Introspection: what query-qmp-schema answers
#
# The schema as an array of SchemaInfo: commands and events, then every type
# that they reach, by its name.
#
# SPDX-License-Identifier: GPL-2.0-or-later

import json

from .common import c_string
from .model import (AlternateType, ArrayType, BuiltinType, Command, EnumType,
                    ObjectType)


class Introspection:
    def __init__(self, schema):
        self.schema = schema
        self.infos = []
        self.queue = []
        self.seen = set()
        for call in schema.callables.values():
            self.infos.append(self.callable(call))
        while self.queue:
            self.infos.append(self.type_info(self.queue.pop(0)))

    def use(self, typ):
        """The name of @typ, which will be described too."""
        if isinstance(typ, BuiltinType) and typ.json_type == 'int':
            typ = self.schema.types['int']
        name = typ.name
        if isinstance(typ, ArrayType):
            name = '[' + self.use(typ.element) + ']'
        if name not in self.seen:
            self.seen.add(name)
            self.queue.append(typ)
        return name

    @staticmethod
    def add_features(info, features):
        if features:
            info['features'] = [f.name for f in features]
        return info

    def callable(self, call):
        info = {'name': call.name, 'meta-type': call.meta,
                'arg-type': self.use(call.arg or self.schema.empty)}
        if isinstance(call, Command):
            info['ret-type'] = self.use(call.ret or self.schema.empty)
            if call.allow_oob:
                info['allow-oob'] = True
        return self.add_features(info, call.features)

    def type_info(self, typ):
        info = {'name': typ.name, 'meta-type': typ.meta}
        if isinstance(typ, BuiltinType):
            info['json-type'] = typ.json_type
        elif isinstance(typ, EnumType):
            info['members'] = [
                self.add_features({'name': m.name}, m.features)
                for m in typ.members]
            info['values'] = typ.names
        elif isinstance(typ, ArrayType):
            info['element-type'] = self.use(typ.element)
            info['name'] = '[' + info['element-type'] + ']'
        elif isinstance(typ, AlternateType):
            info['members'] = [{'type': self.use(m.type)}
                               for m in typ.members]
        elif isinstance(typ, ObjectType):
            self.object_info(typ, info)
        return self.add_features(info, typ.features)

    def object_info(self, obj, info):
        info['members'] = [self.member(m) for m in obj.all_members]
        if obj.tag_name:
            info['tag'] = obj.tag_name
            info['variants'] = [
                {'case': v,
                 'type': self.use(obj.branches.get(v, self.schema.empty))}
                for v in obj.tag.type.names]

    def member(self, m):
        info = {'name': m.name, 'type': self.use(m.type)}
        if m.optional:
            info['default'] = None
        return self.add_features(info, m.features)


def source(schema, c_prefix):
    """A literal per entry: their sum is what a parser is fed with."""
    infos = Introspection(schema).infos
    out = f'const char {c_prefix}qapi_introspect_text[] =\n    "["\n'
    for i, info in enumerate(infos):
        text = json.dumps(info) + (',' if i + 1 < len(infos) else '')
        out += ''.join(f'    {c_string(text[k:k + 60])}\n'
                       for k in range(0, len(text), 60))
    return out + '    "]";\n'
