"""Which tests run unless they are asked for, in which order, and which of them share a worker.

`pytest -n N --dist loadgroup` gives each group of tests to one worker. All tests that use a
cluster, or that look at the whole machine, are one group, so they run one after the other as
without workers; meanwhile the other workers run the tests that need neither. Of the others, each
file is a group: fixtures of a module are made once.
"""

from __future__ import annotations

from pathlib import Path

import pytest

MACHINE = frozenset({"cluster", "kind", "machine"})
"""Markers of tests that use a cluster, or that look at or change the whole machine."""


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist reads the groups
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out `long` tests unless `-m` names them; order and group the others."""
    if "long" not in config.option.markexpr:
        left_out = [item for item in items if item.get_closest_marker("long")]
        items[:] = [item for item in items if not item.get_closest_marker("long")]
        config.hook.pytest_deselected(items=left_out)
    both = {item.path for item in items if {"cluster", "kind"} <= _markers(item)}
    items.sort(key=lambda item: _turn(item, both))
    for item in items:
        group = "machine" if _markers(item) & MACHINE else str(item.path)
        item.add_marker(pytest.mark.xdist_group(group))


def _turn(item: pytest.Item, both: set[Path]) -> int:
    """Return when a test runs: the lowest number first.

    The group that takes longest begins first. Its tests on the embedded cluster come before those
    on kind, so that no kind cluster stands beside them. The kind tests that end the session's
    cluster come last, so that it is made once.
    """
    kind = item.get_closest_marker("kind")
    if item.path in both:
        return 1  # tests on one and on both clusters share what their module records
    if kind:
        return 3 if kind.kwargs.get("ends_cluster") else 2
    return 0 if _markers(item) & MACHINE else 4


def _markers(item: pytest.Item) -> set[str]:
    return {marker.name for marker in item.iter_markers()}
