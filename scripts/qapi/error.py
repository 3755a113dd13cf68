# Errors of the QAPI generator
#
# Whatever is wrong with a schema is reported as FILE:LINE: MESSAGE, so that
# editors jump to it.
#
# SPDX-License-Identifier: GPL-2.0-or-later


class QapiError(Exception):
    """Something is wrong at line @line of file @path."""

    def __init__(self, path, line, message):
        super().__init__(f'{path}:{line}: {message}')


class Where:
    """A place in a schema file, able to complain about itself."""

    def __init__(self, path, line):
        self.path = path
        self.line = line

    def error(self, message):
        return QapiError(self.path, self.line, message)
