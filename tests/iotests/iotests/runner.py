"""main() of a test script: summary for people, TAP for programs

SPDX-License-Identifier: GPL-2.0-or-later
"""

import argparse
import os
import sys
import unittest


class TapResult(unittest.TestResult):
    """Prints one TAP line for each case as it ends"""

    def __init__(self):
        super().__init__()
        self.count = 0

    def line(self, test, ok, note='', details=''):
        self.count += 1
        name = test.id().removeprefix('__main__.')
        for detail in details.splitlines():
            print(f'# {detail}')
        print(f'{"" if ok else "not "}ok {self.count} - {name}{note}',
              flush=True)

    def addSuccess(self, test):
        super().addSuccess(test)
        self.line(test, True)

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self.line(test, False, details=self.failures[-1][1])

    def addError(self, test, err):
        super().addError(test, err)
        self.line(test, False, details=self.errors[-1][1])

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self.line(test, True, f' # SKIP {reason}')

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err is not None:
            details = (self.failures + self.errors)[-1][1]
            self.line(subtest, False, details=details)


def main():
    """Run the cases of the calling script"""
    if os.environ.get('IOTESTS_TAP') != '1':
        parser = argparse.ArgumentParser(add_help=False)
        parser.add_argument('--binary', help='the daemon to test')
        args, rest = parser.parse_known_args()
        if args.binary:
            os.environ['COLO_DAEMON'] = args.binary
        unittest.main(argv=[sys.argv[0], *rest], verbosity=2,
                      warnings='ignore')
        return
    suite = unittest.defaultTestLoader.loadTestsFromModule(
        sys.modules['__main__'])
    result = TapResult()
    suite.run(result)
    print(f'1..{result.count}')
    sys.exit(not result.wasSuccessful())
