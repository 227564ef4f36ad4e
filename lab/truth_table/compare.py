"""Two tables or more side by side: what they were measured on, and which cells one lacks."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.common import files, untrusted
from lab.common.errors import BadEvidence
from lab.render.display import Table
from lab.truth_table import results
from lab.truth_table.recorded import of_run
from lab.truth_table.results import CELL
from lab.truth_table.text import Stored

ABOUT = "about.json"
"""Beside a table: on what it was measured, and which cells were chosen."""
UNTOLD = "not recorded"


@dataclass(frozen=True)
class Measured:
    """A stored table, with what is known of how it was measured."""

    name: str
    rows: Mapping[str, Stored]
    about: Mapping[str, Any]


def departures(rows: Mapping[str, Stored], recorded: Mapping[str, Stored]) -> Iterator[str]:
    """Yield for each value that leaves the core how many cells are answered otherwise for it.

    An axis that nothing reads is measured as the core is, and foretold as that. recorded: cells of
    the core that were not measured.
    """
    told = Counter[str]()
    changed = Counter[str]()
    for key, row in rows.items():
        *core, value = key.split("/")
        without = rows.get("/".join(core)) or recorded.get("/".join(core))
        if "=" in value and without:
            told[value] += 1
            changed[value] += any(row[name] != without[name] for name in results.SAME)
    for value, cells in told.items():
        yield f"{value}: {changed[value]} of {cells} cells are answered otherwise than without it"


def keep_about(folder: Path, chosen: str) -> None:
    """Write beside a run's table what it was measured on. chosen: the options that chose cells."""
    first = of_run(folder)[0].about
    told = {name: first[name] for name in ("run", "cluster", "stack", "mesh")}
    files.write_json(folder / ABOUT, {**told, "chosen": chosen})


def load(name: str, folder: Path) -> Measured:
    """Return a stored table. Raises BadEvidence for what is none."""
    about: Any = {}
    if untrusted.is_there(folder / ABOUT):
        about = untrusted.read_json(folder / ABOUT, folder)
        if not _is_told(about):
            raise BadEvidence(f"{ABOUT} in {folder.name} does not tell of a stack and a mesh")
    return Measured(name, results.load(folder), about)


def _is_told(about: Any) -> bool:
    """Return whether a file has the shape of what `keep_about` writes."""
    if not isinstance(about, dict):
        return False
    stack, mesh = about.get("stack", {}), about.get("mesh", {})
    return (
        isinstance(stack, dict)
        and isinstance(mesh, dict)
        and all(isinstance(one, dict) for one in mesh.values())
    )


def identity(tables: Sequence[Measured]) -> Table:
    """Return what the tables were measured on, and in which settings of the mesh they differ."""
    facts = [dict(_facts(one)) for one in tables]
    if all("mesh" in one.about for one in tables):
        facts = [{**each, **_settings(one)} for each, one in zip(facts, tables, strict=True)]
    names = list(dict.fromkeys(name for each in facts for name in each))
    rows = [(name, *(each.get(name, UNTOLD) for each in facts)) for name in names]
    shown = [row for row in rows if row[0] in _ALWAYS or len({*row[1:]}) > 1]
    return Table("", ("measured on", *(one.name for one in tables)), tuple(shown))


_ALWAYS = ("cells", "cluster", "Istio", "Envoy", "Kubernetes")


def _facts(one: Measured) -> Iterator[tuple[str, str]]:
    about, stack = one.about, one.about.get("stack") or {}
    yield "cells", str(len(one.rows))
    yield "cluster", str(about.get("cluster", UNTOLD))
    yield "Istio", str(stack.get("istio", UNTOLD))
    yield "Envoy", f"{stack.get('envoy', UNTOLD)} {stack.get('flavour', '')}".strip()
    yield "Kubernetes", str(stack.get("kubernetes", UNTOLD))
    if about.get("chosen"):
        yield "chosen by", str(about["chosen"])


def _settings(one: Measured) -> dict[str, str]:
    return {
        f"mesh {part} {name}": json.dumps(value, sort_keys=True)
        for part, settings in sorted(one.about["mesh"].items())
        for name, value in sorted(settings.items())
    }


def lacking(tables: Sequence[Measured]) -> list[str]:
    """Say of each table which cells it lacks that another has, and why it does, if that shows."""
    every = {key: row for one in tables for key, row in one.rows.items()}
    return [
        f"{one.name} lacks {len(missing)} of {len(every)} cells: {_why(one, missing)}"
        for one in tables
        if (missing := [row for key, row in every.items() if key not in one.rows])
    ]


def _why(one: Measured, missing: Sequence[Stored]) -> str:
    """Say which values of an axis a table has no cell of; else that it was a choice."""
    reasons, left = [], [*missing]
    for axis in CELL:
        known = {row[axis] for row in one.rows.values()}
        counted = Counter(row[axis] for row in left if row[axis] not in known)
        reasons += [f"it has none with {axis}={value} ({n})" for value, n in counted.items()]
        left = [row for row in left if row[axis] in known]
    chosen = one.about.get("chosen")
    if left:
        reasons.append(f"{len(left)} were not chosen" + (f" ({chosen})" if chosen else ""))
    return "; ".join(reasons)
