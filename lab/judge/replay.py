"""Replays stored evidence through the same steps as a live run; it never makes a call."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from lab.common import files, places, untrusted
from lab.common.errors import BadArguments
from lab.judge.case import Case
from lab.judge.verdict import Verdict, judge, to_json
from lab.model import store
from lab.model.evidence import CallRecord, Evidence
from lab.model.failure import Failure
from lab.model.scenario import Phase


class RecordedRun:
    """The recorded run of a failure: evidence/<failure>/ in the checkout."""

    source = "recorded"

    def __init__(self, failure: Failure, values: dict[str, str]) -> None:
        self.folder = store.RECORDED / failure.name
        if not (self.folder / "evidence.json").exists():
            raise BadArguments(
                f"nothing is recorded of {failure.name}",
                hint=f"{places.reproduce(failure.name)}, then istio-lab record",
            )
        untrusted.require_inside(self.folder, store.RECORDED)
        self.case = Case.open(failure, self.folder)
        if values != self.evidence.parameters:
            there = " ".join(f"{k}={v}" for k, v in self.evidence.parameters.items())
            raise BadArguments(
                f"{failure.name} is recorded with {there} only; other parameters need a cluster",
                hint="CLUSTER=embedded",
            )
        self.failure, self.parameters = self.case.failure, values

    @property
    def evidence(self) -> Evidence:
        return self.case.evidence

    @property
    def run_id(self) -> str:
        return self.evidence.run

    def open(self) -> None:
        """Make nothing: it is all recorded."""

    def before(self) -> Sequence[CallRecord]:
        return self._phase("before")

    def during(self) -> Sequence[CallRecord]:
        return self._phase("during")

    def after(self) -> Sequence[CallRecord]:
        return self._phase("after")

    def _phase(self, phase: Phase) -> Sequence[CallRecord]:
        names = {world.name for world in self.failure.worlds if world.phase == phase}
        return [call for call in self.evidence.calls if call.world in names and not call.act]

    def remedies(self) -> Sequence[CallRecord]:
        return [call for call in self.evidence.calls if call.act]

    def judge(self) -> Verdict:
        """Judge the recorded files now, with today's judge. A runner's run gets a copy of them."""
        verdict = judge(self.case)
        if os.environ.get("LAB_RUN"):
            folder = Path(os.environ["LAB_RUN"]) / self.failure.name
            shutil.copytree(self.folder, folder, dirs_exist_ok=True, ignore=untrusted.not_plain)
            files.write_json(folder / "verdict.json", to_json(verdict))
        return verdict

    def close(self) -> None:
        """Remove nothing."""
