"""Evidence: what was recorded, as one versioned JSON file with its captures and logs beside it.

Nothing in it is a conclusion. `lab.judge.verdict` reads the same files again, offline.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lab.common import decode, untrusted
from lab.common.errors import BadEvidence
from lab.common.files import write_text

SCHEMA = 3
ALL_CAPTURES = 32 << 20
"""Most that the captures of one failure may take together, bytes: all are kept in memory."""
_STACK = ("kubernetes", "istio", "envoy", "flavour")


@dataclass(frozen=True)
class PodRecord:
    """One pod of a world."""

    name: str
    ip: str
    sidecar: bool
    envoy_version: str = ""
    envoy_started: float = 0.0
    """Unix seconds; from the proxy's own uptime."""
    certificate: dict[str, str] = field(default_factory=dict)
    """The workload certificate the proxy uses: spiffe, issuer, serial, valid_from, expires."""
    rejected: int = -1
    """Configuration updates that this proxy refused; -1: not known."""
    unknown_fields: int = -1
    node: str = ""
    """Empty in evidence from before it was recorded."""
    flavour: str = ""
    """`stock` or `istio`, as `clusters.base.Stack` has it."""
    node_type: str = ""
    """Of its proxy: `sidecar`, or `router` of a gateway's."""


@dataclass(frozen=True)
class CaptureRecord:
    """Packets of one interface of one pod, during one act."""

    pod: str
    interface: str
    act: str
    file: str
    packets: int
    dropped: int
    sha256: str


@dataclass(frozen=True)
class ServiceRecord:
    """A Service as the API server holds it."""

    cluster_ip: str
    targets: dict[str, int]
    """Service port -> target port."""


@dataclass(frozen=True)
class ToolRecord:
    """What a tool of Istio's own said of a world."""

    typed: str
    """As a person would type it."""
    said: tuple[str, ...]
    """Its output, line by line."""


@dataclass(frozen=True)
class WorldRecord:
    """One world as it was: where, under which policy, with which pods and captures."""

    name: str
    namespace: str
    mtls: str
    rule: str
    pods: dict[str, PodRecord]
    services: dict[str, ServiceRecord]
    captures: tuple[CaptureRecord, ...]
    secrets: tuple[str, ...] = ()
    """Names of Secrets in the namespace: certificates that somebody would have to manage."""

    uncaptured: dict[str, str] = field(default_factory=dict)
    """Pod -> in whose words its packets may not be recorded; the wire is unknown there."""

    private: bool = False
    """Whether proxies of other namespaces were not told of its Services (exportTo)."""

    tools: tuple[ToolRecord, ...] = ()
    """Where istioctl was asked: what it said of the namespace, and of each pod that is called."""

    def capture(self, pod: str, interface: str, act: str) -> CaptureRecord | None:
        wanted = (pod, interface, act)
        found = (c for c in self.captures if (c.pod, c.interface, c.act) == wanted)
        return next(found, None)


@dataclass(frozen=True)
class CallRecord:
    """One call as it was made, and what came back."""

    name: str
    world: str
    typed: str
    """As a person would type it."""
    marker: str
    request_id: str
    started: float
    ended: float
    code: int
    outcome: str
    """answered, reset, closed, hang, refused, not_tls, tls_..., or error."""
    act: str = ""
    """Empty for the failure's own calls; `remedies` or `mesh` for those that try remedies."""
    step: str = ""
    target: int = 0
    """Target port, at that time, of the Service port that was asked."""
    since: float = 0.0
    """When the configuration of its step was seen active, Unix seconds."""
    status: int = 0
    local_port: int = 0
    received: str = ""
    error: str = ""
    lost: str = ""
    """Why there is no answer to speak of; a lost call is no evidence."""
    facts: dict[str, Any] = field(default_factory=dict)
    """What only this kind of call tells: alert, issuer shown, ..."""
    counters: dict[str, dict[str, int]] = field(default_factory=dict)
    """Workload -> how much its proxy's counters of connections and handshakes rose meanwhile;
    one that has no sidecar is not in it."""
    clock: float = 0.0
    clock_after: float = 0.0
    """What the wall clock was ahead of the monotonic one before the call and after it, seconds
    (lab/clock.py); 0: not recorded."""


