"""The report as a file: everything is there, links lead into the run, and nothing gets out."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import shutil
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest

from lab import failures
from lab.__main__ import main
from lab.commands import finish, plan, side_by_side
from lab.commands.plan import Plan
from lab.common.errors import BadEvidence
from lab.model import store
from lab.render.display import Picture, Table
from lab.report import executed, figure, page, sanitize, sections, stored
from lab.truth_table import claims

pytestmark = pytest.mark.slow  # each test writes pages with their figures

RUN = "20260101T000000Z-0000"
SCRIPT = "<script>alert(1)</script>"


class Read(HTMLParser):
    """A page's elements with their attributes, and its text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._open: list[str] = []
        self.unclosed: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in ("meta", "br", "img", "hr"):
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if not self._open or self._open.pop() != tag:
            self.unclosed.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data

    @property
    def links(self) -> list[str]:
        return [str(a["href"]) for tag, a in self.elements if tag == "a" and a.get("href")]


@cache
def read_once(html: str) -> Read:
    """Of the page that several tests look at: reading it takes seconds."""
    return Read(html)


@pytest.fixture(autouse=True)
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "runs"
    folder.mkdir()
    monkeypatch.setenv("LAB_RUNS", str(folder))
    return folder


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module")
def recorded(place: Path) -> str:
    """The page of all that is recorded, written once."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("LAB_RUNS", str(place))
        return page.write([store.RECORDED]).read_text()


def a_run(runs: Path, *names: str, run: str = RUN) -> Path:
    """A stored run with these failures' recorded evidence."""
    folder = runs / run
    for name in names:
        shutil.copytree(store.RECORDED / name, folder / name)
    told: dict[str, object] = {"command": f"make reproduce FAILURE={','.join(names)}"}
    told |= {"checkout": {"commit": "c0ffee", "dirty": True}}
    (folder / "summary.json").write_text(json.dumps(told))
    return folder


def altered(place: Path, name: str, **changes: object) -> None:
    """Other values at the top of a failure's evidence.json."""
    path = place / name / "evidence.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def with_calls(run: Path, name: str, **changes: object) -> None:
    """Other values in each of its calls."""
    there = json.loads((run / name / "evidence.json").read_text())["calls"]
    altered(run, name, calls=[call | changes for call in there])


