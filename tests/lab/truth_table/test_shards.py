"""The table in shards: each has whole configurations, and no cell is lost."""

from __future__ import annotations

import os
from types import SimpleNamespace
from typing import Any, cast

import pytest

from clusters.base import Cluster
from lab.common.errors import BadArguments
from lab.truth_table import plan, shards
from lab.truth_table.axes import MODES

EVERY = plan.cells()


def of_kind(kind: str) -> Cluster:
    return cast(Cluster, SimpleNamespace(kind=kind))


@pytest.mark.parametrize("count", [1, 2, 3, 4, 7, 50])
def test_each_cell_is_in_one_shard_and_a_configuration_is_not_divided(count: int) -> None:
    found = shards.divided(EVERY, count)
    assert count / 2 < len(found) <= count
    assert all(found)
    assert sorted(cell for shard in found for cell in shard) == sorted(EVERY)
    configurations = [{cell.configuration for cell in shard} for shard in found]
    assert sum(map(len, configurations)) == len(set[Any]().union(*configurations))


def test_a_policy_is_divided_only_where_there_are_more_shards_than_policies() -> None:
    found = [{cell.policy for cell in one} for one in shards.divided(EVERY, len(MODES))]
    assert found == [{policy} for policy in MODES]
    strict = [one for one in shards.divided(EVERY, 3 * len(MODES)) if one[0].policy == "strict"]
    assert len(strict) == 3
    assert max(map(len, strict)) < 2 * min(map(len, strict))


def test_few_cells_make_no_empty_shards() -> None:
    few = [cell for cell in EVERY if cell.key.startswith("h2/http/strict")][:3]
    assert [shard for shard in shards.divided(few, 40) if not shard] == []


@pytest.mark.parametrize(
    ("kind", "uid", "count"),
    [("embedded", 0, 1), ("embedded", 1000, 6), ("kind", 1000, 1), ("existing", 1000, 1)],
)
def test_only_an_ordinary_users_embedded_cluster_needs_shards(
    kind: str, uid: int, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "getuid", lambda: uid)
    assert shards.default(of_kind(kind), EVERY) == count
    assert shards.default(of_kind(kind), EVERY[:50]) == 1


def test_less_than_one_shard_is_refused() -> None:
    with pytest.raises(BadArguments, match="at least one shard"):
        shards.divided(EVERY, -1)
