"""A recorded edge, read again as a failure that claims nothing."""

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
"""Of the one world and the one call, and of their folder in a run."""


@dataclass(frozen=True)
class Asked:
    """Who called whom, and what was typed."""

    source: str
    to: str
    """The pod that answered, as far as anything was seen of it; else one of those behind."""
    service: str
    port: int
    command: str

    @property
    def call(self) -> Call:
        return Call(NAME, NAME, self.source, self.to, self.port, self.command, "", self.service)


def save(asked: Asked, folder: Path) -> None:
    """Beside the evidence, for `read`."""
    files.write_json(folder / "call.json", dataclasses.asdict(asked))


def read(run: Path) -> Case:
    """A recorded edge again, offline. Raises BadEvidence where it is damaged."""
    folder = run / NAME
    path = folder / "call.json"
    try:
        asked: Asked = decode.build(Asked, untrusted.read_json(path, folder), "call")
    except BadEvidence as wrong:
        raise BadEvidence(f"{path} holds no call: {wrong}") from None
    return case(evidence.load(folder), asked, folder)


def case(told: Evidence, asked: Asked, folder: Path) -> Case:
    """The evidence of one edge as checks, tables and figures take it."""
    service = Service(asked.service, asked.to, (Port("", asked.port, asked.port),))
    pods = tuple(told.worlds[NAME].pods) if NAME in told.worlds else ()
    world = World(NAME, "during", "one call", pods, (service,))
    title = f"{asked.source} to {asked.service}:{asked.port}"
    failure = Failure(NAME, title, "", (), (world,), (asked.call,), (), ())
    return Case(failure, told, folder, older=True)


def seen(case: Case) -> Observation | None:
    """The call and its planes; None where its answer was lost."""
    return case.see(NAME)
