"""Which cells a run measures, and what becomes of a run in which one of them is otherwise."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lab.commands import finish, plan
from lab.commands.plan import Plan
from lab.common.errors import BadArguments
from lab.judge.verdict import Verdict, to_json
from lab.model import store
from lab.truth_table import claims, keep, pinned, places, results, surprises, text, verdict
from lab.truth_table import plan as plan_of_table
from lab.truth_table.pinned import Measured
from lab.truth_table.verdict import NAME, Table

RECORDED = Path(__file__).parent / "recorded"
UDP = ("line/udp/strict/sidecar", "line/udp/permissive/sidecar")
Rows = Mapping[str, Mapping[str, str]]
ROWS: Rows = results.load(pinned.RECORDED)
CELLS = pinned.cells(ROWS)


def judged(rows: Rows = ROWS, **more: Any) -> Verdict:
    return verdict.judge(replace(verdict.recorded(), rows=rows, **more))


def turned(*keys: str, like: str) -> Rows:
    """The recorded table, in which some cells are answered as another one is."""
    answer = {name: ROWS[like][name] for name in results.ANSWER}
    return {**ROWS, **{key: {**ROWS[key], **answer} for key in keys}}


def words(found: Verdict) -> dict[str, tuple[str, ...]]:
    return {claim.id: claim.words for claim in found.claims}


def test_about_two_hundred_cells_are_measured_each_once() -> None:
    keys = [cell.key for cell in CELLS]
    assert len(keys) == len({*keys})
    assert 190 <= len(keys) <= 210


def test_their_services_fit_beside_those_of_failures_for_an_ordinary_user() -> None:
    assert sum(bool(place.service) for place in places.places(CELLS).values()) <= 80
    assert pinned.pods() <= 14


def test_each_answer_of_the_core_has_a_cell() -> None:
    def answers(rows: Rows) -> set[tuple[str, ...]]:
        axes = ("sends", "policy", "caller")
        return {(*(row[axis] for axis in axes), text.short(row)) for row in rows.values()}

    core = {cell.key: ROWS[cell.key] for cell in plan_of_table.core() if not pinned._apart(cell)}
    assert answers(core) <= answers({cell.key: ROWS[cell.key] for cell in CELLS})


@pytest.mark.parametrize("surprise", surprises.SURPRISES, ids=lambda one: one.seen)
def test_each_surprise_has_a_cell_of_each_payload_that_it_happens_to(
    surprise: surprises.Surprise,
) -> None:
    def payloads(rows: Rows) -> set[str]:
        return {row["sends"] for row in rows.values() if surprise.holds(row)}

    beside = [cell for cell in plan_of_table.cells() if not pinned._apart(cell)]
    each, chosen = ({cell.key: ROWS[cell.key] for cell in some} for some in (beside, CELLS))
    assert payloads(each) == payloads(chosen)


def test_each_value_of_each_axis_has_a_cell() -> None:
    beside = [cell for cell in plan_of_table.cells() if not pinned._apart(cell)]
    for axis in results.CELL:
        there = {getattr(cell, axis) for cell in beside}
        assert {getattr(cell, axis) for cell in CELLS} == there, axis


def test_the_recorded_table_is_as_pinned_and_decides_both_claims() -> None:
    found = judged()
    assert found.exit_code == 0
    assert words(found) == dict.fromkeys(("C1", "C5"), ("not reproduced", "reproduced"))
    assert {claim.agreement for claim in found.claims} == {"as pinned"}


@pytest.mark.parametrize(
    ("keys", "like", "wanted"),
    [
        (UDP, "line/tcp/strict/sidecar", {"C1": ("reproduced", "reproduced")}),
        (("server-first/mysql/strict/sidecar",), "server-first/http/strict/sidecar",
         {"C1": ("fails otherwise", "not reproduced")}),
        (("http1.1/grpc-web/strict/sidecar",), "tls/http/strict/sidecar",
         {"C1": ("not reproduced", "not reproduced")}),
        (("http1.1/none/permissive/sidecar",), "http1.1/udp/permissive/sidecar",
         {"C5": ("fails otherwise", "fails otherwise")}),
        (("tls/http/permissive/sidecar",), "tls/https/permissive/sidecar",
         {"C5": ("not reproduced", "not reproduced")}),
    ],
)  # fmt: skip
def test_a_cell_that_is_turned_changes_a_verdict(
    keys: tuple[str, ...], like: str, wanted: dict[str, tuple[str, str]]
) -> None:
    found = judged(turned(*keys, like=like))
    others = {claim.id: claim.pinned for claim in claims.CLAIMS}
    assert words(found) == {**others, **wanted}
    assert found.exit_code == 1


def test_what_is_beyond_rest_is_inflexible_as_posted_where_none_of_it_is_carried() -> None:
    beyond = claims.C5.as_posted.clauses[1].cells
    found = judged(turned(*beyond, like="tls/http/strict/sidecar"))
    assert words(found)["C5"] == ("reproduced", "reproduced")


def test_a_cell_of_which_nothing_is_known_makes_its_claim_inconclusive() -> None:
    cell = "tls/tls/strict/sidecar"
    gone = {key: row for key, row in ROWS.items() if key != cell}
    unknown = {**ROWS, cell: {**ROWS[cell], "outcome": "unknown"}}
    for rows in (gone, unknown):
        found = judged(rows)
        claim = found.claims[0]
        assert claim.words == ("inconclusive", "inconclusive")
        assert cell in claim.as_posted.why
        assert [one.name for one in found.drifted] == [cell]
        assert found.exit_code == 3


def test_attempts_of_which_only_some_are_in_plaintext_are_a_drift_and_nothing_unknown() -> None:
    cell = "http1.1/http/strict/sidecar"
    found = judged({**ROWS, cell: {**ROWS[cell], "wire": "mixed"}})
    assert [(one.name, one.agreement) for one in found.drifted] == [(cell, "differs")]
    assert words(found)["C5"] == ("fails otherwise", "fails otherwise")


@pytest.mark.parametrize("cell", [cell for _, cell, _ in claims.CONTROLS])
def test_a_control_that_fails_leaves_nothing_to_conclude(cell: str) -> None:
    found = judged(turned(cell, like="http1.1/http/strict/sidecar"))
    assert {said.word for claim in found.claims for _, said in claim.answers} == {"inconclusive"}
    assert cell in found.claims[0].as_posted.why


def test_on_a_stack_that_was_never_measured_everything_is_new() -> None:
    stack = {**verdict.recorded().stack, "envoy": "1.99.0"}
    for found in (judged(stack=stack), judged(cluster="kind")):
        assert {one.agreement for one in (*found.claims, *found.cells)} == {"new"}
        assert found.exit_code == 3


def test_recordings_are_judged_again_and_cells_that_were_not_measured_are_unsure() -> None:
    found = verdict.judge(verdict.stored(RECORDED))
    assert found.cluster == "embedded"
    seen = [one for one in found.cells if one.word != "inconclusive"]
    assert {one.agreement for one in seen} == {"as pinned"}
    assert seen
    assert found.exit_code == 3


# A whole run, from the files that its notebook leaves.


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, undrawn: None) -> Path:
    monkeypatch.setenv("LAB_RUNS", str(tmp_path / "runs"))
    return store.new_run()


@pytest.fixture
def wanted() -> Plan:
    return plan.plan([NAME], {}, "recorded", False)


Finished = Callable[[Table], tuple[int, str]]


@pytest.fixture
def finished(
    run: Path, wanted: Plan, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Finished:
    """Ends a run whose recordings are a table; returns its code and its terminal."""

    def finished(table: Table) -> tuple[int, str]:
        monkeypatch.setattr(verdict, "stored", lambda _folder: replace(table, run=run.name))
        (run / NAME).mkdir()
        (run / NAME / "verdict.json").write_text(json.dumps(to_json(judged()) | {"run": run.name}))
        code = finish.finish(wanted, run, 1.0)
        return code, capsys.readouterr().out

    return finished


def test_a_drift_is_named_with_what_was_pinned_and_seen_and_ends_with_1(
    finished: Finished, run: Path
) -> None:
    cell = "h2/http2/strict/sidecar"
    rows = turned(cell, like="tls/http/strict/sidecar")
    code, said = finished(replace(verdict.recorded(), rows=rows))
    assert code == 1
    assert f"{NAME} {cell}: differs" in said
    assert "pinned: outcome arrives, by application" in said
    assert "seen:   outcome refused, by server's proxy" in said
    summary = json.loads((run / "summary.json").read_text())
    assert summary["cells"][NAME][cell] == "differs"
    assert f"cell {cell}" in (run / "junit.xml").read_text()
    assert cell in (run / "report" / "index.html").read_text()


def test_a_new_stack_ends_with_3_and_no_cell_is_called_a_drift(finished: Finished) -> None:
    stack = {**verdict.recorded().stack, "istio": "1.99"}
    code, said = finished(replace(verdict.recorded(), stack=stack))
    assert code == 3
    assert f"{len(CELLS)} cells of the truth table: {len(CELLS)} new" in said
    assert "pinned: outcome" not in said


def test_a_run_that_lost_its_recordings_is_inconclusive(run: Path, wanted: Plan) -> None:
    (run / NAME).mkdir()
    (run / NAME / "verdict.json").write_text(json.dumps(to_json(judged()) | {"run": run.name}))
    assert finish.finish(wanted, run, 1.0) == 3
    assert NAME in json.loads((run / "summary.json").read_text())["missing"]


def test_a_run_without_a_cluster_says_what_is_recorded(
    run: Path, wanted: Plan, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import lab

    monkeypatch.setitem(os.environ, "LAB_RUN", str(run))
    lab.open_cells("recorded")
    assert finish.finish(wanted, run, 1.0) == 0
    said = capsys.readouterr().out
    assert "RECORDED on" in said
    assert f"{len(CELLS)} cells of the truth table: {len(CELLS)} as pinned" in said


# Which runs measure cells.


def test_a_run_of_everything_measures_cells_and_one_of_a_failure_does_not() -> None:
    assert plan.plan([], {}, "recorded", False).names[-1] == NAME
    assert NAME not in plan.plan(["tcp_mtls"], {}, "recorded", False).names
    assert plan.plan([NAME], {}, "recorded", False).names == (NAME,)
    assert plan.plan(["tcp_mtls", NAME], {}, "recorded", False).names == ("tcp_mtls", NAME)


def test_parameters_leave_the_cells_out_with_a_sentence_or_are_refused() -> None:
    given = {"mtls": "DISABLE"}
    everything = plan.plan([], given, "recorded", False)
    assert not everything.cells
    assert "have no parameters" in everything.left_out
    with pytest.raises(BadArguments, match="have no parameters"):
        plan.plan([NAME], given, "recorded", False)


def test_a_kind_of_cluster_that_was_never_measured_leaves_the_cells_out_with_a_sentence() -> None:
    everything = plan.plan([], {}, "kind", False)
    assert not everything.cells
    assert "never measured on a cluster of the kind kind" in everything.left_out
    assert plan.plan([NAME], {}, "kind", False).cells


# `istio-lab record` widens the pins.


@pytest.fixture
def pins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copy(store.RECORDED / "truth_table" / results.CSV, tmp_path)
    stack = verdict.recorded().stack
    monkeypatch.setattr(pinned, "MEASURED", tmp_path / pinned.MEASURED.name)
    monkeypatch.setattr(pinned, "RECORDED", tmp_path)
    keep._write(Measured("run", "", "embedded", stack, ()))
    return tmp_path


def few(rows: Rows = ROWS) -> Table:
    return replace(verdict.recorded(), rows={cell.key: rows[cell.key] for cell in CELLS})


def test_a_run_whose_cells_are_as_recorded_widens_the_pins_to_its_stack(
    pins: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = replace(few(), cluster="kind", stack={"istio": "1.31", "envoy": "1.38.3"})
    monkeypatch.setattr(verdict, "stored", lambda _folder: table)
    assert not pinned.knows("kind")
    assert keep.keep(pins) == (
        "the recorded table's pins speak of kind: Istio 1.31, Envoy 1.38.3 too"
    )
    assert pinned.measured().covers(table.stack, "kind")
    assert keep.keep(pins).endswith("already")


def test_a_run_with_another_answer_widens_nothing_and_names_the_cell(
    pins: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = turned(UDP[0], like="line/tcp/strict/sidecar")
    monkeypatch.setattr(verdict, "stored", lambda _folder: few(rows))
    with pytest.raises(BadArguments, match=f"1 cells of run .* are not as recorded: {UDP[0]}"):
        keep.keep(pins)
    assert pinned.measured().stacks == ()
