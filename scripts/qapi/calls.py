# Commands and events: qapi-commands-MODULE, qapi-events-MODULE
#
# A command's marshal function turns JSON into the handler's arguments and its
# result into JSON; an event's send function turns arguments into JSON.  Plus
# the command table and the enum of events for the whole schema.
#
# SPDX-License-Identifier: GPL-2.0-or-later

from . import visits
from .common import c_name, c_upper
from .ctypes import object_decl
from .model import Command, Event


def params(call):
    """The C parameters of a handler or send function."""
    if not call.arg:
        return []
    if call.boxed:
        const = 'const ' if isinstance(call, Event) else ''
        return [const + call.arg.param('arg')]
    result = []
    for m in call.arg.all_members:
        if m.has:
            result.append(f'bool {m.has}')
        const = ''
        if isinstance(call, Event) and m.type.pointer \
                and not m.type.c_param.startswith('const'):
            const = 'const ' if m.type.meta != 'builtin' else ''
        result.append(const + m.type.param(m.c_name))
    return result


def wrapped(head, items):
    """head(items) with lines folded below 80 columns."""
    lines = [head + '(']
    indent = ' ' * len(lines[0])
    if len(indent) > 50:
        indent = '    '
        lines.append(indent)
    for i, item in enumerate(items):
        last = i == len(items) - 1
        text = item + (')' if last else ', ')
        if len(lines[-1]) + len(text.rstrip()) > 78 and lines[-1].strip():
            lines.append(indent)
        lines[-1] += text
    return '\n'.join(line.rstrip() for line in lines)


def handler_proto(cmd):
    ret = cmd.ret.c_type if cmd.ret else 'void'
    sep = '' if ret.endswith('*') else ' '
    return wrapped(f'{ret}{sep}coroutine_fn qmp_{cmd.c_name}',
                   params(cmd) + ['GError **errp'])


def marshal_proto(cmd):
    return (f'json_t *coroutine_fn qmp_marshal_{cmd.c_name}(json_t *args, '
            'GError **errp)')


def arg_type(call):
    """C name of the struct of arguments, and its descriptor."""
    if not call.arg:
        return None, '&qapi_type_q_empty'
    return call.arg.c_name, call.arg.descriptor


def implicit_arg(call):
    if not (call.arg and call.arg.implicit):
        return ''
    n = call.arg.c_name
    return (f'typedef struct {n} {n};\n' + object_decl(call.arg)
            + visits.object_tables(call.arg, static=True))


def marshal(cmd):
    arg, desc = arg_type(cmd)
    out = implicit_arg(cmd) + marshal_proto(cmd) + '\n{\n'
    if arg:
        out += f'    {arg} arg = {{ 0 }};\n'
    if cmd.ret:
        out += f'    {cmd.ret.decl("ret")};\n'
    out += '    GError *err = NULL;\n    json_t *json = NULL;\n\n'
    out += (f'    if (!qapi_struct_from_json({desc}, args,\n'
            f'                               {"&arg" if arg else "NULL"}, '
            'errp)) {\n        return NULL;\n    }\n')
    names = []
    if cmd.boxed:
        names = ['&arg']
    elif cmd.arg:
        for m in cmd.arg.all_members:
            names += [f'arg.{m.has}'] if m.has else []
            names.append('arg.' + m.c_name)
    call = ('ret = ' if cmd.ret else '') + f'qmp_{cmd.c_name}'
    out += '    ' + wrapped(call, names + ['&err']).replace('\n', '\n    ')
    out += ';\n    if (err) {\n        g_propagate_error(errp, err);\n'
    if cmd.ret:
        out += ('    } else {\n        json = qapi_value_to_json('
                f'{cmd.ret.descriptor}, &ret);\n')
        out += '    }\n'
        out += free_return(cmd.ret)
    else:
        out += '    } else {\n        json = json_object();\n    }\n'
    if arg:
        out += f'    qapi_clear({desc}, &arg);\n'
    return out + '    return json;\n}\n\n'


def free_return(ret):
    """After an error the handler's result is nothing."""
    if not ret.pointer:
        return ''
    if ret.name in ('any', 'null'):
        free = 'json_decref(ret)'
    elif ret.name == 'str':
        free = 'g_free(ret)'
    else:
        free = f'qapi_free_{ret.c_name}(ret)'
    return f'    if (!err) {{\n        {free};\n    }}\n'


