# Checks on the pieces of a QAPI definition
#
# Each raises a QapiError that names the definition and the place.
#
# SPDX-License-Identifier: GPL-2.0-or-later

import re

from .model import (AlternateType, BuiltinType, Callable, EnumType,
                    ObjectType)

TYPE_NAME = re.compile(r'[A-Z][A-Za-z0-9]*$')
COMMAND_NAME = re.compile(r'[a-z][a-z0-9_-]*$')
EVENT_NAME = re.compile(r'[A-Z][A-Z0-9_]*$')
MEMBER_NAME = re.compile(r'[A-Za-z][A-Za-z0-9_.-]*$')
ENUM_VALUE = re.compile(r'[A-Za-z0-9][A-Za-z0-9_.-]*$')


def keys(body, what, required, allowed):
    for key in required:
        if key not in body:
            raise body.where.error(f"{what} misses key '{key}'")
    for key in body:
        if key not in required and key not in allowed:
            raise body.key_where[key].error(f"{what} has unknown key '{key}'")


def name(where, meta, text):
    if not isinstance(text, str):
        raise where.error(f'name of {meta} should be a string')
    pattern, rule = {
        'command': (COMMAND_NAME, 'lower case with - or _'),
        'event': (EVENT_NAME, 'UPPER_CASE'),
    }.get(meta, (TYPE_NAME, 'CamelCase'))
    if not pattern.match(text):
        raise where.error(f"name of {meta} '{text}' should be {rule}")
    if pattern is TYPE_NAME and text.endswith('List'):
        raise where.error(
            f"name of {meta} '{text}' ends with 'List', as arrays do")


def member_name(where, text, what):
    if not isinstance(text, str) or not MEMBER_NAME.match(text):
        raise where.error(f"{what}: bad name '{text}'")
    if text == 'u' or text.startswith(('has-', 'has_')):
        raise where.error(f"{what}: name '{text}' is reserved")


def enum_value(where, text, what):
    if not isinstance(text, str) or not ENUM_VALUE.match(text):
        raise where.error(f"{what}: bad member name '{text}'")


def flag(body, key, what, default=False):
    value = body.get(key, default)
    if not isinstance(value, bool):
        raise body.where.error(f"{what}: '{key}' should be true or false")
    return value


def condition(where, cond, defines):
    """Whether an 'if' holds for this build."""
    if cond is None:
        return True
    if isinstance(cond, str):
        return cond in defines
    if isinstance(cond, dict) and len(cond) == 1:
        op, arg = next(iter(cond.items()))
        if op == 'not':
            return not condition(where, arg, defines)
        if op in ('all', 'any') and isinstance(arg, list) and arg:
            results = [condition(where, a, defines) for a in arg]
            return all(results) if op == 'all' else any(results)
    raise where.error("'if' should be a symbol or one of 'all', 'any', 'not'")


def object_type(obj, what):
    _inheritance(obj, what)
    if obj.tag_name:
        _union(obj, what)
    seen = {}
    for m in obj.all_members:
        _unique(seen, m.c_name, obj.where, what)
    for branch in obj.branches.values():
        _inheritance(branch, what)
        if branch.tag_name and branch.tag is None:
            continue
        names = dict(seen)
        for m in branch.all_members:
            _unique(names, m.c_name, obj.where,
                    f"{what}, branch '{branch.name}'")


def _unique(seen, cname, where, what):
    if cname in seen:
        raise where.error(f"{what}: member '{cname}' collides with another")
    seen[cname] = True


def _inheritance(obj, what):
    chain = []
    base = obj
    while base:
        if base in chain:
            raise obj.where.error(f'{what} contains itself')
        if base is not obj and base.tag_name:
            raise obj.where.error(f"{what}: base '{base.name}' is a union")
        chain.append(base)
        base = base.base


def _union(obj, what):
    tag = obj.tag
    if not tag:
        raise obj.where.error(
            f"{what}: discriminator '{obj.tag_name}' is no member of base")
    if not isinstance(tag.type, EnumType):
        raise obj.where.error(
            f"{what}: discriminator '{tag.name}' must be of an enum type")
    if tag.optional:
        raise obj.where.error(
            f"{what}: discriminator '{tag.name}' must not be optional")
    for value, typ in obj.branches.items():
        if value not in tag.type.names:
            raise obj.where.error(
                f"{what}: branch '{value}' is not a value of enum "
                f"'{tag.type.name}'")
        if typ is obj:
            raise obj.where.error(f'{what} contains itself')


def alternate(alt, what):
    """Every member must be told from the others by its type on the wire."""
    seen = {}
    for m in alt.members:
        if m.optional:
            raise alt.where.error(
                f"{what}: member '{m.name}' must not be optional")
        if isinstance(m.type, AlternateType) or m.type.qtype == 'QTYPE_NONE':
            raise alt.where.error(
                f"{what}: member '{m.name}' cannot be of type "
                f"'{m.type.name}'")
        if m.type.qtype in seen:
            raise alt.where.error(
                f"{what}: members '{seen[m.type.qtype]}' and '{m.name}' "
                'cannot be told apart')
        seen[m.type.qtype] = m.name
    # A value from key=value text is a string, whatever it stands for
    for m in alt.members:
        if (isinstance(m.type, BuiltinType) and m.type.name == 'str'
                and ('QTYPE_QNUM' in seen or 'QTYPE_QBOOL' in seen)):
            raise alt.where.error(
                f"{what}: member '{m.name}' cannot be told from a number or "
                'boolean on the command line')


def documented_names(entity):
    """The members and features that the doc comment must describe."""
    features = [f.name for f in entity.features]
    if isinstance(entity, EnumType):
        owners = entity.members
    elif isinstance(entity, (ObjectType, AlternateType)):
        owners = entity.members
    elif isinstance(entity, Callable) and entity.arg and entity.arg.implicit:
        owners = entity.arg.members
    else:
        owners = []
    for owner in owners:
        features += [f.name for f in owner.features if f.name not in features]
    return [o.name for o in owners], features
