"""A live run as notebooks use it: recorded by `LiveRun`, judged here from the files it wrote."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from lab.common import files
from lab.judge.case import Case
from lab.judge.verdict import Verdict, judge, to_json
from lab.model.evidence import CallRecord, Evidence

if TYPE_CHECKING:
    from lab.record.live_run import LiveRun


class JudgedLiveRun:
    """A live run with a verdict: what a notebook's run is told from while it happens."""

    source = "live"

    def __init__(self, run: LiveRun) -> None:
        self._run = run
        self.failure, self.folder = run.failure, run.folder

    @property
    def evidence(self) -> Evidence:
        return self._run.evidence

    @property
    def case(self) -> Case:
        """What is recorded so far, opened for checks."""
        return Case(self.failure, self.evidence, self.folder)

    def before(self) -> Sequence[CallRecord]:
        return self._run.before()

    def during(self) -> Sequence[CallRecord]:
        return self._run.during()

    def after(self) -> Sequence[CallRecord]:
        return self._run.after()

    def remedies(self) -> Sequence[CallRecord]:
        return self._run.remedies()

    def judge(self) -> Verdict:
        """Judge what is on disk, and write the verdict beside it. Raises BadEvidence."""
        path = self.folder / "verdict.json"
        if not path.exists():
            self._run.tell("judging what was recorded")
        self._run.finish()
        verdict = judge(Case.open(self.failure, self.folder))
        files.write_json(path, to_json(verdict))
        return verdict

    def close(self) -> None:
        self._run.close()
