"""The answers of the scripts that check the tree, in TAP

SPDX-License-Identifier: GPL-2.0-or-later
"""


def report(tests):
    """Print @tests, (name, complaints) each; whether there are complaints"""
    print(f'1..{len(tests)}')
    for number, (name, complaints) in enumerate(tests, 1):
        for complaint in complaints:
            print(f'# {complaint}')
        print('not ' * bool(complaints) + f'ok {number} - {name}')
    return any(complaints for _, complaints in tests)
