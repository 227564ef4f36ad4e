"""What is shown of the recorded measurements, and of files that are none."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lab.commands.line import main
from lab.common.errors import BadEvidence
from lab.mtls_cost import measurement, ratios, tables
from lab.mtls_cost.measurement import PARTS
from lab.mtls_cost.notebook import RECORDED, Cost, opened
from lab.mtls_cost.ratios import PAIRS
from lab.mtls_cost.variants import CONNECTIONS, LOADS, measured


def test_two_measurements_are_recorded_and_stored_as_they_are_read() -> None:
    files = sorted(RECORDED.glob("*.json"))
    assert len(files) == 2
    for file in files:
        found = measurement.load(file)
        again = json.loads(json.dumps(measurement.to_json(found)))
        assert again == json.loads(file.read_text())
        assert {one.key for one in found.samples} == {one.key for one in measured()}


def test_every_figure_says_where_it_was_measured() -> None:
    found = opened()
    for table in (
        tables.cpu(found[0]),
        tables.ratio_table(found[0]),
        tables.connections(found[0]),
        tables.bytes_sent(found[0]),
    ):
        assert "shared cores, no network between the pods, stock Envoy" in table.note


def test_parts_of_the_cpu_time_add_up() -> None:
    one = opened()[0]
    sample = next(iter(one.counted("http/mtls").values()))
    assert sample.cpu_per_request() == pytest.approx(sum(map(sample.cpu_per_request, PARTS)))


def test_what_is_not_told_apart_is_said_so() -> None:
    one = opened()[0]
    rows = tables.ratio_table(one, LOADS).rows
    assert len(rows) == len({row[:2] for row in rows})
    for load in LOADS:
        for pair in PAIRS:
            found = ratios.ratio(one, load.name, pair, "CPU")
            told = next((row[2] for row in rows if row[:2] == (pair.says, load.says)), "")
            assert bool(found) is bool(told)
            assert (tables.NOT_TOLD_APART in told) is bool(found and found.holds(1.0))


def test_the_mesh_resumes_sessions_and_counts_a_handshake_for_each_connection() -> None:
    samples = opened()[0].counted(f"{CONNECTIONS.name}/mtls").values()
    assert all(sample.handshakes >= sample.requests for sample in samples)
    assert sum(sample.resumed for sample in samples) > 0


def test_one_measurement_alone_can_be_shown_too() -> None:
    assert "What each step costs" in Cost(opened()[:1]).repeated().title


def _no_json(path: Path) -> None:
    path.write_text("{")


def _other_json(path: Path) -> None:
    path.write_text('{"samples": []}')


def _other_sample(path: Path) -> None:
    told: dict[str, Any] = json.loads(next(RECORDED.glob("*.json")).read_text())
    told["samples"][0]["unknown"] = 1
    path.write_text(json.dumps(told))


@pytest.mark.parametrize("spoil", [_no_json, _other_json, _other_sample, Path.mkdir])
def test_a_file_that_is_no_measurement_is_a_sentence(
    spoil: Callable[[Path], object], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "measured.json"
    spoil(path)
    with pytest.raises(BadEvidence):
        measurement.load(path)
    assert main(["cost", "show", str(path)]) == BadEvidence("").exit_code
    assert capsys.readouterr().err.startswith(f"lab: {path} ")
