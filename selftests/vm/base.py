# SPDX-License-Identifier: GPL-2.0
"""What the parts of cluster share: where things are, how it ends, and what it says."""
import os
import sys

from speed import Clock

HERE = os.path.dirname(os.path.realpath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
BUILD = os.path.abspath(os.environ.get("O") or os.path.join(TOP, "build"))

# What limits of time are measured with.
pace = Clock()

# What precedes the exit status behind a command's output; nothing else should print it.
EXIT_MARK = os.urandom(8).hex()

EXIT_FAILED = 1
EXIT_SKIPPED = 4
EXIT_TIMEOUT = 124


class Failure(Exception):
    """The cluster cannot go on."""


def note(text):
    print(f"cluster: {text}", file=sys.stderr, flush=True)