def test_all_that_is_recorded_is_told_and_is_the_same_each_time(
    recorded: str, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = read_once(recorded)
    assert read.unclosed == []
    for name in failures.names():
        failure = failures.load(name)
        assert failure.title in read.text
        assert failure.symptom in read.text
        assert set(failure.sources) <= set(read.links)
        ids = {str(attributes.get("id")) for _, attributes in read.elements}
        assert {f"{name}-claim-{claim.id}" for claim in failure.claims} <= ids
        assert {f"{name}-remedy-{remedy.name}" for remedy in failure.remedies} <= ids
        assert {f"{name}-call-{call.name}" for call in failure.calls} <= ids
        assert all(control.says in read.text for control in failure.controls)
        assert f"make reproduce FAILURE={name}" in read.text
    monkeypatch.setenv("LAB_RUNS", str(place))
    assert page.write([store.RECORDED]).read_text() == recorded


def test_the_claims_that_the_truth_table_decides_are_told_with_their_cells(recorded: str) -> None:
    read = read_once(recorded)
    ids = {str(attributes.get("id")) for _, attributes in read.elements}
    assert {"port_names", "port_names-claim-C1", "port_names-claim-C5"} <= ids
    assert {*claims.SOURCES} <= {*read.links}
    for claim in claims.CLAIMS:
        assert claim.says in read.text
        assert all(question.question in read.text for question in claim.questions)
        assert all(cell in read.text for cell in claim.cells)


def test_a_transcript_is_as_typed_with_what_came_back_and_who_says_what(recorded: str) -> None:
    told = stored.read(store.RECORDED).reports
    text = read_once(recorded).text
    record = next(one for one in told if one.failure.name == "tcp_mtls").evidence.call("udp-foo")
    assert record
    assert f"$ {record.typed}" in text
    assert record.received.strip() in text
    for source in ("packets", "server's proxy", "client's proxy", "control plane"):
        assert source in text
    assert "+    name: tcp-foo" in text


def test_of_the_missing_lock_it_shows_the_wire_both_graphs_and_the_cause(runs: Path) -> None:
    run = a_run(runs, "tcp_mtls")
    written = page.write([run], notebooks=False)
    read = Read(written.read_text())
    assert "not reproduced on the wire; reproduced in a Kiali graph of 2019" in read.text
    assert re.search(r"tcp-foo\s*Kiali before 1\.6\s*no lock\s*it asks istio_requests", read.text)
    assert re.search(r"tcp-foo\s*Kiali 2\.30\s*lock\s*the destination", read.text)
    assert "telemetry blind to TCP" in read.text
    assert "client's sidecar to tcp-echo's sidecar: mutual TLS, marker read 0x" in read.text
    link = next(one for one in read.links if one.endswith("/tcp-foo.pcapng"))
    assert (written.parent / link).read_bytes()[:4] == b"\x0a\x0d\x0d\x0a"


def test_recorded_shows_at_the_top_at_each_failure_and_each_figure(
    runs: Path, recorded: str
) -> None:
    read = read_once(recorded)
    there = len(failures.names())
    told = 2 * there + 1  # of a failure in its picture of all planes too; of the cells once
    assert read.text.count("RECORDED on 20") == told
    figures = sum(tag == "figure" for tag, _ in read.elements)
    assert read.text.count("RECORDED.") == figures > there
    assert "RECORDED: run recorded" in read.text
    own = a_run(runs, "rest_mtls")
    altered(own, "rest_mtls", run=RUN)
    assert "RECORDED" not in page.write([own]).read_text()


@pytest.mark.usefixtures("undrawn")
def test_every_link_is_to_a_file_of_the_run_or_a_source_or_a_place_on_the_page(runs: Path) -> None:
    run = a_run(runs, "rest_mtls", "tcp_mtls")
    written = page.write([run], notebooks=False)
    assert written == run / "report" / "index.html"
    read = Read(written.read_text())
    ids = {attributes.get("id") for _, attributes in read.elements}
    sources = {one for name in failures.names() for one in failures.load(name).sources}
    files = []
    for link in read.links:
        if link.startswith("#"):
            assert link[1:] in ids
        elif link not in sources:
            files.append((written.parent / unquote(link)).resolve())
    assert all(file.is_file() and file.is_relative_to(run) for file in files)
    kept = {p for p in run.rglob("*") if p.is_file() and "report" not in p.parts}
    assert kept <= {*files}


def test_nothing_is_loaded_and_no_address_is_named_but_the_sources(
    recorded: str, place: Path
) -> None:
    loading = [
        (tag, name)
        for tag, attributes in read_once(recorded).elements
        for name in attributes
        if name in ("src", "srcset", "data", "action", "poster") or name.startswith("on")
    ]
    assert loading == []
    assert "url(" not in re.sub(r"url\(#", "", recorded)
    tags = {tag for tag, _ in read_once(recorded).elements}
    assert not tags & {"script", "link", "iframe", "object", "embed", "form", "base"}
    assert "default-src 'none'" in recorded
    assert "script-src" not in recorded
    assert str(store.ROOT) not in recorded
    assert str(place) not in recorded


@pytest.mark.usefixtures("undrawn")
def test_the_runs_commit_and_command_are_told(runs: Path) -> None:
    text = Read(page.write([a_run(runs, "rest_mtls")]).read_text()).text
    assert "c0ffee, with uncommitted changes" in text
    assert "$ make reproduce FAILURE=rest_mtls" in text


@pytest.mark.parametrize("summary_holds", ["{", "[]", '{"checkout": 1, "command": ["x"]}'])
@pytest.mark.usefixtures("undrawn")
def test_a_summary_that_is_damaged_takes_no_report_with_it(runs: Path, summary_holds: str) -> None:
    run = a_run(runs, "rest_mtls")
    (run / "summary.json").write_text(summary_holds)
    text = Read(page.write([run]).read_text()).text
    assert "not recorded" in text
    assert "$ make reproduce\n" in text


def test_what_a_run_says_is_never_taken_for_a_part_of_the_page(runs: Path) -> None:
    run = a_run(runs, "rest_mtls")
    there = json.loads((run / "rest_mtls" / "evidence.json").read_text())
    for world in there["worlds"].values():
        world["mtls"] = f'$\\frac{SCRIPT}"'
        world["namespace"] += SCRIPT
    there["stack"]["kubernetes"] = SCRIPT
    (run / "rest_mtls" / "evidence.json").write_text(json.dumps(there))
    with_calls(
        run,
        "rest_mtls",
        typed=f"curl '{SCRIPT}' \"><img src=x onerror=alert(1)>",
        received=SCRIPT + "</code></pre></details><h1>no</h1>",
        error=SCRIPT,
        outcome=SCRIPT,
        facts={SCRIPT: SCRIPT},
        counters={SCRIPT: 1},
    )
    altered(run, "rest_mtls", problems=[SCRIPT], untried={SCRIPT: SCRIPT})
    read = Read(page.write([run]).read_text())
    assert read.unclosed == []
    tags = [tag for tag, _ in read.elements]
    assert "script" not in tags
    assert "img" not in tags
    assert tags.count("h1") == 1
    assert SCRIPT in read.text


@pytest.mark.usefixtures("undrawn")
def test_names_of_files_are_quoted_and_lead_nowhere_else(runs: Path, tmp_path: Path) -> None:
    run = a_run(runs, "rest_mtls")
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_text("x")
    logs = run / "rest_mtls" / "logs"
    for name in ("javascript:alert(1)", '" onclick="x', "a b%2e%2e?x#y", "é\n.jsonl"):
        (logs / name).write_text("x")
    (logs / "link").symlink_to(outside / "secret")
    os.mkfifo(logs / "fifo")
    shutil.rmtree(run / "rest_mtls" / "config")
    (run / "rest_mtls" / "config").symlink_to(outside)
    read = Read(page.write([run]).read_text())
    assert not [link for link in read.links if link.startswith("javascript")]
    assert not [a for _, a in read.elements if "onclick" in a]
    assert not [
        link for link in read.links if "secret" in link or "fifo" in link or "/link" in link
    ]
    found = [link for link in read.links if "/logs/" in link]
    there = {(run / "report" / unquote(link)).resolve() for link in found}
    assert {path for path in logs.iterdir() if path.is_file() and not path.is_symlink()} == there


@pytest.mark.usefixtures("undrawn")
def test_an_evil_name_in_the_evidence_is_text_and_no_link(runs: Path) -> None:
    run = a_run(runs, "rest_mtls")
    there = json.loads((run / "rest_mtls" / "evidence.json").read_text())
    for world in there["worlds"].values():
        for capture in world["captures"]:
            capture["file"] = "../../../../etc/passwd"
    (run / "rest_mtls" / "evidence.json").write_text(json.dumps(there))
    read = Read(page.write([run]).read_text())
    assert not [link for link in read.links if "passwd" in link]
    assert "lies outside" in read.text


def test_a_huge_answer_is_cut_and_control_characters_do_not_show(runs: Path) -> None:
    plain = len(page.write([a_run(runs, "rest_mtls")]).read_bytes())
    run = a_run(runs, "rest_mtls", run="20260102T000000Z-0000")
    with_calls(run, "rest_mtls", received="\x1b[2J\x00\u202e" + "x" * 1_000_000, error="y\n" * 9999)
    text = page.write([run]).read_text()
    assert len(text) < 3 * plain
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", text)
    assert "more characters" in text


def test_secrets_are_taken_out_and_the_page_stays_whole(runs: Path) -> None:
    run = a_run(runs, "rest_mtls")
    secret = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhIn0.c2lnbmF0dXJl"
    told = {"received": f"Authorization: Bearer {secret}", "outcome": "cookie: a=b"}
    with_calls(run, "rest_mtls", **told)
    text = page.write([run]).read_text()
    assert secret not in text
    assert Read(text).unclosed == []
    assert "[redacted]" in text


@pytest.mark.usefixtures("undrawn")
def test_of_a_damaged_failure_the_reason_is_told_and_the_others_stay(runs: Path) -> None:
    run = a_run(runs, "rest_mtls", "tcp_mtls")
    (run / "tcp_mtls" / "evidence.json").write_text("{")
    text = Read(page.write([run]).read_text()).text
    assert "tcp_mtls/evidence.json is damaged" in text
    assert failures.load("rest_mtls").title in text
    (run / "rest_mtls" / "evidence.json").write_text("{")
    assert "rest_mtls/evidence.json is damaged" in Read(page.write([run]).read_text()).text


def test_a_report_that_leads_out_of_its_run_is_not_written(runs: Path, tmp_path: Path) -> None:
    run = a_run(runs, "rest_mtls")
    outside = tmp_path / "outside"
    outside.mkdir()
    (run / "report").symlink_to(outside)
    with pytest.raises(BadEvidence, match="lies outside"):
        page.write([run])
    assert list(outside.iterdir()) == []


def test_a_figure_keeps_only_what_draws_and_its_ids_are_its_own() -> None:
    svg = (
        '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
        ' viewBox="0 0 1 1" onload="x()"><style>*{color:red}</style><script>x()</script>'
        '<defs><path id="p" d="M0 0"/></defs><use xlink:href="#p" clip-path="url(#c)"/>'
        '<use href="https://a/b"/><image href="https://a/b"/><foreignObject/>'
        '<text style="fill: url(https://a/b)" onclick="x()">&lt;b&gt;</text></svg>'
    )
    inline = figure.inline(Picture(svg, 'alt "x"', Table("", (), ())), "one")
    assert "https://a" not in inline
    for gone in ("script", "style", "onload", "onclick", "foreignObject", "image"):
        assert gone not in re.sub("role=.img.", "", inline)
    for kept in ('id="one-p"', 'href="#one-p"', "url(#one-c)", "&lt;b&gt;", "alt &quot;x&quot;"):
        assert kept in inline
    with pytest.raises(ValueError, match="no SVG"):
        figure.inline(Picture("<p>", "", Table("", (), ())), "one")


@pytest.mark.usefixtures("undrawn")
def test_a_figure_that_cannot_be_drawn_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "lab.render.edges_figure.picture", lambda _: Picture("", "", Table("", (), ()))
    )
    text = Read(page.write([store.RECORDED]).read_text()).text
    assert text.count("The figure could not be drawn") == len(failures.names())


