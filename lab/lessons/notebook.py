"""A lesson as a notebook goes through it.

lesson = lab.open_lesson("plaintext_port")
lesson.predict(answer="answered", wire="plaintext")
lesson.call()
lesson.diagnose("a")
lesson.check()
lesson.hint()
lesson.solution()
lesson.reset()
"""

from __future__ import annotations

import os
from types import EllipsisType
from typing import TYPE_CHECKING

from lab.common.errors import BadArguments, LabError
from lab.common.suggest import meant
from lab.judge.observation import Observation
from lab.lessons import judged, progress
from lab.lessons.judged import ANSWERS, UNKNOWN, WIRES, Goal
from lab.lessons.lesson import Asked, Lesson, Steps
from lab.lessons.progress import Progress
from lab.render.display import Table, Text
from lab.render.wording import shorten

if TYPE_CHECKING:
    from lab.lessons.live import LiveLesson
    from lab.lessons.recorded import RecordedLesson

NO_CLUSTER = "cannot be checked: no cluster runs here, so nothing can be repaired"


def open_lesson(name: str, cluster: str = "auto") -> NotebookLesson:
    """Open a lesson on a cluster, or, without one, its recorded part.

    cluster: as of `lab.open_run`. Raises BadArguments for a lesson that does not exist.
    """
    from clusters import kind_of
    from lab.lessons import exercises
    from lab.notebook.open_run import choose

    lesson = exercises.load(name)
    word, why = choose(cluster)
    if kind_of(word).replayed:
        from lab.lessons.recorded import RecordedLesson

        return NotebookLesson(RecordedLesson(lesson), None, why)
    from lab.lessons.live import LiveLesson

    live = LiveLesson(lesson, word)
    os.environ.update(live.tools.variables)  # for commands that are typed in the notebook
    return NotebookLesson(live, live, why)


