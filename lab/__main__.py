"""Start `istio-lab`; as `python3 -m lab` it answers before any set-up too.

`list`, `show`, `doctor`, `preview`, `cache-key` and `help` need the standard library only.
"""

from __future__ import annotations

import sys

if sys.version_info < (3, 11):  # noqa: UP036  (any Python may start this file)
    sys.exit("the lab needs Python 3.11 or later; this is " + sys.version.split()[0])

from lab.commands.line import main, start

__all__ = ["main", "start"]

if __name__ == "__main__":
    start()
