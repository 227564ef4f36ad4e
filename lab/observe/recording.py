"""Records one call over an edge as a failure's own calls are: packets, logs, counters."""

from __future__ import annotations

import dataclasses
import datetime
import re
import shlex
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from clusters import mesh
from clusters.base import Cluster, PodRef
from lab.common.errors import BadArguments
from lab.judge.case import Case
from lab.model import call_types, evidence
from lab.model.evidence import (
    CLOCK_SLACK,
    CallRecord,
    Evidence,
    PodRecord,
    ServiceRecord,
    WorldRecord,
    config_name,
)
from lab.model.scenario import Port, Service, World
from lab.observe import stored
from lab.observe.ends import Target
from lab.observe.stored import NAME, AskedCall
from lab.record import access_log, calls, envoy_admin, logs, world
from lab.record.captures import Captures
from lab.record.counters import Counters
from lab.record.dumps import Dumps
from lab.record.world import LiveWorld

T = TypeVar("T")
UNASKED = (
    "capturing packets of pods that are not the lab's needs an ephemeral container in each, which "
    "stays until the pod is deleted; allow it with --packets"
)
ANOTHER_LOG = "the mesh's access log is not in the lab's format: its lines cannot be read"
GENERATED = re.compile(r"-[a-z0-9]{5,10}-[a-z0-9]{5}$")
"""What a Deployment adds to its own name for a pod's."""
TLS, HTTP2 = ("https", "tls"), ("grpc", "http2")


def command(target: Target, typed: str) -> str:
    """Return the command for the caller's pod; if none is typed, a GET that any TCP port accepts.

    The marker that is looked for in packets is added where the program can carry one. Raises
    BadArguments for half a quote.
    """
    try:
        words = shlex.split(typed)
    except ValueError as wrong:
        raise BadArguments(f"--call {typed!r} cannot be read as a command: {wrong}") from None
    words = words or _get(target)
    if "{marker}" not in typed:
        words[1:1] = call_types.for_program(words[0]).marker
    return shlex.join(words)


def _get(target: Target) -> list[str]:
    secure = target.spoken in TLS
    how = ["--http2-prior-knowledge"] if target.spoken in HTTP2 else ["--http0.9"]
    how += ["-k"] if secure else []
    scheme = "https" if secure else "http"
    return ["curl", "-sS", *how, f"{scheme}://{target.host}:{target.port}/"]


def live_world(source: PodRef, target: Target) -> LiveWorld:
    """Return both ends as a world to record. Raises BadArguments for a pod that calls itself."""
    if any((pod.namespace, pod.name) == (source.namespace, source.name) for pod in target.pods):
        raise BadArguments(f"pod {source.name} would call itself: there is no edge between pods")
    ends = (source, *target.pods)
    short = [GENERATED.sub("", pod.name) for pod in ends]
    whole = [f"{pod.name}.{pod.namespace}" for pod in ends]
    pods = dict(zip(short if len({*short}) == len(short) else whole, ends, strict=True))
    port = Port("", target.port, target.target)
    service = Service(target.name, [*pods][1], (port,))
    told = World(NAME, "during", "one call", tuple(pods), (service,))
    address = target.address or target.pods[0].ip
    services = {target.name: ServiceRecord(address, {str(target.port): target.target})}
    return LiveWorld(told, target.namespace, pods=pods, services=services)


def _side_by_side(work: Callable[[str], T], names: Iterable[str]) -> dict[str, T]:
    names = [*names]
    with ThreadPoolExecutor(len(names) or 1) as pool:
        return dict(zip(names, pool.map(work, names), strict=True))


class Recording:
    """One call over one edge of a live cluster."""

    def __init__(self, cluster: Cluster, source: PodRef, target: Target, typed: str) -> None:
        """Prepare a call; typed: the command, or empty for a GET.

        Raises BadArguments for a command that cannot be read, and for a pod that calls itself.
        """
        self._cluster, self._target = cluster, target
        self._live = live_world(source, target)
        first, *self._there = self._live.pods
        wanted = command(target, typed)
        self._asked = AskedCall(first, self._there[0], target.name, target.port, wanted)

    def make(self, run: Path, *, packets: bool) -> Case:
        """Make the call once, write all that is recorded into a run's folder, and return the case.

        packets: whether they may be captured. Raises LabError where the cluster does not answer.
        """
        self.folder = run / NAME
        settings = mesh.read(self._cluster.kube)
        pods = _side_by_side(self._pod_record, self._live.pods)
        self._dumps = Dumps(self.folder)
        _side_by_side(self._keep_configuration, self._sidecars)
        captures = Captures(self._cluster, self._live, self.folder / "captures", "")
        record = self._call(captures, packets)
        _side_by_side(lambda name: self._keep_log(name, record), self._sidecars)
        problems = [] if access_log.has_our_fields(settings["config"]) else [ANOTHER_LOG]
        told = self._evidence(pods, captures, record, [*problems, *captures.problems])
        told = dataclasses.replace(told, mesh=settings)
        evidence.save(told, self.folder)
        return self._answered(told)

    @property
    def _sidecars(self) -> list[str]:
        return [name for name, pod in self._live.pods.items() if pod.has_sidecar]

    def _call(self, captures: Captures, packets: bool) -> CallRecord:
        if packets:
            captures.start()
        else:
            captures.refused.update(dict.fromkeys(self._live.pods, UNASKED))
        try:
            counters = Counters(self._cluster, self._live)
            return calls.make(
                self._asked.call, self._cluster, self._live, counters, counted=[*self._live.pods]
            )
        finally:
            captures.stop()

    def _pod_record(self, name: str) -> PodRecord:
        return world.pod_record(self._cluster, self._live.pods[name])

    def _keep_configuration(self, name: str) -> None:
        """Keep what istiod sent to a pod's proxy."""
        dump = envoy_admin.config_dump(self._cluster, self._live.pods[name])
        self._dumps.keep(config_name(NAME, name, "", ""), dump)

    def _keep_log(self, name: str, record: CallRecord) -> None:
        began = datetime.datetime.fromtimestamp(record.started - CLOCK_SLACK, datetime.UTC)
        since = began.isoformat(timespec="milliseconds")
        logs.keep_since(self._cluster, self._live, name, self.folder / "logs", since)

    def _evidence(
        self,
        pods: dict[str, PodRecord],
        captures: Captures,
        record: CallRecord,
        problems: list[str],
    ) -> Evidence:
        there = WorldRecord(
            name=NAME,
            namespace=self._live.namespace,
            mtls="",
            rule="",
            pods=pods,
            services=dict(self._live.services),
            captures=tuple(captures.records),
            uncaptured=captures.refused,
        )
        return Evidence(
            failure=NAME,
            run=self.folder.parent.name,
            recorded_at=datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            cluster=self._cluster.kind,
            stack=evidence.with_proxies(dataclasses.asdict(self._cluster.stack), pods.values()),
            parameters={},
            started={},
            worlds={NAME: there},
            calls=(record,),
            problems=tuple(problems),
            configurations=dict(self._dumps.names),
        )

    def _answered(self, told: Evidence) -> Case:
        """Return the case whose server is the pod that the call was seen to reach."""
        asked_each = [dataclasses.replace(self._asked, to=name) for name in self._there]
        cases = [stored.case(told, one, self.folder) for one in asked_each]
        number = next((n for n, case in enumerate(cases) if _reached_server(case)), 0)
        stored.save(asked_each[number], self.folder)
        return cases[number]


def _reached_server(case: Case) -> bool:
    seen = stored.seen(case)
    return seen is not None and (
        seen.server_line is not None or seen.wire.security not in ("none", "unknown")
    )
