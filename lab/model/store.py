"""Where runs are kept: runs/<UTC time>-<id>/<failure>/, and evidence/<failure>/ for replay.

Files are written beside and renamed: a reader never sees half of one.
"""

from __future__ import annotations

import datetime
import os
import secrets
import shutil
import subprocess
from pathlib import Path
from typing import Any

from lab.common import places, untrusted
from lab.common.errors import BadArguments, NeedsUnmet
from lab.common.files import write_bytes

ROOT = places.ROOT
RECORDED = ROOT / "evidence"
TURNED = ROOT / "tests" / "evidence"
ROOM = 20_000_000
"""Bytes of a run; of all failures, with captures and logs, 4 MB were measured."""
KEPT = ("summary.json", "*/evidence.json", "*/table.json", "*/truth_table.csv")
"""Files of a run by which it is known; a killed run has no summary."""
ELSEWHERE = "LAB_RUNS=FOLDER keeps runs in another folder"


def runs() -> Path:
    """Return the folder of all runs: LAB_RUNS, else as `places.runs` says."""
    return Path(os.environ.get("LAB_RUNS") or places.runs())


def new_run() -> Path:
    """Make a new run's folder, named by the time (UTC) and four random characters.

    Raises NeedsUnmet where nothing can be written, or too little.
    """
    now = datetime.datetime.now(datetime.UTC).strftime("%Y%m%dT%H%M%SZ")
    folder = runs() / f"{now}-{secrets.token_hex(2)}"
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        raise NeedsUnmet(f"{runs()} cannot be written: {error.strerror}", hint=ELSEWHERE) from None
    free = shutil.disk_usage(folder).free
    if free < ROOM:
        folder.rmdir()
        raise NeedsUnmet(
            f"a run needs {ROOM / 1e6:.0f} MB in {runs()}, where {free / 1e6:.1f} MB are free",
            hint=f"make room; or {ELSEWHERE}",
        )
    return folder


def is_full(folder: Path) -> bool:
    """Return whether nothing more can be written there."""
    return shutil.disk_usage(folder).free < 1 << 16


def link_latest(run: Path) -> None:
    """Point runs/latest at a finished run, by rename."""
    beside = run.parent / f".latest-{run.name}"
    beside.symlink_to(run.name)
    os.replace(beside, run.parent / "latest")


def find(name: str) -> Path:
    """Return a stored run by its name, `latest`, or a path; a killed one too, by its evidence.

    A run of the truth table has a table only. Raises BadArguments with what there is.
    """
    for candidate in (runs() / name, Path(name)):
        if any(one for name in KEPT for one in candidate.glob(name)):
            return candidate.resolve()
    there = [path.name for path in stored()]
    raise BadArguments(f"no run {name!r}; there is: {', '.join(there[-5:]) or 'none yet'}")


def from_here(path: Path) -> Path:
    """Return a path as one would type it here."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


def stored() -> list[Path]:
    """Return every finished run, oldest first."""
    return sorted(path.parent for path in runs().glob("2*/summary.json"))


def commit() -> dict[str, Any]:
    """Return the checkout's commit, and whether it has uncommitted changes; empty without git.

    An installed wheel has a version only: a repository around it would be another one.
    """
    if places.INSTALLED:
        return {"version": places.version()}
    try:
        head = _git("rev-parse", "HEAD")
        return {"commit": head, "dirty": bool(_git("status", "--porcelain"))}
    except (OSError, subprocess.CalledProcessError):
        return {}


def _git(*arguments: str) -> str:
    command = ["git", "-C", str(ROOT), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def record(run: Path, failure: str, *, turned: bool = False) -> Path:
    """Make a run's evidence the recorded one of a failure; returns its folder.

    turned: the one that the tests judge, of the world turned round.
    """
    target = TURNED / f"{failure}-turned" if turned else RECORDED / failure
    beside = target.with_name(f".{target.name}.new")
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(parents=True)
    for name in ("evidence.json", "verdict.json"):
        write_bytes(beside / name, untrusted.read_bytes(run / failure / name, run))
    for name in ("captures", "config", "logs"):
        shutil.copytree(run / failure / name, beside / name, ignore=untrusted.not_plain)
    shutil.rmtree(target, ignore_errors=True)
    os.replace(beside, target)
    return target
