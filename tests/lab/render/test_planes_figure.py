"""The figure for an incident report says what the planes say, each sign by its shape."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import recordings

from lab import failures
from lab.__main__ import main
from lab.common.errors import BadArguments
from lab.judge.case import Case
from lab.judge.planes import column_titles
from lab.render import planes_figure, planes_table


def row(case: Case, call: str) -> planes_table.Row:
    return next(one for one in planes_table.rows(case) if call in one.calls.split(", "))


def test_of_the_posts_missing_lock_each_plane_has_its_answer() -> None:
    found = row(recordings.case("tcp_mtls"), "tcp-foo")
    answers = dict(zip(column_titles(), found.answers, strict=True))
    assert answers == {
        "packets": "tls",
        "server's log": "mutual_tls",
        "counters": "mutual_tls",
        "client's log": "mutual_tls",
        "control plane": "mutual_tls",
        "Kiali before 1.6": "no lock",
        "Kiali 1.6": "lock",
        "Kiali 2.30": "lock",
    }
    assert (found.security, found.outcome) == ("mutual_tls", "answered")
    assert found.why.startswith("telemetry blind to TCP: ")


def test_a_remedy_is_shown_before_and_with_it() -> None:
    case = recordings.case("tcp_mtls")
    before, after = row(case, "tcp-name:broken"), row(case, "tcp-name:changed")
    assert before.heading == after.heading == "Remedy: name the port tcp-..."
    assert (before.step, before.security) == ("as it is", "plaintext")
    assert (after.step, after.security) == ("with it", "mutual_tls")
    assert "the marker was read 1x" in before.why
    assert row(case, "gateway-plain:changed").target == "gateway:9000"
    assert row(case, "gateway-plain:changed/2").source == "gateway"


@pytest.mark.parametrize("name", failures.names())
def test_every_call_between_pods_is_in_a_row_and_every_missing_lock_has_a_reason(name: str) -> None:
    case = recordings.case(name)
    found = planes_table.rows(case)
    shown = {call for one in found for call in one.calls.split(", ")}
    asked = {call.name for call in case.failure.calls if call.source != "api"}
    tried = {f"{one.name}:{step}" for one in case.failure.remedies for step in planes_table.STEPS}
    assert asked | tried <= shown
    assert all(one.why for one in found if one.security != "mutual_tls")
    table = planes_table.table(found)
    assert len(table.rows) == len(found)
    assert not any("\n" in cell for line in table.rows for cell in line)


def test_the_same_evidence_gives_the_same_figure_and_its_words_are_text(tmp_path: Path) -> None:
    case = recordings.case("rest_mtls")
    one, other = (planes_figure.write(case, tmp_path / name) for name in ("a.svg", "b.svg"))
    assert one.read_bytes() == other.read_bytes()
    svg = one.read_text()
    for word in ("RECORDED on 20", "mutual TLS", "plaintext", "control", "no lock", "lock"):
        assert word in svg
    beside = one.with_suffix(".md").read_text()
    assert beside.startswith(f"# {case.failure.title}: ")
    assert beside.count("\n| ") == len(planes_table.rows(case)) + 2


def test_signs_differ_by_shape_and_not_by_colour_alone(tmp_path: Path) -> None:
    """Open, closed and filled, closed and empty: with every colour taken out."""
    case = recordings.case("tcp_mtls")
    shapes = {
        answer: re.sub(r"#[0-9a-f]{6}", lambda c: "white" if c[0] == "#ffffff" else "ink", drawn)
        for answer in ("mutual_tls", "tls", "plaintext", "unknown", "none", "no lock")
        for drawn in [_drawn(case, answer)]
    }
    assert len({*shapes.values()}) == len(shapes)


def _drawn(case: Case, answer: str) -> str:
    """The figure of one edge that has this one answer, without its words."""
    plain = planes_table.Row("", "", "a", "b", "", "", "none", "", (answer,), "", "")
    svg = planes_figure.data(case, [plain], "svg", "").decode()
    return re.sub(r"(?s)<text.*?</text>|<!--.*?-->", _sign, svg)


def _sign(text: re.Match[str]) -> str:
    """Of words nothing, but for the two signs that are letters."""
    found = re.search(r">([?\N{EN DASH}])<", text[0])
    return found[1] if found else ""


def test_a_picture_for_a_page_of_text_is_a_png(tmp_path: Path) -> None:
    written = planes_figure.write(recordings.case("rest_mtls"), tmp_path / "edges.png")
    assert written.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    with pytest.raises(BadArguments, match=r"edges\.jpeg is neither"):
        planes_figure.write(recordings.case("rest_mtls"), tmp_path / "edges.jpeg")


def test_the_command_draws_one_failure_into_a_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["graph", "recorded", "rest_mtls", "-o", str(tmp_path / "one.svg")]) == 0
    assert "one.md: the same in words" in capsys.readouterr().out
    assert main(["graph", "recorded", "rest_mtl", "-o", str(tmp_path / "x.svg")]) == 254


@pytest.mark.slow  # it draws the largest figure of each failure
def test_the_command_draws_all_failures_into_a_folder(tmp_path: Path) -> None:
    assert main(["graph", "recorded", "-o", str(tmp_path / "all")]) == 0
    there = sorted(path.name for path in (tmp_path / "all").glob("*.svg"))
    assert there == sorted(planes_figure.file_name(name) for name in failures.names())
