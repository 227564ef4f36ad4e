"""Stored runs from anybody: judged, or refused in words; damage never turns one word to another."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from damage import GARBAGE, damaged, effort, mangled
from hypothesis import given
from hypothesis import strategies as st

from lab import failures
from lab.common.errors import BadEvidence
from lab.judge import stored
from lab.judge.verdict import Verdict
from lab.model import evidence, store
from lab.render import explain, junit, tables

pytestmark = pytest.mark.slow  # each example judges a run

NAMES = ("rest_mtls", "https_in_mtls")
WORDS = {"reproduced", "fails otherwise", "not reproduced", "inconclusive", "skipped"}
WORDS |= {"heals", "does not heal", "not needed"}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A stored run: a copy of what is committed."""
    folder = tmp_path_factory.mktemp("runs") / "20260101T000000Z-0000"
    for name in NAMES:
        shutil.copytree(store.RECORDED / name, folder / name)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LAB_RUNS", str(folder.parent))
        yield folder


def judged(run: Path, name: str) -> Verdict | None:
    """What is said of one failure; everything that shows it is made as well."""
    verdicts, missing = stored.judge_all([failures.load(name)], run)
    assert len(verdicts) + len(missing) == 1
    assert stored.exit_code(verdicts, missing) in (0, 1, 3)
    ElementTree.fromstring(junit.junit(verdicts, missing, 1.0).encode(errors="backslashreplace"))
    tables.terminal(verdicts, 100)
    for verdict in verdicts:
        assert explain.lines(verdict, run / name)
    return verdicts[0] if verdicts else None


def words(verdict: Verdict | None) -> list[str]:
    """Every word of a verdict, in order; none where there is no verdict."""
    if verdict is None:
        return []
    said = [answer.word for claim in verdict.claims for _, answer in claim.answers]
    return [*said, *(remedy.word for remedy in verdict.remedies)]


@st.composite
def any_file(draw: st.DrawFn, *kinds: str) -> tuple[str, Path]:
    """A failure, and one of its files by its path in there."""
    name = draw(st.sampled_from(NAMES))
    place = store.RECORDED / name
    files = sorted(path for kind in kinds for path in place.glob(f"{kind}/*"))
    return name, draw(st.sampled_from(files)).relative_to(place)


def with_file(run: Path, name: str, file: Path, content: bytes) -> Verdict | None:
    """The verdict with one file's content another; the file is put back."""
    path = run / name / file
    before = path.read_bytes()
    path.write_bytes(content)
    try:
        return judged(run, name)
    finally:
        path.write_bytes(before)


WHOLE = {name: words(judged(store.RECORDED, name)) for name in NAMES}


@given(st.sampled_from(NAMES), st.data())
@effort(20)
def test_damaged_evidence_is_judged_or_refused(run: Path, name: str, data: st.DataObject) -> None:
    sound = json.loads((store.RECORDED / name / "evidence.json").read_text())
    broken = json.dumps(data.draw(damaged(sound))).encode()
    found = with_file(run, name, Path("evidence.json"), broken)
    assert set(words(found)) <= WORDS


@given(st.sampled_from(NAMES), st.data())
@effort(20)
def test_evidence_of_any_bytes_is_judged_or_refused(
    run: Path, name: str, data: st.DataObject
) -> None:
    sound = (store.RECORDED / name / "evidence.json").read_bytes()
    found = with_file(run, name, Path("evidence.json"), data.draw(mangled(sound) | st.binary()))
    assert set(words(found)) <= WORDS


@given(GARBAGE | st.fixed_dictionaries({"schema": st.just(evidence.SCHEMA), "worlds": GARBAGE}))
@effort(60)
def test_evidence_of_garbage_is_refused(run: Path, value: Any) -> None:
    place = run / "garbage"
    place.mkdir(exist_ok=True)
    (place / "evidence.json").write_text(json.dumps(value))
    with pytest.raises(BadEvidence, match="evidence"):
        evidence.load(place)


def whole(which: tuple[str, Path]) -> tuple[str, Path, bytes]:
    """A failure, one of its recorded files, and what is in it."""
    name, file = which
    return name, file, (store.RECORDED / name / file).read_bytes()


@given(any_file("captures"), st.data())
@effort(20)
def test_an_altered_capture_leaves_nothing_to_be_said(
    run: Path, which: tuple[str, Path], data: st.DataObject
) -> None:
    name, file, sound = whole(which)
    broken = data.draw(mangled(sound).filter(lambda found: found != sound))
    assert set(words(with_file(run, name, file, broken))) <= {"inconclusive", "skipped"}


@given(any_file("logs", "config"), st.data())
@effort(20)
def test_a_log_or_a_configuration_that_is_cut_off_turns_no_word(
    run: Path, which: tuple[str, Path], data: st.DataObject
) -> None:
    name, file, sound = whole(which)
    cut = sound[: data.draw(st.integers(0, len(sound)))]
    for word, before in zip(words(with_file(run, name, file, cut)), WHOLE[name], strict=True):
        assert word in (before, "inconclusive"), file


@given(any_file("logs", "config"), st.data())
@effort(20)
def test_a_damaged_log_or_configuration_is_judged(
    run: Path, which: tuple[str, Path], data: st.DataObject
) -> None:
    name, file, sound = whole(which)
    found = with_file(run, name, file, data.draw(mangled(sound) | st.binary()))
    assert len(words(found)) == len(WHOLE[name])
    assert set(words(found)) <= WORDS
