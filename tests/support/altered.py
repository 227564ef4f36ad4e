"""Recorded evidence with something in it altered: what a plane must not fall for."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import recordings

from lab import failures
from lab.judge.case import Case
from lab.model import store

Lines = list[dict[str, Any]]


def case(name: str, folder: Path | None = None) -> Case:
    """A failure's evidence, as it was recorded or from another folder."""
    return Case.open(failures.load(name), folder) if folder else recordings.case(name)


def with_log(name: str, log: str, change: Callable[[Lines], Lines], folder: Path) -> Case:
    """A copy of the evidence in which the lines of one proxy are other ones."""
    shutil.copytree(store.RECORDED / name, folder, dirs_exist_ok=True)
    path = folder / "logs" / f"{log}.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines() if line.startswith("{")]
    path.write_text("".join(json.dumps(line) + "\n" for line in change(lines)))
    return case(name, folder)


def with_evidence(name: str, change: Callable[[dict[str, Any]], None], folder: Path) -> Case:
    """A copy of the evidence whose record says something else."""
    shutil.copytree(store.RECORDED / name, folder, dirs_exist_ok=True)
    path = folder / "evidence.json"
    told = json.loads(path.read_text())
    change(told)
    path.write_text(json.dumps(told))
    return case(name, folder)
