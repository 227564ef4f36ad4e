"""A small measurement on a real mesh, whose figures are not asserted."""

from __future__ import annotations

from pathlib import Path

import pytest

from clusters.embedded.cluster import Embedded
from clusters.kind.cluster import Kind
from lab.common.errors import NeedsUnmet
from lab.common.wait import until
from lab.mtls_cost import measure, measurement
from lab.mtls_cost.measure import Settings
from lab.mtls_cost.measurement import PARTS
from lab.mtls_cost.variants import measured
from lab.record import world


@pytest.mark.cluster
@pytest.mark.long
@pytest.mark.timeout(600)
def test_every_variant_is_loaded_read_from_the_wire_first_and_nothing_is_left(
    cluster: Embedded, tmp_path: Path
) -> None:
    folder = tmp_path / "20000101T000000Z-cost"
    found = measure.measure(cluster, folder, Settings(1, 1.0), lambda _line: None)
    assert {one.key for one in found.samples} == {one.key for one in measured()}
    assert found.crossed.keys() == found.start.keys() == {one.key for one in measured()}
    assert found.crossed["http/plaintext"].security == "plaintext"
    assert found.about["keys"] == "RSA 2048"
    for sample in found.samples:
        assert sample.requests > 0
        assert sample.cpu.keys() <= set(PARTS)
        assert sample.sent > 1024 * sample.requests, "each payload came back"
    connections = next(one for one in found.samples if one.key == "connections/mtls")
    assert connections.handshakes >= connections.requests
    until(
        lambda: not world.namespaces_of_run(cluster, folder.name.lower()),
        "its namespace to be gone",
        timeout=60,
    )
    assert measurement.to_json(found)["samples"]


def test_a_kind_of_cluster_without_fortio_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(NeedsUnmet, match="only embedded offers, and not kind"):
        measure.measure(Kind("cost"), tmp_path, Settings(), lambda _line: None)
