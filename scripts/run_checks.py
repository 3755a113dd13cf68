#!/usr/bin/python3
"""Build in every way, run every test, and count the cases

scripts/check calls this once the packages are there.  Each step builds what
it needs; a build that fails is a failed case and its tests are not run.  The
last line is "N passed, N failed, N skipped".

SPDX-License-Identifier: GPL-2.0-or-later
"""

import argparse
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
JOBS = str(os.cpu_count() or 2)
LONG_FUZZ_SECONDS = 60          # for each target
LONG_SEEDS = 5
LONG_SIM_SEEDS = 100            # instead of a dozen

# Name -> (directory, meson options, environment of meson)
BUILDS = {
    'plain': ('build-check', [], {}),
    'asan': ('build-check-asan',
             ['-Db_sanitize=address,undefined', '-Db_lundef=false',
              '-Doptimization=1'], {}),
    'clang': ('build-check-clang',
              ['-Dfuzzing=true', '-Db_sanitize=address,undefined',
               '-Db_lundef=false', '-Doptimization=1'], {'CC': 'clang'}),
    'minimal': ('build-check-minimal',
                ['-Dauto_features=disabled', '-Dcoroutine_switch=ucontext'],
                {}),
}

# Tests that ask for iotests.seed(), and for GLib's random numbers
IOTESTS_RANDOM = re.compile(r'\biotests\.seed\(\)')
UNIT_RANDOM = re.compile(r'\bg_test_rand_')

TAP_CASE = re.compile(r'^(not )?ok\b\s*\d*\s*-?\s*([^#]*)(?:#\s*(.*))?$')

SANITIZERS = {
    'ASAN_OPTIONS': 'detect_leaks=1:abort_on_error=0:exitcode=99:'
                    'detect_stack_use_after_return=0',
    'UBSAN_OPTIONS': 'print_stacktrace=1:halt_on_error=1',
}


def glib_seed(number):
    """What --seed= of a GLib test wants; 1 is what meson passes"""
    return f'R02S{number:032x}'


def using(paths, pattern):
    """The files of @paths whose text has @pattern"""
    return [path for path in sorted(paths)
            if pattern.search(path.read_text(encoding='utf-8'))]


def iotests_scripts():
    return [path for path in sorted((ROOT / 'tests/iotests').iterdir())
            if path.is_file() and not path.suffix and path.name != 'run'
            and os.access(path, os.X_OK)]


class Report:
    """Counts cases, shows what failed and why something was skipped"""

    def __init__(self):
        self.passed = 0
        self.failures = []
        self.skips = []

    def add_pass(self, _name):
        self.passed += 1

    def add_failure(self, name, log=''):
        self.failures.append(name)
        print(f'FAILED: {name}')
        for line in log.splitlines()[-80:]:
            print(f'    {line}')

    def add_skip(self, name, why):
        self.skips.append((name, why))

    def add_tap(self, name, output, ok, log=''):
        """Count the cases of the TAP in @output; @ok: the program's end"""
        failed = cases = 0
        notes = []              # the remarks before a group of cases
        in_notes = False
        for line in output.splitlines():
            match = TAP_CASE.match(line)
            if not match:
                if not in_notes:
                    notes.clear()
                in_notes = True
                notes.append(line)
                continue
            in_notes = False
            cases += 1
            not_ok, case, directive = match.groups()
            case = f'{name}: {case.strip()}'
            if directive and directive.upper().startswith('SKIP'):
                self.add_skip(case, directive[4:].strip() or 'no reason given')
            elif not_ok:
                failed += 1
                self.add_failure(case, '\n'.join(notes) +
                                 ('\n' + log if failed == 1 else ''))
                notes.clear()
            else:
                self.add_pass(case)
        if not ok and not failed:
            self.add_failure(f'{name}: ended badly', output + log)
        elif not cases and not failed:
            self.add_failure(f'{name}: no test was run', output + log)

    def finish(self):
        print()
        for name, why in self.skips:
            print(f'skipped: {name}: {why}')
        for name in self.failures:
            print(f'failed: {name}')
        print(f'{self.passed} passed, {len(self.failures)} failed, '
              f'{len(self.skips)} skipped')
        return bool(self.failures)


