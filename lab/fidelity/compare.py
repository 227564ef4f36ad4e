"""Compares two clusters' sidecars: every line that differs is explained, or it fails."""

from __future__ import annotations

import re
import textwrap
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lab.common.errors import BadEvidence
from lab.fidelity import lines
from lab.fidelity.record import FOLDER
from lab.fidelity.table import EXPLAINED
from lab.render.display import Table


@dataclass(frozen=True)
class Difference:
    """A line that only one of two clusters has, of one part of some sidecars."""

    part: str
    line: str
    only: str
    """The cluster that has it."""
    workloads: tuple[str, ...]

    @property
    def why(self) -> str:
        """The explanation; empty where there is none."""
        for part, pattern, why in EXPLAINED:
            if part in ("", self.part) and re.search(pattern, self.line):
                return why
        return ""


@dataclass(frozen=True)
class Fidelity:
    """What two clusters made of the same world."""

    left: str
    right: str
    workloads: tuple[str, ...]
    same: dict[str, int]
    """Part -> lines that both have."""
    differences: tuple[Difference, ...]

    @property
    def unexplained(self) -> tuple[Difference, ...]:
        return tuple(one for one in self.differences if not one.why)

    @property
    def exit_code(self) -> int:
        """0: every difference is explained; 1: one is not."""
        return 1 if self.unexplained else 0

    @property
    def sentence(self) -> str:
        """What was compared, and the result, in a sentence."""
        told = f"{sum(self.same.values())} lines of {len(self.workloads)} sidecars are the same"
        if not self.differences:
            return f"{told}, and none differs."
        if self.unexplained:
            return f"{told}; {len(self.unexplained)} differences are NOT explained."
        return f"{told}; {len(self.differences)} differ, and each is explained."


def compare(left: Path, right: Path, names: tuple[str, str]) -> Fidelity:
    """Compare what two runs recorded of their clusters.

    names: of the two clusters, for people. Raises BadEvidence for records that are not whole.
    """
    ours, theirs = (lines.workloads(run / FOLDER) for run in (left, right))
    if ours != theirs or not ours:
        told = f"{ours or 'none'} and {theirs or 'none'}"
        raise BadEvidence(f"not the same sidecars were recorded: {told}")
    same: Counter[str] = Counter()
    seen: dict[tuple[str, str, str], list[str]] = {}
    for workload in ours:
        one, other = (_read(run / FOLDER, workload) for run in (left, right))
        for part in lines.PARTS:
            same[part] += len(one[part] & other[part])
            for only, own, not_in in (
                (names[0], one[part], other[part]),
                (names[1], other[part], one[part]),
            ):
                for line in sorted(set(_only(own, not_in))):
                    seen.setdefault((part, line, only), []).append(workload)
    found = tuple(Difference(*key, tuple(workloads)) for key, workloads in sorted(seen.items()))
    return Fidelity(*names, tuple(ours), dict(same), found)


def _read(folder: Path, workload: str) -> dict[str, set[str]]:
    try:
        return lines.read(folder, workload)
    except (OSError, ValueError, KeyError) as problem:
        raise BadEvidence(f"what was recorded of {workload} in {folder}: {problem}") from None


def _only(own: set[str], other: set[str]) -> Iterator[str]:
    """Yield the lines that only `own` has; of an object that `other` lacks only its name."""
    known = {prefix for line in other for prefix in _prefixes(line)}
    for line in own - other:
        yield next((prefix for prefix in _prefixes(line) if prefix not in known), line)


def _prefixes(line: str) -> list[str]:
    """Return the objects that a line lies in: of `a[b].c[d].e = 1` these are a[b], a[b].c[d]."""
    place = line.partition(" = ")[0]
    return [place[: found.end()] for found in re.finditer(r"\]", place)]


def text(found: Fidelity, width: int) -> str:
    """Return the terminal's text: a row for each explanation, each unexplained line in full."""
    counted: Counter[tuple[str, str]] = Counter()
    for one in found.differences:
        counted[one.part, one.why or "NOT EXPLAINED"] += 1
    rows = tuple((part, str(number), why) for (part, why), number in sorted(counted.items()))
    parts = [f"Sidecars on {found.left} and on {found.right}, for the same workloads", ""]
    if rows:
        parts += [Table("", ("of", "lines", "why they differ"), rows).text(width), ""]
    for one in found.unexplained:
        head = f"NOT EXPLAINED: only {one.only}, {one.part} of {', '.join(one.workloads)}:"
        parts += [head, textwrap.fill(one.line, width, initial_indent="  ", subsequent_indent="  ")]
    return "\n".join([*parts, textwrap.fill(found.sentence, width)])
