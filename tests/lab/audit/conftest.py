from __future__ import annotations

from collections.abc import Iterator

import audited_meshes
import pytest

from clusters.embedded.cluster import Embedded


@pytest.fixture(scope="package")
def namespaces(cluster: Embedded) -> Iterator[dict[tuple[str, str], str]]:
    """(failure, world) -> its namespace on the cluster, with everything active."""
    with audited_meshes.deployed(cluster) as made:
        yield made
