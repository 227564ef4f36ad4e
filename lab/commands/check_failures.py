"""Refuses failure files that are too long, wrong, or without pins. `make check` runs it."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

from lab import failures
from lab.common.errors import BadFailure, LabError
from lab.declare.validate import place, without_pins
from lab.model.failure import Claim, Failure
from lab.notebook import execute

LINES = 130
"""The most that a failure's file may have, as the formatter leaves it."""
OWN_LINES = {
    "grpc_h2c": 160,
    "https_in_mtls": 200,
    "rest_mtls": 135,
    "tcp_mtls": 160,
}
"""Those of files that are harder to read if shorter: the post's four."""


def problems(folder: Path) -> list[str]:
    """Return what is wrong with each failure file of a folder, in sentences with file and line."""
    found: list[str] = []
    loaded: list[Failure] = []
    for path in sorted(folder.glob("[!_]*.py")):
        found += too_long(path)
        try:
            loaded.append(failures.load_file(path))
        except BadFailure as wrong:
            found.append(str(wrong))
            continue
        found += without_pins(loaded[-1])
    return [*found, *claims_twice(loaded)]


def too_long(path: Path) -> list[str]:
    """Return a sentence, with the first line too many, where a failure's file is too long."""
    count, most = len(path.read_text().splitlines()), OWN_LINES.get(path.stem, LINES)
    if count <= most:
        return []
    return [f"{path}:{most + 1}: it has {count} lines, and may have {most} at most"]


def claims_twice(loaded: Iterable[Failure]) -> list[str]:
    """Return the claims whose name another failure's claim has: tables name claims alone."""
    found, first = list[str](), dict[str, Claim]()
    for failure in loaded:
        for claim in failure.claims:
            other = first.setdefault(claim.id, claim)
            if other is not claim:
                found.append(f"{place(claim)}: claim {claim.id} is there already, {place(other)}")
    return found


def other_parameters(names: Iterable[str]) -> list[str]:
    """Return the notebooks whose parameters are not their failure's, each as a sentence."""
    found = list[str]()
    for name in names:
        try:
            execute.require_parameters(failures.load(name))
        except LabError as wrong:
            found.append(str(wrong))
    return found


def main() -> int:
    """Print what is wrong with the failures of this checkout; 1 where anything is."""
    found = problems(Path(failures.__file__).parent) or other_parameters(failures.names())
    print("\n".join(found) or "every failure is short enough, fits together, and is pinned")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
