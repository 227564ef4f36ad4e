"""Writes and checks manifest-sha256.txt: the sum of every other file, as `sha256sum` has it."""

from __future__ import annotations

import re
from collections.abc import Mapping

from lab.bundle import MANIFEST
from lab.common.errors import BadBundle

_LINE = re.compile(r"([0-9a-f]{64})  ([^\n]+)")


def text(sums: Mapping[str, str]) -> str:
    """Return a line for each path, sorted."""
    return "".join(f"{digest}  {path}\n" for path, digest in sorted(sums.items()))


def check(said: str, found: Mapping[str, str]) -> None:
    """Raise BadBundle for files that are missing, additional or altered, all in one sentence.

    found: sha256 by path of every file but the manifest itself.
    """
    listed = _read(said)
    wrong = {
        "is missing": sorted(listed.keys() - found.keys()),
        "is additional": sorted(found.keys() - listed.keys()),
        "is altered": sorted(p for p in listed.keys() & found.keys() if listed[p] != found[p]),
    }
    told = [_several(paths, what) for what, paths in wrong.items() if paths]
    if told:
        raise BadBundle(f"{'; '.join(told)}, by {MANIFEST}: nothing is concluded from it")


def _read(said: str) -> dict[str, str]:
    listed: dict[str, str] = {}
    for line in said.splitlines():
        parts = _LINE.fullmatch(line)
        if not parts or parts[2] in listed:
            raise BadBundle(f"{MANIFEST} is damaged: {line[:100]!r}")
        listed[parts[2]] = parts[1]
    return listed


def _several(paths: list[str], what: str) -> str:
    more = f" and {len(paths) - 3} more" if len(paths) > 3 else ""
    several = what.replace("is ", "are ") if len(paths) > 1 else what
    return f"{', '.join(paths[:3])}{more} {several}"
