"""Proves findings on the wire: one call for each, recorded as `istio-lab observe` records one."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from clusters import KINDS
from clusters.base import Cluster, PodRef
from lab.audit import calling, seen
from lab.audit.edges import Edge
from lab.audit.findings import Finding, Key
from lab.common.errors import LabError
from lab.judge.case import Case
from lab.judge.observation import Observation
from lab.model import store
from lab.observe import ends, stored
from lab.observe.ends import Target
from lab.observe.recording import Recording
from lab.render.wording import SHOWS, came_back

MOST_TRIED = 8
"""Edges of one finding of which a caller and a server are looked for."""


@dataclass(frozen=True)
class Verified:
    """What became of the call that was to prove a finding."""

    proven: bool
    caller: str
    call: str
    """As it was typed."""
    saw: str
    run: str
    """The folder of what was recorded; empty: the call was not made."""

    @property
    def said(self) -> str:
        """Return the word for it."""
        return "proven on the wire" if self.proven else "not seen"


@dataclass(frozen=True)
class _Call:
    edge: Edge
    source: PodRef
    target: Target
    command: str


def verify(
    cluster: Cluster, findings: Sequence[Finding], most: int, *, packets: bool
) -> dict[Key, Verified]:
    """Make one call for each of the most serious findings that a pod's call can show.

    most: how many. packets: whether they may be captured in pods that are not the lab's.
    """
    told: dict[Key, Verified] = {}
    for finding in findings:
        if len(told) == most:
            break
        call = next(_possible(cluster, finding), None)
        if call is not None:
            about = f"{finding.rule.name}: {call.edge.caller.name} calls {call.edge.to.name}"
            print(f"verifying {about}", file=sys.stderr, flush=True)
            told[finding.key] = _verified(cluster, call, packets=packets)
    return told


def _possible(cluster: Cluster, finding: Finding) -> Iterator[_Call]:
    """Yield the calls that can be made of a finding's edges, the most certain first."""
    called = [one for one in finding.edges if calling.command(one)]
    called.sort(key=lambda one: (-one.way.share, calling.turn(one)))
    for edge in called[:MOST_TRIED]:
        try:
            source = ends.source(cluster.kube, edge.caller.name)
            target = ends.target(cluster.kube, edge.to.name, source.namespace)
        except LabError:  # its pod is gone or is not ready, or too many pods would be captured
            continue
        yield _Call(edge, source, target, calling.command(edge))


def _verified(cluster: Cluster, call: _Call, *, packets: bool) -> Verified:
    caller, typed = call.edge.caller.name, call.command
    try:
        recording = Recording(cluster, call.source, call.target, typed)
        run = store.new_run()
        case = recording.make(run, packets=packets or KINDS[cluster.kind].made_by_lab)
    except LabError as problem:
        return Verified(False, caller, typed, f"the call could not be recorded: {problem}", "")
    seen_so = stored.seen(case)
    proven = seen_so is not None and is_as_foretold(call.edge, seen_so)
    return Verified(proven, caller, typed, _saw(case, seen_so), str(store.from_here(run)))


def is_as_foretold(edge: Edge, seen_so: Observation) -> bool:
    """Return whether a call crossed, ended, and went, as its edge was walked."""
    return (
        _crossed(edge, seen_so)
        and calling.ended(edge, seen_so.record)
        and (seen.first_end(edge) in edge.to.ends or _went(edge, seen_so))
    )


def _crossed(edge: Edge, seen_so: Observation) -> bool:
    if edge.crossed == "none":  # its bytes were there, if it sends any, and stayed in the pod
        was_made = edge.sends == "nothing" or seen_so.left_client is True
        return seen_so.security == "none" and was_made
    if edge.crossed == "mutual_tls" and edge.way.outcome != "arrives":
        return seen_so.wire.security == "tls"  # a handshake that is refused names nobody
    if seen.gives_tls(edge):  # who is given a handshake may answer it in plaintext
        return seen_so.wire.security in (edge.crossed, "mixed")
    return edge.crossed == seen_so.security


def _went(edge: Edge, seen_so: Observation) -> bool:
    """Return whether it went where it was foretold, of an end that was not asked or is unknown."""
    end, line = seen.first_end(edge), seen_so.client_line
    asked_ends_are_known = bool(edge.to.ends) and bool(end)
    if not asked_ends_are_known:
        return True
    return line is not None and str(line.get("upstream_host", "")).startswith(f"{end}:")


def _saw(case: Case, seen_so: Observation | None) -> str:
    if seen_so is None:
        return f"nothing can be concluded: {case.unseen(stored.NAME)}"
    crossed = SHOWS[seen_so.security]
    why = f" ({seen_so.wire.why})" if seen_so.security == "unknown" else ""
    return f"{crossed}{why}; {came_back(seen_so.record)}"
