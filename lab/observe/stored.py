"""Reads a recorded edge again, as a failure without claims."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

from lab.common import decode, files, untrusted
from lab.common.errors import BadEvidence
from lab.judge.case import Case
from lab.judge.observation import Observation
from lab.model import evidence
from lab.model.evidence import Evidence
from lab.model.failure import Failure
from lab.model.scenario import Call, Port, Service, World

NAME = "edge"
"""Name of the one world and the one call, and of their folder in a run."""


@dataclass(frozen=True)
class AskedCall:
    """Who called whom, and what was typed."""

    source: str
    to: str
    """The pod that the call was seen to reach; else the first of the Service's pods."""
    service: str
    port: int
    command: str

    @property
    def call(self) -> Call:
        return Call(NAME, NAME, self.source, self.to, self.port, self.command, "", self.service)


def save(asked: AskedCall, folder: Path) -> None:
    """Write the call beside the evidence, for `read`."""
    files.write_json(folder / "call.json", dataclasses.asdict(asked))


def read(run: Path) -> Case:
    """Read a recorded edge again, offline. Raises BadEvidence where it is damaged."""
    folder = run / NAME
    path = folder / "call.json"
    try:
        asked: AskedCall = decode.build(AskedCall, untrusted.read_json(path, folder), "call")
    except BadEvidence as wrong:
        raise BadEvidence(f"{path} holds no call: {wrong}") from None
    return case(evidence.load(folder), asked, folder)


def case(told: Evidence, asked: AskedCall, folder: Path) -> Case:
    """Return the evidence of one edge as the case that checks, tables and figures take."""
    service = Service(asked.service, asked.to, (Port("", asked.port, asked.port),))
    pods = tuple(told.worlds[NAME].pods) if NAME in told.worlds else ()
    world = World(NAME, "during", "one call", pods, (service,))
    title = f"{asked.source} to {asked.service}:{asked.port}"
    failure = Failure(NAME, title, "", (), (world,), (asked.call,), (), ())
    return Case(failure, told, folder, older=True)


def seen(case: Case) -> Observation | None:
    """Return the call as it was observed; None where its answer was lost."""
    return case.see(NAME)
