"""Refuses failure files that are too long, wrong, or without pins. `make check` runs it."""

from __future__ import annotations

import sys
from pathlib import Path

from lab import failures
from lab.common.errors import BadFailure
from lab.declare import without_pins

LINES = 200
"""The most that a failure's file may have, as the formatter leaves it."""


def problems(folder: Path) -> list[str]:
    """Return what is wrong with each failure file of a folder, in sentences with file and line."""
    found = []
    for path in sorted(folder.glob("[!_]*.py")):
        count = len(path.read_text().splitlines())
        if count > LINES:
            found.append(f"{path}:{LINES + 1}: it has {count} lines; a failure has {LINES} at most")
        try:
            found += without_pins(failures.load_file(path))
        except BadFailure as wrong:
            found.append(str(wrong))
    return found


def main() -> int:
    """Print what is wrong with the failures of this checkout; 1 where anything is."""
    found = problems(Path(failures.__file__).parent)
    print("\n".join(found) or "every failure is short enough, fits together, and is pinned")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
