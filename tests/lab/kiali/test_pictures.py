"""Three real consoles over the same evidence: which locks they draw."""

from __future__ import annotations

import argparse
import html
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from lab import failures
from lab.commands import report
from lab.judge import stored
from lab.judge.case import Case
from lab.kiali import console, picture
from lab.kiali.answers import Answers, draw
from lab.kiali.picture import Pictured
from lab.kiali.serve import serving
from lab.model import store

pytestmark = [pytest.mark.browser, pytest.mark.slow]
HTTP, TCP = ("client", "httpbin"), ("client", "tcp-echo")


def pictured(generation: str, names: Sequence[str], world: str, file: Path) -> Pictured:
    chosen = console.named(generation)
    opened: list[Case] = [stored.open_case(failures.load(one), store.RECORDED) for one in names]
    answers = Answers(draw(opened, world, chosen.rules).edges, chosen.rules)
    files = console.obtain(chosen, print)
    with serving(chosen, files, answers) as address:
        return picture.take(chosen, address, len(answers.edges), file)


@pytest.mark.parametrize(
    ("generation", "tcp"), [("1.0", ""), ("1.6", "closed"), ("1.31", "closed")]
)
def test_the_console_of_the_posts_time_has_no_lock_for_tcp_and_later_ones_have(
    generation: str, tcp: str, tmp_path: Path
) -> None:
    seen = pictured(generation, ("rest_mtls", "tcp_mtls"), "posted", tmp_path / "graph.png")
    assert {HTTP: seen.locks[HTTP], TCP: seen.locks[TCP]} == {HTTP: "closed", TCP: tcp}
    assert seen.complaints == ()
    assert (tmp_path / "graph.png").stat().st_size > 10_000


def test_without_mtls_no_generation_draws_a_lock(tmp_path: Path) -> None:
    seen = pictured("1.31", ("rest_mtls",), "plain", tmp_path / "graph.png")
    assert set(seen.locks.values()) == {""}


def test_a_report_shows_the_posts_graph_by_every_generation(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LAB_RUNS", str(tmp_path))
    run = tmp_path / "20260101T000000Z-0000"
    for name in ("rest_mtls", "tcp_mtls"):
        shutil.copytree(store.RECORDED / name, run / name)
    report.run(argparse.Namespace(runs=[str(run)], kiali=True))
    page = (run / "report" / "index.html").read_text()
    assert page.count('<img src="data:image/png;base64,') == len(console.CONSOLES)
    for chosen in console.CONSOLES.values():
        assert html.escape(chosen.caption).replace("&#x27;", "&#39;") in page
    assert page.count("client -&gt; tcp-echo: no lock") == 2, (
        "alternative text and caption of 1.0.7"
    )
    assert "without Kiali's pictures" not in capsys.readouterr().err


def test_without_the_console_a_report_says_so_and_is_written(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LAB_RUNS", str(tmp_path))
    monkeypatch.setattr(picture.machine, "SYSTEM_PATH", str(tmp_path))  # no browser there
    run = tmp_path / "20260101T000000Z-0000"
    shutil.copytree(store.RECORDED / "rest_mtls", run / "rest_mtls")
    report.run(argparse.Namespace(runs=[str(run)], kiali=True))
    assert "needs Chromium" in capsys.readouterr().err
    assert "<img" not in (run / "report" / "index.html").read_text()
