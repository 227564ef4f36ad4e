"""Which tests run unless they are asked for, in which order, and which of them share a worker.

With `pytest -n N --dist loadscope`, the files with tests that use a cluster, or that look at the
whole machine, are one group. One worker runs it, one test after the other, as without workers;
meanwhile the other workers run the other files. A file is never split: fixtures of a module are
made once. The marker `xdist_group` would say it test by test, but pytest-xdist 3.8 passes it on in
a private field that the items of pytest 9.2 do not have.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest

MACHINE = frozenset({"cluster", "kind", "machine"})
"""Markers of tests that use a cluster, or that look at or change the whole machine."""
_MARKED = re.compile(rf"pytest\.mark\.({'|'.join(sorted(MACHINE))})\b")


@cache
def group_of(path: Path) -> str:
    """Return the group of a test file: `machine` for all that have a test of MACHINE."""
    return "machine" if _MARKED.search(path.read_text()) else str(path)


@pytest.hookimpl(optionalhook=True)  # there is none without pytest-xdist
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Give each group of files to one worker."""
    from xdist.scheduler import LoadScopeScheduling

    class ByGroup(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return group_of(config.rootpath / nodeid.partition("::")[0])

    return ByGroup(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out `long` tests unless `-m` names them, and order the others."""
    if "long" not in config.option.markexpr:
        left_out = [item for item in items if item.get_closest_marker("long")]
        items[:] = [item for item in items if not item.get_closest_marker("long")]
        config.hook.pytest_deselected(items=left_out)
    both = {item.path for item in items if {"cluster", "kind"} <= _markers(item)}
    items.sort(key=lambda item: _turn(item, both))


def _turn(item: pytest.Item, both: set[Path]) -> int:
    """Return when a test runs: the lowest number first.

    The group that takes longest begins first. Its tests on the embedded cluster come before those
    on kind, so that no kind cluster stands beside them; then those with a kind cluster of their
    own. The kind tests that end the session's cluster come last, so that it is made once.
    """
    kind = item.get_closest_marker("kind")
    if item.path in both:
        return 2  # tests on one and on both clusters share what their module records
    if kind:
        return 1 if kind.kwargs.get("own_cluster") else 4 if kind.kwargs.get("ends_cluster") else 3
    return 0 if _markers(item) & MACHINE else 5


def _markers(item: pytest.Item) -> set[str]:
    return {marker.name for marker in item.iter_markers()}