def test_a_section_is_a_function_and_a_template_of_its_name() -> None:
    names = {path.stem for path in (page.TEMPLATES / "sections").iterdir()}
    # `cells` is the truth table's: its part of a page has no section of a failure's.
    assert names == {*(section.name for section in sections.SECTIONS), "cells"}


def test_values_are_cut_told_without_folders_and_none_is_nothing() -> None:
    finished = sanitize.finalize((Path("/a/b"),))
    assert finished("/a/b/run/x cannot be read") == "run/x cannot be read"
    assert finished(None) == ""
    assert finished("x" * (sanitize.LONGEST + 5)).endswith("... and 5 more characters")


def a_notebook(*cells: dict[str, object]) -> str:
    return json.dumps({"nbformat": 4, "nbformat_minor": 4, "metadata": {}, "cells": cells})


def shown_as(html: str) -> dict[str, object]:
    output = {"output_type": "display_data", "metadata": {}, "data": {"text/html": html}}
    code = {"cell_type": "code", "metadata": {}, "execution_count": 1, "source": "lab.run()"}
    return {**code, "outputs": [output]}


@pytest.mark.usefixtures("undrawn")
def test_an_executed_notebook_becomes_a_page_of_the_report(runs: Path) -> None:
    run = a_run(runs, "rest_mtls")
    shutil.copy(store.ROOT / "notebooks" / "rest_mtls.ipynb", run / "rest_mtls" / "notebook.ipynb")
    links = Read(page.write([run]).read_text()).links
    assert "rest_mtls.html" in links
    read = Read((run / "report" / "rest_mtls.html").read_text())
    assert "RECORDED" in read.text
    assert "open_run" in read.text
    assert [tag for tag, _ in read.elements].count("h1") == 1
    assert "data:image/svg+xml" in str(read.elements)
    assert "rest_mtls.html" not in Read(page.write([run], notebooks=False).read_text()).links


