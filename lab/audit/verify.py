"""Proves findings on the wire: one call for each, recorded as `istio-lab observe` records one."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from clusters import KINDS
from clusters.base import Cluster, PodRef
from clusters.kube import Kube
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
from lab.packets import tls
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
    edge: Edge
    """Of which the call is."""
    crossed: bool = False
    """It crossed, and went, as was foretold, however it ended."""

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
        call = next(_possible(cluster, finding.edges), None)
        if call is not None:
            about = f"{finding.rule.name}: {call.edge.caller.name} calls {call.edge.to.name}"
            print(f"verifying {about}", file=sys.stderr, flush=True)
            told[finding.key] = _verified(cluster, call, packets=packets)
    return told


def can_be_called(cluster: Cluster, edge: Edge) -> bool:
    """Return whether a pod is there that can make the call of an edge, and one that answers."""
    return any(True for _ in _possible(cluster, (edge,)))


def _possible(cluster: Cluster, edges: Iterable[Edge]) -> Iterator[_Call]:
    """Yield the calls that can be made of edges, the most certain first."""
    called = [one for one in edges if calling.command(one)]
    called.sort(key=lambda one: (-one.way.share, calling.turn(one)))
    for edge in called[:MOST_TRIED]:
        try:
            source = _caller(cluster.kube, edge)
            target = ends.target(cluster.kube, edge.to.name, source.namespace)
        except LabError:  # its pod is gone or is not ready, or too many pods would be captured
            continue
        yield _Call(edge, source, target, calling.command(edge))


def _caller(kube: Kube, edge: Edge) -> PodRef:
    """Find the pod that calls; for a client outside the mesh, one beside the Service."""
    if edge.caller.has_sidecar:
        return ends.source(kube, edge.caller.name)
    return ends.without_sidecar(kube, edge.to.host.split(".")[1])


def _verified(cluster: Cluster, call: _Call, *, packets: bool) -> Verified:
    caller, typed = f"{call.source.namespace}/{call.source.name}", call.command
    try:
        recording = Recording(cluster, call.source, call.target, typed)
        run = store.new_run()
        case = recording.make(run, packets=packets or KINDS[cluster.kind].made_by_lab)
    except LabError as problem:
        return Verified(
            False, caller, typed, f"the call could not be recorded: {problem}", "", call.edge
        )
    seen_so = stored.seen(case)
    crossed = seen_so is not None and crossed_as_foretold(call.edge, seen_so)
    proven = seen_so is not None and is_as_foretold(call.edge, seen_so)
    where = str(store.from_here(run))
    return Verified(proven, caller, typed, _saw(case, seen_so), where, call.edge, crossed)


def is_as_foretold(edge: Edge, seen_so: Observation) -> bool:
    """Return whether a call crossed, ended, and went, as its edge was walked."""
    return crossed_as_foretold(edge, seen_so) and calling.ended(edge, seen_so.record)


def crossed_as_foretold(edge: Edge, seen_so: Observation) -> bool:
    """Return whether a call crossed, and went, as its edge was walked."""
    return _crossed(edge, seen_so) and (
        seen.first_end(edge) in edge.to.ends or _went(edge, seen_so)
    )


def _crossed(edge: Edge, seen_so: Observation) -> bool:
    if edge.crossed == "none":  # its bytes were there, if it sends any, and stayed in the pod
        was_made = edge.sends == "nothing" or seen_so.left_client is True
        return seen_so.security == "none" and was_made
    if edge.crossed == "mutual_tls" and edge.way.outcome != "arrives":
        return _sent_as_tls(seen_so)  # a handshake that is refused names nobody
    if edge.crossed == "tls":
        return seen_so.security != "mutual_tls" and _sent_as_tls(seen_so)
    return edge.crossed == seen_so.security


def _sent_as_tls(seen_so: Observation) -> bool:
    """Return whether the client's side sent TLS; who speaks none answers that in plaintext."""
    shown = seen_so.wire.packets
    begins_with_hello = shown.first_bytes[:1] == bytes([tls.HANDSHAKE])
    answered_in_plaintext = begins_with_hello and not shown.marker_in_client
    security = seen_so.wire.security
    return security == "tls" or (security == "mixed" and answered_in_plaintext)


def _went(edge: Edge, seen_so: Observation) -> bool:
    """Return whether it went where it was foretold, of an end that was not asked or is unknown."""
    end, line = seen.first_end(edge), seen_so.client_line
    asked_ends_are_known = bool(edge.to.ends) and bool(end)
    if not asked_ends_are_known or not edge.caller.has_sidecar:
        return True
    return line is not None and str(line.get("upstream_host", "")).startswith(f"{end}:")


def _saw(case: Case, seen_so: Observation | None) -> str:
    if seen_so is None:
        return f"nothing can be concluded: {case.unseen(stored.NAME)}"
    crossed = SHOWS[seen_so.security]
    why = f" ({seen_so.wire.why})" if seen_so.security == "unknown" else ""
    return f"{crossed}{why}; {came_back(seen_so.record)}"
