"""What of the lessons needs no cluster."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

import lab
from lab import failures
from lab.common.errors import BadArguments, BadEvidence
from lab.lessons import exercises, judged, pages, progress
from lab.lessons.lesson import Asked
from lab.lessons.recorded import RecordedLesson
from lab.render.display import Table

NAMES = exercises.names()


@pytest.fixture(autouse=True)
def own_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    path = tmp_path / "lessons.json"
    monkeypatch.setenv("LAB_LESSONS", str(path))
    return path


@pytest.mark.parametrize("name", NAMES)
def test_a_lesson_is_whole(name: str) -> None:
    lesson = exercises.load(name)
    assert lesson.name == name
    assert lesson.failure in failures.names()
    assert len(lesson.causes) == 4
    assert len({one.says for one in lesson.causes}) == 4
    assert len(lesson.wrong) >= 3
    assert lesson.others
    assert {one.source for one in lesson.asked} <= {*lesson.world.workloads}
    assert 5 <= lesson.minutes <= 20


def test_a_report_names_no_cause() -> None:
    for name in NAMES:
        lesson = exercises.load(name)
        assert lesson.causes[0].says.lower() not in lesson.report.lower()


@pytest.mark.parametrize("name", NAMES)
def test_without_a_cluster_a_prediction_is_scored_by_the_recorded_packets(
    name: str, own_file: Path
) -> None:
    lesson = lab.open_lesson(name, cluster="recorded")
    asked = lesson.lesson.reported
    seen = RecordedLesson(lesson.lesson).make(asked)
    assert seen is not None
    true = {"answer": judged.answer(seen), "wire": judged.wire(seen)}
    assert judged.UNKNOWN not in true.values()
    lesson.predict(**true)
    assert [row[-1] for row in lesson.call().rows] == ["right", "right"]
    other = next(word for word in judged.ANSWERS if word != true["answer"])
    lesson.predict(answer=other, wire=true["wire"])
    assert [row[-1] for row in lesson.call().rows] == ["wrong", "right"]
    assert judged.goal(asked, seen).state == "not yet"
    assert str(lesson.check()).startswith("cannot be checked: no cluster runs here")
    kept = json.loads(own_file.read_text())["lessons"][name]
    assert kept["predicted"]["answer"] == other
    assert kept["true"] == true


@pytest.mark.parametrize("name", NAMES)
def test_a_hint_says_more_each_time_and_begins_with_where_to_look(name: str) -> None:
    lesson = lab.open_lesson(name, cluster="recorded")
    shown = [str(lesson.hint()).splitlines() for _ in range(4)]
    assert [*map(len, shown)] == sorted(map(len, shown))
    assert len(shown[0]) < len(shown[2])
    assert shown[3] == [*shown[2], "That was the last hint of this. lesson.solution() repairs it."]


@pytest.mark.parametrize("name", NAMES)
def test_one_of_four_diagnoses_is_right_and_each_says_what_shows_it(name: str) -> None:
    lesson = lab.open_lesson(name, cluster="recorded")
    said = [str(lesson.diagnose(letter)) for letter in "abcd"]
    assert sum(one.startswith("Right: ") for one in said) == 1
    assert len({*said}) == 4


def test_a_prediction_stays_when_the_lesson_is_opened_again(own_file: Path) -> None:
    lab.open_lesson(NAMES[0], cluster="recorded").predict(answer="hangs", wire="TLS")
    again = lab.open_lesson(NAMES[0], cluster="recorded")
    assert "You predicted: hangs, TLS." in repr(again)
    again.predict(answer=..., wire=...)
    assert [row[1] for row in again.call().rows] == ["hangs", "TLS"]
    again.predict(wire="plaintext")
    told = lab.lessons_so_far()
    assert told.rows[0][1:3] == ("hangs, plaintext", "answered, plaintext")
    assert told.note.endswith("lessons are solved, in 0 minutes. 1 of 2 predictions were right.")


def test_who_names_the_cause_from_a_report_alone_may_skip_its_lesson() -> None:
    asked = str(lab.lessons_to_skip())
    assert all(f"{name}: {exercises.load(name).report}" in asked for name in NAMES)
    right = {
        name: letter
        for name in NAMES
        for letter, cause in exercises.load(name).choices.items()
        if cause is exercises.load(name).causes[0]
    }
    scored = lab.lessons_to_skip(**right)
    assert isinstance(scored, Table)
    assert {row[2] for row in scored.rows} == {"skip it"}
    assert scored.note == f"{len(NAMES)} of {len(NAMES)} are right."
    wrong = next(letter for letter in "abcd" if letter != right[NAMES[0]])
    scored = lab.lessons_to_skip(**{NAMES[0]: wrong})
    assert isinstance(scored, Table)
    assert scored.rows[0][2] == "take it"
    with pytest.raises(BadArguments, match="no diagnosis 'e': there is a, b, c, d"):
        lab.lessons_to_skip(**{NAMES[0]: "e"})


def test_words_that_are_no_prediction_are_refused_with_those_that_there_are() -> None:
    lesson = lab.open_lesson(NAMES[0], cluster="recorded")
    with pytest.raises(BadArguments, match="answered, fails, hangs"):
        lesson.predict(answer="answred")
    with pytest.raises(BadArguments, match="there is a, b, c, d"):
        lesson.diagnose("e")
    assert "Predict, before you look" in str(lesson.predict())


def test_a_lesson_that_does_not_exist_names_those_that_there_are() -> None:
    with pytest.raises(BadArguments, match="did you mean plaintext_port"):
        lab.open_lesson("plaintext_prot", cluster="recorded")


def test_a_file_that_is_no_progress_is_not_overwritten(own_file: Path) -> None:
    own_file.write_text("[]")
    with pytest.raises(BadEvidence, match="holds no progress of lessons"):
        lab.open_lesson(NAMES[0], cluster="recorded")
    assert own_file.read_text() == "[]"


def test_an_answer_in_plaintext_is_told_from_one_over_mutual_tls() -> None:
    lesson = exercises.load("plaintext_port")
    seen = RecordedLesson(lesson).make(lesson.reported)
    assert seen is not None
    assert seen.security == "plaintext"
    found = judged.goal(lesson.reported, seen)
    assert (found.state, "in plaintext" in found.says) == ("not yet", True)
    any_way = replace(lesson.reported, must="answered")
    assert judged.goal(any_way, seen).state == "so"
    assert judged.goal(replace(any_way, words="Hostname=two"), seen).state == "not yet"
    assert judged.goal(replace(any_way, must="refused"), seen).state == "not yet"
    lost = replace(seen, record=replace(seen.record, lost="the pod was gone"))
    assert judged.goal(any_way, lost).state == "cannot be checked"


def test_one_goal_that_is_not_reached_is_enough() -> None:
    asked = Asked("x", "client", "x:1", "say x 1", "answered")
    states = {one: judged.Goal(asked, one, "") for one in ("so", "not yet", "cannot be checked")}
    assert judged.whole([states["so"]]) == "correct"
    assert judged.whole([states["so"], states["cannot be checked"]]) == "cannot be checked"
    assert judged.whole([*states.values()]) == "not yet"


def test_the_notebooks_are_as_they_would_be_written_now() -> None:
    for path, text in pages.written().items():
        assert path.read_text() == text, f"{path.name}: make readme"
    assert {path.name for path in pages.FOLDER.glob("*.ipynb")} == {
        path.name for path in pages.written() if path.parent == pages.FOLDER
    }


def test_minutes_are_counted_to_the_first_check_that_was_correct() -> None:
    began = progress.Progress("2026-01-01T10:00:00+00:00")
    assert began.minutes is None
    began.solved = "2026-01-01T10:07:30+00:00"
    assert began.minutes == 7.5
