# From parsed QAPI modules to a checked schema
#
# Two passes: the first enters every name, the second resolves what refers to
# them and checks it.  The result is the classes of model.py.
#
# SPDX-License-Identifier: GPL-2.0-or-later

from . import check
from .common import c_name
from .model import (AlternateType, ArrayType, Command, EnumMember, EnumType,
                    Event, Feature, Member, ObjectType, builtin_types)

KEYS = {
    'enum': ('data', 'prefix'),
    'struct': ('data', 'base'),
    'union': ('data', 'base', 'discriminator'),
    'alternate': ('data',),
    'command': ('data', 'returns', 'boxed', 'success-response', 'gen',
                'allow-oob', 'allow-preconfig', 'coroutine'),
    'event': ('data', 'boxed'),
}
REQUIRED = {
    'enum': ('data',),
    'struct': ('data',),
    'union': ('data', 'base', 'discriminator'),
    'alternate': ('data',),
    'command': (),
    'event': (),
}
CLASSES = {
    'struct': ObjectType,
    'union': ObjectType,
    'alternate': AlternateType,
    'command': Command,
    'event': Event,
}


class Schema:
    def __init__(self, modules, defines):
        self.modules = modules
        self.defines = defines  # true symbols of 'if'
        self.types = builtin_types()
        self.builtins = list(self.types.values())
        self.arrays = {}
        self.callables = {}
        self.entities = []      # types, commands and events in order
        self.empty = ObjectType('q_empty', None, None, None)
        self._exprs = []
        for module in modules:
            for expr in module.contents:
                if hasattr(expr, 'body'):
                    self._enter(module, expr)
        for entity, meta, expr in self._exprs:
            self._resolve(entity, meta, expr)
        for entity, meta, expr in self._exprs:
            self._check_late(entity, meta, expr)

    def of(self, module, *classes):
        """The entities of @module that are of @classes, in order."""
        return [e for e in self.entities
                if e.module is module and isinstance(e, classes)]

    # Names

    def _enter(self, module, expr):
        body = expr.body
        metas = [k for k in KEYS if k in body]
        if len(metas) != 1:
            raise expr.where.error(
                'expected exactly one of ' + ', '.join(KEYS))
        meta = metas[0]
        name = body[meta]
        what = f"{meta} '{name}'"
        check.keys(body, what, (meta,) + REQUIRED[meta],
                   KEYS[meta] + ('if', 'features'))
        check.name(expr.where, meta, name)
        if name in self.types or name in self.callables:
            raise expr.where.error(f"'{name}' is already defined")
        if not expr.doc:
            raise expr.where.error(f'{what} has no documentation')
        if not check.condition(expr.where, body.get('if'), self.defines):
            return
        if meta == 'enum':
            entity = EnumType(name, module, expr.where, expr.doc,
                              body.get('prefix'))
        else:
            entity = CLASSES[meta](name, module, expr.where, expr.doc)
        table = self.callables if meta in ('command', 'event') else self.types
        table[name] = entity
        self.entities.append(entity)
        self._exprs.append((entity, meta, expr))

    # References

    def lookup(self, where, ref, what):
        """The type that @ref names: 'name' or ['name']."""
        if isinstance(ref, list):
            if len(ref) != 1 or not isinstance(ref[0], str):
                raise where.error(f'{what}: an array has one type name')
            element = self.lookup(where, ref[0], what)
            return self.arrays.setdefault(element.name, ArrayType(element))
        if not isinstance(ref, str):
            raise where.error(f'{what} should be a type name')
        if ref not in self.types:
            raise where.error(f"{what} uses unknown type '{ref}'")
        return self.types[ref]

    def _lookup_object(self, where, ref, what):
        typ = self.lookup(where, ref, what)
        if not isinstance(typ, ObjectType):
            raise where.error(f"{what} '{ref}' is not a struct or union")
        return typ

    def _features(self, where, spec, what):
        if spec is None:
            return []
        if not isinstance(spec, list):
            raise where.error(f"{what}: 'features' should be an array")
        result = []
        for item in spec:
            item = item if isinstance(item, dict) else {'name': item}
            name = item.get('name')
            check.member_name(where, name, f'{what}: feature')
            if any(f.name == name for f in result):
                raise where.error(f"{what}: duplicate feature '{name}'")
            if check.condition(where, item.get('if'), self.defines):
                result.append(Feature(name))
        return result

    # Definitions

    def _resolve(self, entity, meta, expr):
        what = f"{meta} '{entity.name}'"
        entity.features = self._features(expr.where,
                                         expr.body.get('features'), what)
        getattr(self, '_resolve_' + meta)(entity, expr, what)

    def _resolve_enum(self, enum, expr, what):
        data = expr.body['data']
        if not isinstance(data, list):
            raise expr.where.error(f"{what}: 'data' should be an array")
        for item in data:
            if not isinstance(item, dict):
                item = {'name': item}
            else:
                check.keys(item, f'member of {what}', ('name',),
                           ('if', 'features'))
            name = item['name']
            check.enum_value(expr.where, name, what)
            if any(c_name(m.name) == c_name(name) for m in enum.members):
                raise expr.where.error(f"{what}: duplicate member '{name}'")
            if check.condition(expr.where, item.get('if'), self.defines):
                enum.members.append(EnumMember(name, self._features(
                    expr.where, item.get('features'), what)))

    def _members(self, data, what):
        """{'name': type, '*optional': {'type': ..., ...}} as Members."""
        result = []
        for key, spec in data.items():
            where = data.key_where[key]
            optional = key.startswith('*')
            name = key[1:] if optional else key
            check.member_name(where, name, what)
            if not isinstance(spec, dict):
                spec = {'type': spec}
            else:
                check.keys(spec, f"{what}, member '{name}'", ('type',),
                           ('if', 'features'))
            typ = self.lookup(where, spec['type'],
                              f"{what}: member '{name}'")
            if any(c_name(m.name) == c_name(name) for m in result):
                raise where.error(f"{what}: duplicate member '{name}'")
            if check.condition(where, spec.get('if'), self.defines):
                features = self._features(where, spec.get('features'), what)
                result.append(Member(name, typ, optional, features, where))
        return result

    def _resolve_struct(self, obj, expr, what):
        data = expr.body['data']
        if not isinstance(data, dict):
            raise expr.where.error(f"{what}: 'data' should be an object")
        obj.members = self._members(data, what)
        if 'base' in expr.body:
            obj.base = self._lookup_object(expr.where, expr.body['base'],
                                           f'{what}: base')

    def _resolve_union(self, obj, expr, what):
        body = expr.body
        base = body['base']
        if isinstance(base, dict):
            obj.members = self._members(base, what)
        else:
            obj.base = self._lookup_object(expr.where, base, f'{what}: base')
        obj.tag_name = body['discriminator']
        if not isinstance(body['data'], dict):
            raise expr.where.error(f"{what}: 'data' should be an object")
        for key, spec in body['data'].items():
            where = body['data'].key_where[key]
            if not isinstance(spec, dict):
                spec = {'type': spec}
            if not check.condition(where, spec.get('if'), self.defines):
                continue
            obj.branches[key] = self._lookup_object(
                where, spec.get('type'), f"{what}: branch '{key}'")

    def _resolve_alternate(self, alt, expr, what):
        data = expr.body['data']
        if not isinstance(data, dict) or not data:
            raise expr.where.error(
                f"{what}: 'data' should be an object with members")
        alt.members = self._members(data, what)

    def _resolve_callable(self, entity, expr, what):
        body = expr.body
        entity.boxed = check.flag(body, 'boxed', what)
        data = body.get('data')
        if isinstance(data, dict):
            if entity.boxed:
                raise expr.where.error(
                    f"{what}: 'boxed' needs a named type as 'data'")
            arg = ObjectType(f'q_obj_{entity.name}_arg', entity.module,
                             expr.where, None)
            arg.implicit = True
            arg.members = self._members(data, what)
            entity.arg = arg if arg.members else None
        elif data is not None:
            entity.arg = self._lookup_object(expr.where, data,
                                             f"{what}: 'data'")
        elif entity.boxed:
            raise expr.where.error(f"{what}: 'boxed' needs 'data'")

    def _resolve_command(self, cmd, expr, what):
        body = expr.body
        self._resolve_callable(cmd, expr, what)
        if 'returns' in body:
            cmd.ret = self.lookup(expr.where, body['returns'],
                                  f"{what}: 'returns'")
        cmd.success_response = check.flag(body, 'success-response', what,
                                          True)
        cmd.gen = check.flag(body, 'gen', what, True)
        cmd.allow_oob = check.flag(body, 'allow-oob', what)
        cmd.allow_preconfig = check.flag(body, 'allow-preconfig', what)
        check.flag(body, 'coroutine', what)

    def _resolve_event(self, event, expr, what):
        self._resolve_callable(event, expr, what)

    # What can be checked only when all members are known

    def _check_late(self, entity, meta, expr):
        what = f"{meta} '{entity.name}'"
        if isinstance(entity, ObjectType):
            check.object_type(entity, what)
        elif meta == 'alternate':
            check.alternate(entity, what)
        elif meta in ('command', 'event'):
            if entity.arg and entity.arg.tag_name and not entity.boxed:
                raise expr.where.error(
                    f"{what}: a union as 'data' needs 'boxed'")
        members, features = check.documented_names(entity)
        expr.doc.check(expr.where, entity.name, what, members, features)
