"""What a run leaves outside of its own namespaces is found again by its label."""

from __future__ import annotations

import pytest

from clusters.kube import documents
from lab import failures
from lab.model.scenario import fill
from lab.record.world import MESH_WIDE


@pytest.mark.parametrize("name", failures.names())
def test_what_a_remedy_of_the_whole_mesh_applies_is_looked_for_afterwards(name: str) -> None:
    changes = [one.change.after for one in failures.load(name).remedies if one.scope == "mesh"]
    objects = [one for text in changes for one in documents(fill(text, {}))]
    assert [one for one in objects if (one["apiVersion"], one["kind"]) not in MESH_WIDE] == []
