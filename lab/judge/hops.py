"""A call as the hops that it makes: application, sidecar, pod to pod, sidecar, application.

Who stands at either end of a hop is derived from packets and logs. A sidecar that a call did not
pass has a hop nevertheless, which says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from lab.judge import pod_path
from lab.judge.case import Case
from lab.judge.observation import FINAL_HOP, Observation, Tap
from lab.packets.comments import client_hello
from lab.packets.pcap import Side
from lab.planes import Security

Part = Literal["application", "sidecar", "gateway"]


@dataclass(frozen=True)
class End:
    """Who stands at one end of a hop."""

    pod: str
    part: Part

    def __str__(self) -> str:
        return self.pod if self.part == "gateway" else f"{self.pod}'s {self.part}"


@dataclass(frozen=True)
class Hop:
    """One leg of a call's way, and how it was secured there."""

    sender: End
    receiver: End
    taps: tuple[Tap, ...]
    """Where its packets were recorded: one on a pod's loopback, two between pods."""
    security: Security
    why: str
    note: str = ""
    """What is told of the application's own TLS."""

    @property
    def between_pods(self) -> bool:
        return len(self.taps) > 1

    @property
    def tap(self) -> Tap:
        """The first that has the hop's connection; where none has it, the first."""
        return next((tap for tap in self.taps if tap.connection), self.taps[0])

    def way(self, side: Side) -> tuple[End, End]:
        """Return from whom to whom goes what one side of the connection sends."""
        ends = (self.sender, self.receiver)
        return ends if side == "client" else ends[::-1]

    @property
    def marker_count(self) -> int:
        """How often the call's marker is readable on this hop."""
        return self.tap.seen.packets.marker_count


def hops_of_call(case: Case, name: str) -> tuple[Hop, ...]:
    """Return the hops of a call in its direction; none where nothing can be seen of it."""
    taps = pod_path.taps(case, name)
    if not taps:
        return ()
    before = [tap for tap in taps[:1] if tap.interface == "lo"]
    after = [tap for tap in taps[-1:] if tap.interface == "lo"]
    middle = taps[len(before) : len(taps) - len(after)]
    pairs = [middle[i : i + 2] for i in range(0, len(middle), 2)]
    through = bool(case.calls[name].through)
    names = [name, name + FINAL_HOP] if through else [name]
    seen = [hop for hop in map(case.see, names) if hop]
    ends = [_sender(seen[0], before), *(End(hop.call.to, "gateway") for hop in seen)]
    if not through or len(seen) > 1:
        ends[-1] = _receiver(seen[-1], after)
    crossed = [
        Hop(sender, receiver, pair, hop.security, hop.wire.why)
        for sender, receiver, pair, hop in zip(ends, ends[1:], pairs, seen, strict=False)
    ]
    leaving = [_own(tap, "application", "sidecar") for tap in before]
    hops = [*leaving, *crossed, *(_handed_on(tap, ends[-1]) for tap in after)]
    return tuple(replace(hop, note=_note(hops, hop)) for hop in hops)


def _own(tap: Tap, sender: Part, receiver: Part) -> Hop:
    """Return the hop between an application and its own sidecar."""
    ends = End(tap.pod, sender), End(tap.pod, receiver)
    return Hop(*ends, (tap,), tap.seen.security, tap.seen.why)


def _handed_on(tap: Tap, reached: End) -> Hop:
    hop = _own(tap, "sidecar", "application")
    if reached == hop.receiver:
        return replace(hop, why=f"only the application's log has it: past {hop.sender}")
    return hop


def _sender(seen: Observation, before: Sequence[Tap]) -> End:
    """Return the application, where the pod has no sidecar or the call did not pass it.

    It did not where its own port is the one that is seen between the pods.
    """
    client, port = seen.wire.packets.client, seen.record.local_port
    past_it = bool(before) and before[0].connection is None and port and client.endswith(f":{port}")
    return End(seen.call.source, "sidecar" if before and not past_it else "application")


def _receiver(seen: Observation, after: Sequence[Tap]) -> End:
    """Return the application, where the pod has no sidecar or only the application logged it."""
    past_it = seen.server_line is None and seen.app_line is not None
    return End(seen.call.to, "sidecar" if after and not past_it else "application")


def _note(hops: Sequence[Hop], hop: Hop) -> str:
    """Return whose TLS a hop carries: an application's own hello is the same on every hop."""
    mine = client_hello(hop.tap.connection)
    between = [client_hello(one.tap.connection) for one in hops if one.between_pods]
    inside = [client_hello(one.tap.connection) for one in hops if not one.between_pods]
    if not mine:
        return ""
    if hop.between_pods and hop.sender.part == "application":
        return "spoken by the application itself"
    if hop.between_pods and mine in inside:
        return "the application's own TLS, not the mesh's"
    if hop.between_pods:
        return "the application's own TLS is inside it" if any(inside) else ""
    if mine in between:
        return "the application's own TLS, passed on as it is"
    return "the application's own TLS; between the pods it is inside the sidecars'"