def used_modules(schema, module, cls):
    """Modules of the types that the calls of @module use."""
    result = [module]
    for call in schema.of(module, cls):
        types = [call.ret] if getattr(call, 'ret', None) else []
        if call.arg:
            types += [call.arg]
            types += [m.type for m in call.arg.all_members]
        for typ in types:
            if typ.module and typ.module not in result:
                result.append(typ.module)
    return result


def commands_header(schema, module):
    out = ''
    for cmd in schema.of(module, Command):
        if cmd.gen:
            out += handler_proto(cmd) + ';\n'
        out += marshal_proto(cmd) + ';\n\n'
    return out


def commands_source(schema, module):
    return ''.join(marshal(c) for c in schema.of(module, Command) if c.gen)


def flags(cmd):
    names = []
    if cmd.allow_oob:
        names.append('QAPI_COMMAND_ALLOW_OOB')
    if cmd.allow_preconfig:
        names.append('QAPI_COMMAND_ALLOW_PRECONFIG')
    if not cmd.success_response:
        names.append('QAPI_COMMAND_NO_SUCCESS_RESP')
    return ' | '.join(names) or '0'


def command_table(schema, c_prefix):
    cmds = [c for c in schema.callables.values() if isinstance(c, Command)]
    out = f'const QapiCommand {c_prefix}qapi_commands[] = {{\n'
    for cmd in sorted(cmds, key=lambda c: c.name):
        out += (f'    {{ "{cmd.name}", {flags(cmd)},\n'
                f'      qmp_marshal_{cmd.c_name} }},\n')
    if not cmds:
        out += '    { NULL, 0, NULL },\n'
    return out + (f'}};\n\nconst size_t {c_prefix}qapi_n_commands = '
                  f'{len(cmds)};\n')


# Events

def send_proto(event):
    return wrapped(f'void qapi_event_send_{event.c_name.lower()}',
                   params(event) or ['void'])


def event_const(event, c_prefix):
    return f'{c_upper(c_prefix + "QAPIEvent")}_{event.c_name}'


def send(event, c_prefix):
    const = event_const(event, c_prefix)
    _, desc = arg_type(event)
    out = implicit_arg(event) + send_proto(event) + '\n{\n'
    data = 'NULL'
    if event.boxed:
        data = f'qapi_to_json({desc}, arg)'
    elif event.arg:
        out += f'    {event.arg.c_name} data = {{\n'
        for m in event.arg.all_members:
            if m.has:
                out += f'        .{m.has} = {m.has},\n'
            cast = f'({m.type.c_type})' if m.type.pointer else ''
            out += f'        .{m.c_name} = {cast}{m.c_name},\n'
        out += '    };\n\n'
        data = f'qapi_to_json({desc}, &data)'
    return out + (f'    qapi_event_emit({const}, "{event.name}",\n'
                  f'                    {data});\n}}\n\n')


def events_header(schema, module):
    return ''.join(send_proto(e) + ';\n\n' for e in schema.of(module, Event))


def events_source(schema, module, c_prefix):
    return ''.join(send(e, c_prefix) for e in schema.of(module, Event))


def event_enum(schema, c_prefix):
    events = [e for e in schema.callables.values() if isinstance(e, Event)]
    name = c_prefix + 'QAPIEvent'
    out = f'typedef enum {name} {{\n'
    for e in events:
        out += f'    {event_const(e, c_prefix)},\n'
    return out + (f'    {c_upper(name)}__MAX,\n}} {name};\n\n'
                  f'extern const QapiEnumLookup {name}_lookup;\n')


def event_lookup(schema, c_prefix):
    events = [e for e in schema.callables.values() if isinstance(e, Event)]
    name = c_prefix + 'QAPIEvent'
    out = 'static const char *const event_names[] = {\n'
    for e in events:
        out += f'    [{event_const(e, c_prefix)}] = "{e.name}",\n'
    if not events:
        out += '    NULL\n'
    return out + f"""}};

const QapiEnumLookup {name}_lookup = {{
    .name = "{name}",
    .names = event_names,
    .size = {c_upper(name)}__MAX,
}};
"""
