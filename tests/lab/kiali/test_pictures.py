"""Three real consoles over the same evidence: which locks they draw."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from lab import failures
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