def test_of_a_hostile_notebook_only_what_shows_is_kept() -> None:
    html = (
        f"{SCRIPT}<style>p{{}}</style><p onclick='x()' style='color:red'>kept</p>"
        "<meta http-equiv=refresh content='0;url=https://a'><iframe src=https://a></iframe>"
        "<a href='javascript:alert(1)'>a</a><a href='../../x'>b</a><form action=https://a></form>"
        "<img src=https://a/x.png><img alt=drawn src='data:image/png;base64,AA'><svg onload=x()>"
    )
    body = executed.convert(a_notebook(shown_as(html)))
    elements = Read(body).elements
    tags = {tag for tag, _ in elements}
    assert not tags & {"script", "style", "meta", "iframe", "form", "svg"}
    names = {name for _, attributes in elements for name in attributes}
    assert names <= {"class", "src", "alt", "href"}
    sources = [a["src"] for _, a in elements if "src" in a]
    assert sources == ["data:image/png;base64,AA"]
    assert Read(body).links == []
    assert "kept" in Read(body).text
    assert "alert(1)" not in Read(body).text


@pytest.mark.parametrize("text", ["", "{", "[]", '{"cells": 1}', "[" * 9999])
def test_a_damaged_notebook_has_no_page(text: str, runs: Path) -> None:
    with pytest.raises(BadEvidence, match="damaged"):
        executed.convert(text)


