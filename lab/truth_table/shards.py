"""Divides the table into shards, each of which is measured on a mesh of its own.

A shard has its own namespaces, pods and Services, so nothing that happens in one reaches another.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from clusters.base import Cluster
from lab.common.errors import BadArguments
from lab.truth_table.axes import MODES
from lab.truth_table.cells import Cell

Shard = list[Cell]
SERVICES = 200
"""As many as an ordinary user's embedded cluster surely serves at a time: kube-proxy sends all of
its rules through a socket buffer that cannot be enlarged in a user namespace (docs/clusters.md,
`How many Services fit`)."""
ALONE_AT_ONCE = 4
"""Cells in meshes of their own that are measured side by side: three or four pods each."""


def default(cluster: Cluster, cells: Sequence[Cell]) -> int:
    """Return in how many shards a kind of cluster is given its cells.

    One wherever the nodes' kernel takes the rules of any number of Services: pods start once. An
    ordinary user's embedded cluster is given as few as it can serve.
    """
    if cluster.kind != "embedded" or not os.getuid():
        return 1
    count = 1
    while any(_services(shard) > SERVICES for shard in divided(cells, count)):
        count += 1
    return count


def divided(cells: Sequence[Cell], count: int) -> list[Shard]:
    """Return shards of about the same size, at most `count`; a policy is divided last.

    Cells of one configuration stay together: they share its Service. Raises BadArguments for less
    than one shard.
    """
    if count < 1:
        raise BadArguments(f"--shards {count}: there is at least one shard")
    own = [[cell for cell in cells if cell.policy == policy] for policy in MODES]
    own = [each for each in own if each]
    if count <= len(own):
        return [[cell for each in own[index::count] for cell in each] for index in range(count)]
    shares = [count // len(own) + (index < count % len(own)) for index in range(len(own))]
    found = (shard for each, n in zip(own, shares, strict=True) for shard in _split(each, n))
    return [shard for shard in found if shard]


def alone(cells: Sequence[Cell]) -> list[Shard]:
    """Return a shard for each cell."""
    return [[cell] for cell in cells]


def _split(cells: Sequence[Cell], count: int) -> list[Shard]:
    configurations = sorted({cell.configuration for cell in cells})
    place = {one: index % count for index, one in enumerate(configurations)}
    return [
        [cell for cell in cells if place[cell.configuration] == shard] for shard in range(count)
    ]


def _services(cells: Sequence[Cell]) -> int:
    named = (cell.configuration for cell in cells if cell.address != "unregistered")
    return len({*named})