class NotebookLesson:
    """One lesson, step by step. What is done is written to the learner's own file."""

    def __init__(
        self, source: LiveLesson | RecordedLesson, live: LiveLesson | None, why: str
    ) -> None:
        self._source, self._live, self._why = source, live, why
        self.lesson: Lesson = source.lesson
        before = progress.read().get(self.lesson.name)
        # A prediction that is made after the call has been seen is none.
        self._progress = Progress(progress.now(), {**before.predicted} if before else {})
        self._given: dict[Steps, int] = {}
        self._save()

    def __repr__(self) -> str:
        return repr(self.about())

    def _repr_html_(self) -> str:
        return self.about()._repr_html_()

    def about(self) -> Text:
        """Show the report, where this runs, and what was predicted already."""
        there = f"namespace {self._live.namespace}" if self._live else "no cluster"
        predicted = ", ".join(self._progress.predicted.values())
        return Text(
            (
                self.lesson.title,
                f"A colleague reports: {self.lesson.report}",
                f"{self._source.where}; {there} ({self._why})",
                *([f"You predicted: {predicted}."] if predicted else []),
            )
        )

    def predict(self, answer: str | EllipsisType = ..., wire: str | EllipsisType = ...) -> Text:
        """Say what will come of the reported call, before it is made.

        answer: what the caller gets. wire: what crosses the network. Raises BadArguments for words
        that are none of those that this shows without them.
        """
        given = (("answer", answer, ANSWERS), ("wire", wire, WIRES))
        for _, told, words in given:
            if isinstance(told, str) and told not in words:
                raise BadArguments(
                    f"no such prediction: {told!r}; {meant(told, words)}there is {', '.join(words)}"
                )
        self._progress.predicted |= {key: told for key, told, _ in given if isinstance(told, str)}
        self._save()
        if len(self._progress.predicted) < 2:
            return Text(
                (
                    "Predict, before you look:",
                    f"answer, what the caller gets: {', '.join(ANSWERS)}; a status of 400 or more "
                    "fails",
                    f"wire, what crosses the network between the pods: {', '.join(WIRES)}; in TLS "
                    "the server shows a certificate, in mutual TLS both ends do",
                )
            )
        noted = ", ".join(self._progress.predicted.values())
        return Text((f"Your prediction is noted: {noted}. lesson.call() makes the call.",))

    def call(self) -> Table:
        """Make the reported call now, and score the prediction by what was captured."""
        asked = self.lesson.reported
        seen = self._source.make(asked)
        true = _true(seen)
        self._progress.true = self._progress.true or true
        self._save()
        # What is called again after a repair is not what was predicted.
        predicted = self._progress.predicted if true == self._progress.true else {}
        rows = [
            (name, predicted.get(key, "nothing"), true[key], _score(predicted.get(key), true[key]))
            for key, name in (("answer", "the caller"), ("wire", "on the wire"))
        ]
        typed = shorten(seen.record.typed) if seen else asked.command
        came = judged.told(seen) if seen else "its answer was lost"
        if seen and seen.security == "mixed":
            came += f". A part of what crossed can be read: {seen.wire.why}"
        header = ("what", "you predicted", "what was seen", "")
        return Table(f"{asked.source}$ {typed}", header, tuple(rows), came)

    def causes(self) -> Text:
        """Show the diagnoses to choose from, each with its letter."""
        lines = [f"{letter}) {cause.says}" for letter, cause in self.lesson.choices.items()]
        return Text(("What is the cause?", *lines))

    def diagnose(self, letter: str | EllipsisType = ...) -> Text:
        """Give the letter of one of the causes; without one they are shown."""
        if not isinstance(letter, str):
            return self.causes()
        choices = self.lesson.choices
        if letter not in choices:
            raise BadArguments(f"no diagnosis {letter!r}: there is {', '.join(choices)}")
        chosen = choices[letter]
        right = chosen is self.lesson.causes[0]
        self._progress.diagnosis, self._progress.diagnosed = chosen.says, right
        self._save()
        return Text((f"{'Right' if right else 'No'}: {chosen.because}",))

    def look(self) -> Text:
        """Show commands to look with."""
        return Text(
            ("Commands to look with, in a cell after ! or in a terminal:", *self.lesson.look)
        )

    def check(self) -> Table | Text:
        """Make every call of the lesson now, and say whether the mesh is repaired."""
        if self._live is None:
            return self._checked(NO_CLUSTER.partition(":")[0], Text((NO_CLUSTER,)))
        if problem := self._live.problem():
            told = f"cannot be checked: {problem}"
            return self._checked("cannot be checked", Text((told,)))
        goals = [self._goal(asked) for asked in self.lesson.asked]
        rows = tuple(
            (
                shorten(f"{one.asked.source}$ {one.asked.command}"),
                _wanted(one.asked),
                one.state,
                one.says,
            )
            for one in goals
        )
        whole = judged.whole(goals)
        after = {
            "correct": self.lesson.remember,
            "not yet": "lesson.hint() says what is still wrong, one step at a time.",
            "cannot be checked": "Check again; what was wrong is in the table.",
        }[whole]
        header = ("call", "has to be", "is", "what was seen")
        return self._checked(whole, Table(whole.capitalize(), header, rows, after))

    def hint(self) -> Text:
        """Say what is still wrong: where to look, then what is so, then what to change."""
        self._progress.hints += 1
        self._save()
        for steps in self.lesson.hints(self._source.now()):
            shown = self._given[steps] = self._given.get(steps, 0) + 1
            last = ("That was the last hint of this. lesson.solution() repairs it.",)
            return Text((*steps[:shown], *(last if shown > len(steps) else ())))
        return Text(("The hints find nothing more to repair. lesson.check() makes the calls.",))

    def solution(self) -> Text:
        """Show one right way, as it is typed; where a cluster runs, do it."""
        self._progress.solution = True
        self._save()
        right = self.lesson.solution
        if self._live is None:
            return Text((right.says, right.script))
        done = self._live.repair(right)
        return Text((right.says, f"$ {self._live.script(right)}", done.said))

    def reset(self) -> Text:
        """Make the lesson's namespace as it was at its beginning."""
        self._given.clear()
        if self._live is None:
            return Text(("Nothing was changed: no cluster runs here.",))
        changed = self._live.reset()
        return Text(("The lesson is as it was at its beginning.", *changed))

    def _goal(self, asked: Asked) -> Goal:
        assert self._live is not None
        try:
            seen = self._live.make(asked)
        except LabError as problem:
            return Goal(asked, "not yet", str(problem))
        if seen is None:
            return Goal(asked, "cannot be checked", "its answer was lost")
        return judged.goal(asked, seen)

    def _checked(self, state: str, shown: Table | Text) -> Table | Text:
        self._progress.checks += (state,)
        if state == "correct" and not self._progress.solved:
            self._progress.solved = progress.now()
        self._save()
        return shown

    def _save(self) -> None:
        progress.write(self.lesson.name, self._progress)


def _true(seen: Observation | None) -> dict[str, str]:
    if seen is None:
        return {"answer": UNKNOWN, "wire": UNKNOWN}
    return {"answer": judged.answer(seen), "wire": judged.wire(seen)}


def _score(predicted: str | None, true: str) -> str:
    if predicted is None or true == UNKNOWN:
        return ""
    return "right" if predicted == true else "wrong"


def _wanted(asked: Asked) -> str:
    return f"answered, over {asked.must}" if asked.must == "mutual TLS" else asked.must
