"""What a failed test's runs recorded is kept below runs/failed-tests/, and named in its report."""

from __future__ import annotations

import re
import shutil
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from lab.model import store

KEPT = store.ROOT / "runs" / "failed-tests"
RUN = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{4}")
"""A run's name, as lab.model.store.new_run makes it."""
TICK = 0.1
"""Seconds by which a file's time may lag behind the clock."""
DEPTH = 4
"""How deep below a test's folder its runs are looked for: the deepest are CLONE/lab/runs/RUN."""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Keep the runs of a test that fails, while its folders are still there."""
    report = yield
    target = KEPT / re.sub(r"[^\w.-]+", "_", item.nodeid.partition("@")[0].removeprefix("tests/"))
    if report.when == "setup":
        shutil.rmtree(target, ignore_errors=True)  # of an earlier session
    if report.failed:
        runs = {*_runs(item)} or {*_runs_of_setup(item, call.start)}
        kept = [_copy(run, target) for run in sorted(runs)]
        if kept:
            report.sections.append(("what its runs recorded", "\n".join(map(str, kept))))
    return report


def _runs(item: pytest.Item) -> Iterator[Path]:
    """Yield each run below the folders that the test's fixtures gave it."""
    for value in getattr(item, "funcargs", {}).values():
        for folder in _folders(value):
            yield from _below(folder, DEPTH)


def _folders(value: object) -> Iterator[Path]:
    """Yield the folders of a fixture's value: itself, its members, its `top` or `folder`."""
    named = (value, getattr(value, "top", None), getattr(value, "folder", None))
    for one in value if isinstance(value, tuple) else named:
        # Evidence that is committed is none of a test's.
        if isinstance(one, Path) and one.is_dir() and not one.is_relative_to(store.ROOT):
            yield one.resolve()


def _runs_of_setup(item: pytest.Item, start: float) -> Iterator[Path]:
    """Yield what a fixture recorded that failed before it returned: all since the test began."""
    factory = getattr(item, "funcargs", {}).get("tmp_path_factory")
    if isinstance(factory, pytest.TempPathFactory):
        for run in _below(factory.getbasetemp(), DEPTH):
            if run.stat().st_mtime >= start - TICK:
                yield run


def _below(folder: Path, depth: int) -> Iterator[Path]:
    if RUN.fullmatch(folder.name):
        yield folder
    elif depth:
        for path in sorted(folder.iterdir()):
            if path.is_dir() and not path.is_symlink():
                yield from _below(path, depth - 1)


def _copy(run: Path, target: Path) -> Path:
    """Copy a run; returns where it lies. What cannot be copied, such as a FIFO, is left out."""
    there = target / run.name
    try:
        shutil.copytree(run, there, symlinks=True, dirs_exist_ok=True, ignore=_not_plain)
    except (OSError, shutil.Error) as error:
        there.mkdir(parents=True, exist_ok=True)
        (there / "not-copied.txt").write_text(f"{error}\n")
    return there


def _not_plain(folder: str, names: list[str]) -> list[str]:
    paths = (Path(folder, name) for name in names)
    return [p.name for p in paths if not (p.is_file() or p.is_dir() or p.is_symlink())]
