"""Opens a failure's evidence, and observes its calls.

Everything is read again from the stored files; nothing that the run concluded is used.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from pathlib import Path

from lab.common.errors import BadEvidence
from lab.judge.files import StoredFiles
from lab.judge.hop_evidence import HopEvidence
from lab.judge.observation import FINAL_HOP, Observation
from lab.judge.observe_hop import observe_hop, observe_request_to_api
from lab.model import evidence as recorded
from lab.model.evidence import CLOCK_SLACK, CallRecord, Evidence, PodRecord, WorldRecord
from lab.model.failure import Failure
from lab.model.parameters import parameters_of, with_parameters
from lab.model.scenario import Call
from lab.planes import log


class Case:
    """One failure's evidence, as checks, tables and figures ask for it."""

    def __init__(
        self, failure: Failure, evidence: Evidence, folder: Path, *, older: bool = False
    ) -> None:
        """Take a failure with its parameters filled in, and evidence that is loaded already.

        folder: holds the captures, logs and configurations. older: whether connections are
        accepted that began before the captures (`ConnectionQuery.older`).
        """
        self.failure, self.evidence, self.folder = failure, evidence, folder
        self.files = StoredFiles(evidence, folder)
        self._older = older
        self._seen: dict[str, Observation | None] = {}

    @classmethod
    def open(cls, failure: Failure, folder: Path) -> Case:
        """Read the evidence in a folder, and fill in the parameters that it was recorded with.

        Raises BadEvidence for what is damaged or of another failure, BadArguments for a
        parameter that the failure does not have.
        """
        found = recorded.load(folder)
        if found.failure != failure.name:
            raise BadEvidence(f"{folder} holds evidence of {found.failure!r}")
        values = parameters_of(failure, found.parameters)
        return cls(with_parameters(failure, values), found, folder)

    @cached_property
    def calls(self) -> dict[str, Call]:
        """Every call of the failure, those of its remedies too, by name."""
        return self.failure.all_calls

    @property
    def wire_refused(self) -> bool:
        """Whether the cluster did not let packets be recorded in any world."""
        worlds = self.evidence.worlds.values()
        return bool(worlds) and all(world.uncaptured for world in worlds)

    def world(self, name: str) -> WorldRecord | None:
        """Return a world as it was recorded; None where it was not."""
        return self.evidence.worlds.get(name)

    def see(self, name: str) -> Observation | None:
        """Return a call and its planes; None when it was not made, or its answer was lost.

        name: of a call; with FINAL_HOP behind it, of the hop from the gateway on.
        Raises BadEvidence where a file or a record that it takes is damaged.
        """
        if name not in self._seen:
            try:
                self._seen[name] = self._observe(name)
            except KeyError as missing:
                raise BadEvidence(f"call {name} cannot be seen: there is no {missing}") from None
        return self._seen[name]

    def unseen(self, name: str) -> str:
        """Return why nothing can be said of a call, however it went; empty: something can."""
        record = self.evidence.call(name.removesuffix(FINAL_HOP))
        if record is None:
            return "the call has no record"
        return f"its answer was lost: {record.lost}" if record.lost else self._clock_was_set(record)

    def hop_evidence(self, seen: Observation) -> HopEvidence:
        """Return the stored evidence of a hop that was observed."""
        return self._hop(seen.call, seen.record, self.evidence.worlds[seen.record.world])

    def pods(self, seen: Observation) -> tuple[PodRecord | None, PodRecord | None]:
        """Return the pods at both ends of a hop, the sender's first; None: it is no pod."""
        there = self.evidence.worlds[seen.record.world].pods
        return there.get(seen.call.source), there.get(seen.call.to)

    def flavour(self, seen: Observation) -> str:
        """Return the flavour of the proxies at both ends of a hop.

        It is `stock`, or `istio` where one has Istio's own filters; empty where it was not
        recorded.
        """
        proxies = [pod for pod in self.pods(seen) if pod and pod.sidecar]
        found = {pod.flavour or self.evidence.stack["flavour"] for pod in proxies}
        return next((one for one in ("istio", "") if one in found), "stock")

    def _observe(self, name: str) -> Observation | None:
        wanted = name.removesuffix(FINAL_HOP)
        record, call = self.evidence.call(wanted), self.calls[wanted]
        world = self.world(call.world)
        if record is None or world is None or self.unseen(name):
            return None
        if call.source == "api":
            return observe_request_to_api(call, record)
        if name != wanted:
            return self._observe_final_hop(call, record, world)
        workload, service, port = call.asked
        first = replace(call, to=workload, service=service, port=port)
        return observe_hop(self._hop(first, record, world))

    def _observe_final_hop(
        self, call: Call, record: CallRecord, world: WorldRecord
    ) -> Observation | None:
        """Observe the hop from the gateway on, whose own line names the port that it left by."""
        first = self.see(record.name)
        line = first.server_line if first else None
        if line is None or log.port_of(line.get("upstream_local_address")) is None:
            return None
        final = replace(call, source=call.asked[0], service="")
        return observe_hop(self._hop(final, record, world), line)

    def _hop(self, call: Call, record: CallRecord, world: WorldRecord) -> HopEvidence:
        made = self.calls[record.name]
        return HopEvidence(
            self.files, call, record, world, made, call.source == made.source, self._older
        )

    def _clock_was_set(self, record: CallRecord) -> str:
        """Return that the clock was set while the call's packets were recorded, or nothing.

        The stamps of the call and of its packets are then of two clocks.
        """
        act = (record.world, record.act)
        together = [one for one in self.evidence.calls if (one.world, one.act) == act]
        if any(one.ended < one.started for one in together):
            return f"a call of {record.world} ended before it began: the clock was set meanwhile"
        ahead = [at for one in together for at in (one.clock, one.clock_after) if at]
        by = max(ahead) - min(ahead) if ahead else 0.0
        if by <= CLOCK_SLACK:
            return ""
        return f"the clock was set by {by:.3f} s while packets of {record.world} were recorded"