@dataclass(frozen=True)
class Evidence:
    """Everything that was recorded of one failure in one run."""

    failure: str
    run: str
    recorded_at: str
    cluster: str
    stack: dict[str, str]
    parameters: dict[str, str]
    started: dict[str, float]
    """When the control plane's processes were started, Unix seconds."""
    worlds: dict[str, WorldRecord]
    calls: tuple[CallRecord, ...]
    problems: tuple[str, ...] = ()
    """What went wrong while recording; each makes what depends on it inconclusive."""
    untried: dict[str, str] = field(default_factory=dict)
    """Remedy -> why it could not be tried as it must be."""
    trouble: str = ""
    """What was wrong with the cluster itself: nothing may be concluded, and this says why."""
    skipped: dict[str, str] = field(default_factory=dict)
    """Remedy -> why it is not for this kind of cluster."""
    mesh: dict[str, Any] = field(default_factory=dict)
    """The mesh's settings before anything was deployed (clusters/mesh.py); empty: not recorded."""
    configurations: dict[str, str] = field(default_factory=dict)
    """`config_name` of a proxy -> the file with all that it held then; proxies that held the same
    share one. Empty in evidence from before it was kept, which has a part of it in each file."""
    schema: int = SCHEMA

    def call(self, name: str) -> CallRecord | None:
        return next((call for call in self.calls if call.name == name), None)


def with_proxies(stack: dict[str, str], pods: Iterable[PodRecord]) -> dict[str, str]:
    """Return the stack with what only proxies know; of an existing cluster nobody else tells it."""
    found = {**stack}
    for pod in (one for one in pods if one.sidecar):
        found["envoy"] = found["envoy"] or pod.envoy_version
        found["flavour"] = found["flavour"] or pod.flavour
    return found


def save(evidence: Evidence, folder: Path) -> None:
    """Write evidence.json, atomically and without secrets."""
    text = json.dumps(dataclasses.asdict(evidence), indent=1, sort_keys=True)
    write_text(folder / "evidence.json", text + "\n")


def load(folder: Path) -> Evidence:
    """Read evidence.json. Raises BadEvidence: what is wrong, and where."""
    path = folder / "evidence.json"
    data = untrusted.read_json(path, folder)
    if not isinstance(data, dict) or data.get("schema") != SCHEMA:
        found = data.get("schema") if isinstance(data, dict) else None
        raise BadEvidence(f"{path} has schema {str(found)[:60]}, this lab reads {SCHEMA}")
    try:
        evidence: Evidence = decode.build(Evidence, data, "evidence")
        _fits_together(evidence)
        _can_be_held(evidence, folder)
    except BadEvidence as wrong:
        raise BadEvidence(f"{path} does not hold what schema {SCHEMA} says: {wrong}") from None
    return evidence


def _fits_together(evidence: Evidence) -> None:
    """Check that what is said twice is said alike, and that what is named is there."""
    for name in _STACK:
        if name not in evidence.stack:
            raise BadEvidence(f"the stack has no {name}")
    for key, world in evidence.worlds.items():
        if key != world.name:
            raise BadEvidence(f"world {key!r} calls itself {world.name!r}")
    for call in evidence.calls:
        if call.world not in evidence.worlds:
            raise BadEvidence(f"call {call.name!r} is of world {call.world!r}, which is not there")


def _can_be_held(evidence: Evidence, folder: Path) -> None:
    """Check that captures lie in the folder, and are not too many to be read together."""
    total = 0
    for world in evidence.worlds.values():
        for capture in world.captures:
            path = folder / capture.file
            untrusted.require_inside(path, folder)
            total += untrusted.size(path)
    if total > ALL_CAPTURES:
        raise BadEvidence(f"its captures are larger than {ALL_CAPTURES >> 20} MiB together")


def digest(path: Path, within: Path) -> str:
    """Return the sha256 of a file, in hex. Raises BadEvidence where it cannot be read."""
    return hashlib.sha256(untrusted.read_bytes(path, within)).hexdigest()


CLOCK_SLACK = 0.005
"""Seconds around a call in which its SYN may lie, where its port is not known. Calls and packets
are stamped by one clock, and the call before may have ended a few milliseconds earlier."""


def config_name(world: str, pod: str, act: str, step: str) -> str:
    """Return the name of a proxy's configuration; a step before any change has the first one."""
    changed = f"-{act}-{step}" if act and step != "broken" else ""
    return f"{world}-{pod}{changed}.json"
