# The QAPI generator's package; scripts/qapi-gen.py is the program.
#
# SPDX-License-Identifier: GPL-2.0-or-later
