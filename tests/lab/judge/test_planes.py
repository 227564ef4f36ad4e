"""Every registered plane is in every table, figure, page and verdict; one is enough to add it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
from altered import case

from lab.judge import planes
from lab.judge.case import Case
from lab.judge.planes import PLANES, Plane
from lab.judge.proof import proof
from lab.judge.stored import Judged
from lab.judge.verdict import judge, to_json
from lab.observe import text
from lab.planes import Seen
from lab.render import call_tables, comparison, comparison_figure, planes_figure, planes_table
from lab.report import sections
from lab.report.files import Files
from lab.report.stored import FailureReport

CALL = "tcp-foo"
PLACE = "evidence.json call tcp-foo, made up"
ADDED = Plane(
    name="throwaway",
    source="nobody",
    read=lambda _case, _seen: Seen("made up", "nobody", "tls", "a test says so"),
    place=lambda _seen, _said: PLACE,
    short="made",
)


@pytest.fixture(params=["as registered", "with one more"])
def registered(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> list[Plane]:
    """The planes as they are, and with one more that stands nowhere else."""
    found = [*PLANES]
    if request.param == "with one more":
        found.insert(len(planes.witnesses()), ADDED)
        monkeypatch.setattr(planes, "PLANES", found)
    return found


@pytest.fixture
def witnesses(registered: list[Plane]) -> list[Plane]:
    return [plane for plane in registered if not plane.derived]


@pytest.fixture
def recorded() -> Case:
    return case("tcp_mtls")


def answers(found: list[Plane], recorded: Case) -> list[str]:
    seen = recorded.see(CALL)
    assert seen
    return [plane.shows(plane.read(recorded, seen)) for plane in found]


def test_no_two_planes_have_one_name_or_title(registered: list[Plane]) -> None:
    for titles in (
        [plane.name for plane in registered],
        [plane.column_title for plane in registered],
        [plane.witness_title for plane in registered if not plane.derived],
    ):
        assert len(set(titles)) == len(titles)


def test_every_plane_is_a_column_of_the_table_of_all_edges(
    registered: list[Plane], recorded: Case
) -> None:
    rows = planes_table.rows(recorded)
    header = planes_table.table(rows).header
    assert header[3:-1] == tuple(plane.column_title for plane in registered)
    row = next(row for row in rows if CALL in row.calls.split(", "))
    assert list(row.answers) == answers(registered, recorded)


def test_every_plane_is_a_column_of_the_figure(registered: list[Plane], recorded: Case) -> None:
    svg = planes_figure.picture(recorded).svg
    for plane in registered:
        for word in plane.column_title.split():
            assert word in svg, plane.name


def test_every_witness_is_a_column_of_the_notebooks_table(
    witnesses: list[Plane], recorded: Case
) -> None:
    table = call_tables.witnesses_table(recorded, [CALL])
    assert table.header[1:-1] == tuple(plane.witness_title for plane in witnesses)
    assert list(table.rows[0][1:-1]) == answers(witnesses, recorded)


def test_every_witness_is_in_a_proof_with_its_place(witnesses: list[Plane], recorded: Case) -> None:
    shown = proof(recorded, CALL)
    assert shown
    assert [(one.source, one.security) for one in shown.planes] == [
        *zip((plane.source for plane in witnesses), answers(witnesses, recorded), strict=True)
    ]
    assert all(one.where for one in shown.planes)
    assert f"of {len({one.source for one in shown.planes})} sources agree" in shown.agreement


def test_every_witness_is_in_the_verdicts_file(witnesses: list[Plane], recorded: Case) -> None:
    written = to_json(judge(recorded))
    for claim in written["claims"]:
        sources = [one["source"] for one in claim["as_posted"]["proof"]["planes"]]
        assert len(sources) == len(witnesses)
        assert {plane.source for plane in witnesses if plane.short} == set(sources)


def test_every_witness_is_in_the_pages_matrix_of_calls(
    witnesses: list[Plane], recorded: Case
) -> None:
    judged = Judged(recorded, judge(recorded))
    told = FailureReport(judged.case, judged.verdict, "")
    shown = sections.calls(told, Files(recorded.folder, Path()))
    assert shown
    assert [source for _, source in shown["planes"]] == [plane.source for plane in witnesses]


def test_every_plane_is_a_row_of_what_observe_prints(
    registered: list[Plane], recorded: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lab.observe.text.stored", SimpleNamespace(seen=lambda of: of.see(CALL)))
    printed = text.text(recorded, 400)
    for plane in registered:
        assert any(line.startswith(plane.name) for line in printed.splitlines()), plane.name


def test_every_source_is_a_column_of_the_figure_of_two_runs(
    witnesses: list[Plane], recorded: Case
) -> None:
    verdict = judge(recorded)
    run = comparison.Run("one", (verdict,))
    svg = comparison_figure.picture(comparison.compare(run, run)).svg
    for plane in witnesses:
        assert not plane.short or f">{plane.short}<" in svg, plane.name