def test_several_runs_are_side_by_side_and_each_has_its_page(runs: Path) -> None:
    one = a_run(runs, "rest_mtls")
    other = runs / "20260102T000000Z-0000"
    shutil.copytree(store.ROOT / "tests" / "evidence" / "rest_mtls-turned", other / "rest_mtls")
    (other / "summary.json").write_text("{}")
    written = page.write([one, other])
    read = Read(written.read_text())
    assert read.unclosed == []
    pages = [(written.parent / unquote(link)).resolve() for link in read.links if "../" in link]
    assert pages == [folder / "report" / "index.html" for folder in (one, other)]
    assert all(file.is_file() for file in pages)
    assert read.text.count("What differs: rest_mtls (C0 as posted and today's form") >= 2
    assert read.text.count("RECORDED") >= 2
    assert [tag for tag, _ in read.elements].count("h1") == 1


def test_what_one_of_several_runs_does_not_say_is_not_called_a_difference(runs: Path) -> None:
    one, other = a_run(runs, "rest_mtls"), a_run(runs, "tcp_mtls", run="20260102T000000Z-0000")
    rows = page.rows([stored.read(one), stored.read(other)])
    assert {row.state for row in rows} == {"cannot say"}
    assert {word for row in rows for word in row.words} >= {"no record", "reproduced"}
    both = page.rows([stored.read(one), stored.read(one)])
    assert {row.state for row in both} == {"same"}


@pytest.mark.usefixtures("undrawn")
def test_the_command_writes_the_newest_run_or_those_that_are_named(
    runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = a_run(runs, "rest_mtls")
    store.link_latest(run)
    assert main(["report"]) == 0
    assert f"{RUN}/report/index.html" in capsys.readouterr().out
    assert main(["report", str(run), "recorded"]) == 0
    assert "side-by-side" in capsys.readouterr().out
    assert main(["report", "nonesuch"]) == 254


@pytest.mark.usefixtures("undrawn")
def test_runs_of_several_stacks_end_with_one_page_of_all(
    runs: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    there = iter([a_run(runs, "rest_mtls"), a_run(runs, "rest_mtls", run="20260102T000000Z-0000")])
    monkeypatch.setattr(side_by_side, "run_plan", lambda _plan, _then: (next(there), 0))
    plans = [
        plan.plan(["rest_mtls"], {}, "embedded", False, {"LAB_ISTIO": istio})
        for istio in ("1.30", "1.31")
    ]
    assert side_by_side.run_several(plans, 100) == 0
    told = re.search(r"^Side by side: (.*)$", capsys.readouterr().out, re.MULTILINE)
    assert told
    read = Read((store.ROOT / told[1]).read_text())
    assert "20260101T000000Z-0000" in read.text
    assert "20260102T000000Z-0000" in read.text


def finished(runs: Path) -> tuple[Path, int]:
    run = a_run(runs, "rest_mtls")
    wanted = Plan((failures.load("rest_mtls"),), {}, "recorded", False, "make reproduce")
    return run, finish.finish(wanted, run, 1.0)


@pytest.mark.usefixtures("undrawn")
def test_a_run_ends_with_its_page(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run, code = finished(runs)
    assert code == 0
    assert (run / "report" / "index.html").exists()
    assert re.search(rf"Report: .*{RUN}/report/index.html", capsys.readouterr().out)


@pytest.mark.usefixtures("undrawn")
def test_a_page_that_cannot_be_written_takes_no_verdict_with_it(
    runs: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (runs / RUN).mkdir()
    (runs / RUN / "report").write_text("in the way")
    run, code = finished(runs)
    out = capsys.readouterr().out
    assert code == 0
    assert "The report is its summary alone: the report cannot be written: Not a directory" in out
    assert re.search(rf"Report: .*{RUN}/summary.md", out)
    assert json.loads((run / "summary.json").read_text())["verdicts"]["rest_mtls"]
    monkeypatch.setattr(page, "render_run", lambda *_: 1 / 0)
    (run / "report").unlink()
    assert page.last_words([run]) == (
        None,
        "the report cannot be written: ZeroDivisionError: division by zero",
    )


@pytest.mark.usefixtures("undrawn")
def test_what_is_not_in_a_run_is_told_where_it_would_be(runs: Path) -> None:
    run = a_run(runs, "rest_mtls")
    there = json.loads((run / "rest_mtls" / "evidence.json").read_text())
    altered(run, "rest_mtls", calls=there["calls"][:3], problems=["a world fell over"])
    text = Read(page.write([run]).read_text()).text
    assert "Problem while recording: a world fell over" in text
    assert "inconclusive" in text


def test_a_run_as_told_names_what_it_was_made_with(runs: Path) -> None:
    run = stored.read(a_run(runs, "rest_mtls"))
    assert run.checkout == "c0ffee, with uncommitted changes"
    assert dataclasses.replace(run, summary={"checkout": {"commit": "a"}}).checkout == "a"
    assert dataclasses.replace(run, summary={}).checkout == ""