class Checks:
    def __init__(self, args):
        self.args = args
        self.report = Report()
        self.configured = {}
        self.built = {}

    def run(self, command, timeout, **env):
        """Run to the end; returns (whether it exited 0, output)"""
        print('+ ' + ' '.join(map(str, command)), flush=True)
        try:
            done = subprocess.run(
                command, cwd=ROOT, env={**os.environ, **SANITIZERS, **env},
                timeout=timeout, stdin=subprocess.DEVNULL, check=False,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        except subprocess.TimeoutExpired as e:
            output = (e.stdout or b'').decode(errors='replace')
            return False, output + f'\nno end within {timeout} s\n'
        return done.returncode == 0, done.stdout.decode(errors='replace')

    def configure(self, kind):
        """Configure once; returns the directory or None"""
        if kind not in self.configured:
            name, options, env = BUILDS[kind]
            directory = ROOT / name
            ok, output = True, ''
            if not (directory / 'build.ninja').exists():
                ok, output = self.run(
                    ['meson', 'setup', str(directory), *options], 300, **env)
            if not ok:
                self.report.add_failure(f'configure {kind}', output)
            self.configured[kind] = directory if ok else None
        return self.configured[kind]

    def build(self, kind):
        """Configure and compile once; returns the directory or None"""
        if kind not in self.built:
            self.built[kind] = self.build_now(kind)
        return self.built[kind]

    def build_now(self, kind):
        directory = self.configure(kind)
        if not directory:
            return None
        ok, output = self.run(['ninja', '-C', str(directory), '-j', JOBS], 900)
        if not ok:
            self.report.add_failure(f'build {kind}', output)
            return None
        if 'warning: ' in output:
            self.report.add_failure(f'build {kind}: warnings', output)
        else:
            self.report.add_pass(f'build {kind}')
        return directory

    def meson_tests(self, kind, suites=(), names=(), args='', title='',
                    **env):
        """Run tests of meson; @args: more arguments for each of them"""
        directory = self.build(kind)
        if not directory:
            return
        log = directory / 'meson-logs' / 'testlog.json'
        log.unlink(missing_ok=True)
        command = ['meson', 'test', '-C', str(directory), '--no-rebuild',
                   '-t', '4', '--num-processes', JOBS]
        for suite in suites:
            command += ['--suite', suite]
        if args:
            command += [f'--test-args={args}']
        _, output = self.run(command + list(names), 900, **env)
        if not log.exists():
            self.report.add_failure(f'{kind}: meson test', output)
            return
        for line in log.read_text(encoding='utf-8').splitlines():
            self.meson_test(kind + title, json.loads(line))

    def meson_test(self, title, test):
        """Count what meson's log says of one program"""
        name = f'{title}: {test["name"]}'
        output, log = test.get('stdout') or '', test.get('stderr') or ''
        ok = test['result'] in ('OK', 'SKIP', 'EXPECTEDFAIL')
        if ok and not any(map(TAP_CASE.match, output.splitlines())):
            self.report.add_pass(name)      # no TAP: a libFuzzer program
        else:
            self.report.add_tap(name, output, ok, log)

    def iotests(self, kind, names=(), title='', **env):
        directory = self.build(kind)
        if not directory:
            return
        command = ['tests/iotests/run', '--build', str(directory), '--tap',
                   '-j', JOBS, *names]
        ok, output = self.run(command, 1200 if self.args.long else 540, **env)
        self.report.add_tap(f'{kind}: iotests{title}', output, ok)

    # The steps, in the order in which they run

    def step_static(self):
        """style and layering of the sources, options in the manual"""
        self.meson_tests('plain', ['static'])

    def step_unit(self):
        """unit tests, plain build"""
        self.meson_tests('plain', ['unit', 'fuzz'])

    def step_unit_asan(self):
        """unit tests and fuzz corpus with sanitizers"""
        self.meson_tests('asan', ['unit', 'fuzz'])

    def step_iotests(self):
        """black-box tests of the daemon, plain build"""
        self.iotests('plain')

    def step_iotests_asan(self):
        """black-box tests of the daemon with sanitizers"""
        self.iotests('asan')

    def step_clang(self):
        """clang: no warnings; fuzz targets over their corpus"""
        self.meson_tests('clang', ['fuzz'])

    def step_minimal(self):
        """no optional library, portable coroutines: unit tests (--long)"""
        self.meson_tests('minimal', ['unit'])

    def step_valgrind(self):
        """unit tests under valgrind (--long)"""
        directory = self.build('plain')
        if directory:
            for program in sorted((directory / 'tests/unit').glob('test-*')):
                if program.is_file() and os.access(program, os.X_OK):
                    ok, output = self.run(
                        ['valgrind', '-q', '--error-exitcode=9',
                         '--leak-check=full', '--errors-for-leak-kinds=definite',
                         str(program), '--tap', f'--seed={glib_seed(1)}'],
                        900,
                        G_SLICE='always-malloc')
                    self.report.add_tap(f'valgrind: {program.name}', output,
                                        ok)

    def step_model(self):
        """the pair of daemons beside its model, for minutes (--long)"""
        self.iotests('plain', ['replication-model'], ' long', IOTESTS_LONG='1')

    def step_seeds(self):
        """all random tests with more seeds (--long)"""
        scripts = [path.name for path in
                   using(iotests_scripts(), IOTESTS_RANDOM)]
        units = [path.stem.removeprefix('test-') for path in
                 using((ROOT / 'tests/unit').glob('test-*.c'), UNIT_RANDOM)]
        self.meson_tests('asan', ['sim'], ['sim-pair'],
                         COLO_TEST_SEEDS=str(LONG_SIM_SEEDS))
        for seed in range(2, 2 + LONG_SEEDS):
            title = f' seed {seed}'
            self.meson_tests('asan', ['unit'], units,
                             f'--seed={glib_seed(seed)}', title)
            self.iotests('asan', scripts, title, IOTESTS_SEED=str(seed))

    def step_fuzz(self):
        """minutes of fuzzing (--long)"""
        directory = self.build('clang')
        if not directory:
            return
        for target in sorted((directory / 'tests/fuzz').glob('fuzz-*')):
            if not (target.is_file() and os.access(target, os.X_OK)):
                continue
            # What it finds is kept apart from the seeds
            found = directory / 'tests/fuzz/found' / target.name
            found.mkdir(parents=True, exist_ok=True)
            ok, output = self.run(
                [str(target), f'-max_total_time={LONG_FUZZ_SECONDS}',
                 '-seed=1', '-timeout=20', '-rss_limit_mb=2048',
                 f'-artifact_prefix={directory}/tests/fuzz/', str(found),
                 str(directory / 'tests/fuzz/corpus' / target.name)],
                LONG_FUZZ_SECONDS * 2 + 60)
            if ok:
                self.report.add_pass(target.name)
            else:
                self.report.add_failure(f'fuzzing: {target.name}', output)


STEPS = ['static', 'unit', 'iotests', 'unit_asan', 'iotests_asan', 'clang']
LONG_STEPS = ['minimal', 'valgrind', 'model', 'seeds', 'fuzz']


def named_tests(checks):
    """Names of single tests -> how to run them

    A script and a unit test may have one name, so unit tests are called as
    their programs are.
    """
    tests = {path.name: ('iotests', path.name) for path in iotests_scripts()}
    directory = checks.configure('plain')
    known = json.loads((directory / 'meson-info/intro-tests.json').read_text(
        encoding='utf-8')) if directory else []
    for test in known:
        name = test['name']
        if (ROOT / f'tests/unit/test-{name}.c').exists():
            tests[f'test-{name}'] = ('meson', name)
        elif name not in tests and name != 'iotests':
            tests[name] = ('meson', name)
    return tests


def run_named(checks, names):
    for name in names:
        step = name.replace('-', '_')
        if step in STEPS + LONG_STEPS:
            getattr(checks, 'step_' + step)()
            continue
        kind, test = named_tests(checks).get(name, (None, name))
        if kind == 'meson':
            checks.meson_tests('plain', names=[test])
        elif kind == 'iotests':
            checks.iotests('plain', [test])
        else:
            checks.report.add_failure(f'{name}: no such step or test')


def main():
    parser = argparse.ArgumentParser(prog='scripts/check')
    parser.add_argument('--long', action='store_true',
                        help='also more seeds, valgrind, minutes of fuzzing')
    parser.add_argument('--list', action='store_true',
                        help='name the steps and tests')
    parser.add_argument('names', nargs='*', metavar='NAME',
                        help='only these steps or tests')
    args = parser.parse_args()
    checks = Checks(args)
    if args.list:
        for step in STEPS + LONG_STEPS:
            doc = getattr(Checks, 'step_' + step).__doc__
            print(f'{step.replace("_", "-"):16}{doc}')
        print('\n'.join(named_tests(checks)))
        return 0

    start = time.monotonic()
    if args.names:
        run_named(checks, args.names)
    else:
        for step in STEPS + (LONG_STEPS if args.long else []):
            before = time.monotonic()
            getattr(checks, 'step_' + step)()
            print(f'  {step}: {time.monotonic() - before:.0f} s', flush=True)
    print(f'{time.monotonic() - start:.0f} s')
    return checks.report.finish()


if __name__ == '__main__':
    sys.exit(main())
