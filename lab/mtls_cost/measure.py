"""Measures what mTLS costs on a running cluster: all variants in turn, round after round."""

from __future__ import annotations

import dataclasses
import datetime
import os
import platform
import random
import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from clusters import mesh
from clusters.base import Cluster
from clusters.stacks import binaries
from lab.common.errors import LabError, NeedsUnmet
from lab.mtls_cost import crossing, edges, load, meter
from lab.mtls_cost.load import Told
from lab.mtls_cost.measurement import AT_ONCE, Crossed, Measurement, Sample
from lab.mtls_cost.meter import Metered, Reading
from lab.mtls_cost.variants import CONNECTIONS, LOADS, Measured, measured
from lab.record import envoy_admin, mesh_lock, readiness, world
from lab.record.world import LiveWorld

OFFERED_BY = "embedded"
"""The kind of cluster whose images have fortio."""
NAME = "mtls_cost"
BELOW_HIGHEST = 0.4
"""Of the highest rate of the slowest variant: what is asked of all."""
MOST = 1000.0
"""Requests a second: more is not asked, even where the slowest variant could do it."""
HIGHEST_SECONDS = 2.0
IDLE_SECONDS = 2
STARTS = 3
"""Loads of which the median is what a load takes to start."""
REACHED = 0.98
"""Of the asked rate; a sample with less does not count."""
HANDSHAKES = "listener.0.0.0.0_15006.ssl.(handshake|session_reused)"

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Settings:
    """How much is measured: rounds times samples times seconds, and a little more."""

    rounds: int = 10
    seconds: float = 3.0
    seed: int = 0
    """Of the order of the variants in each round."""


def measure(cluster: Cluster, folder: Path, settings: Settings, tell: Tell) -> Measurement:
    """Measure on a cluster that is up. Nothing else should run on this machine meanwhile.

    folder: of the run; captures of a few requests of each variant are kept there.
    Raises NeedsUnmet on a kind of cluster that offers no fortio, and LabError where a variant's
    packets are not what it is called.
    """
    if cluster.kind != OFFERED_BY:
        raise NeedsUnmet(
            f"the load is made by fortio, which only {OFFERED_BY} offers, and not {cluster.kind}",
            hint=f"istio-lab cost run --cluster {OFFERED_BY}",
        )
    binaries.build(binaries.source("fortio"), tell)
    label = folder.name.lower()
    with mesh_lock.marked(cluster.lock, label, lambda dead: world.remove(cluster, dead)):
        lock = mesh_lock.MeshLock(cluster.lock)
        lock.share()
        try:
            live = _deployed(cluster, label)
            return _Bench(cluster, live, folder, settings, tell).measure()
        finally:
            lock.release()
            world.remove(cluster, label)


def _deployed(cluster: Cluster, label: str) -> LiveWorld:
    live = world.deploy(cluster, edges.world(), label, NAME, mesh.read(cluster.kube))
    readiness.wait_ready(cluster, live)
    problem = readiness.wait_active(cluster, live)
    if problem:
        raise LabError(problem)
    return live


@dataclass(frozen=True)
class _Spent:
    """What one load took."""

    told: Told
    cpu: Mapping[str, float]
    """Part -> CPU seconds."""
    sent: int
    """Bytes of frames that left the server's pod."""
    received: int


class _Bench:
    """The deployed edge, on which one sample is taken after the other."""

    def __init__(
        self, cluster: Cluster, live: LiveWorld, folder: Path, settings: Settings, tell: Tell
    ) -> None:
        self._cluster, self._live, self._folder = cluster, live, folder
        self._settings, self._tell = settings, tell
        self._starts: dict[str, dict[str, float]] = {}

    def measure(self) -> Measurement:
        crossed = {one.key: self._crossed(one) for one in measured()}
        self._tell("each variant's packets are what it is called")
        highest = {one.key: self._highest(one) for one in measured()}
        rates = asked(highest)
        said = ", ".join(f"{name} {rate:g}" for name, rate in rates.items())
        self._tell(f"requests a second that are asked of each variant: {said}")
        idle = {sidecars: self._idle(sidecars) for sidecars in (True, False)}
        for one in measured():
            self._starts[one.key] = self._start(one, idle[one.variant.sidecars])
        about = self._about()
        samples = []
        for number in range(self._settings.rounds):
            samples += self._round(number, rates)
            self._tell(f"round {number + 1} of {self._settings.rounds}")
        return Measurement(about, highest, rates, self._starts, crossed, samples)

    def _crossed(self, one: Measured) -> Crossed:
        pod = self._live.pods[edges.SERVERS[one.variant.sidecars]]
        path = self._folder / "captures" / f"{one.key.replace('/', '-')}.pcap"
        with crossing.captured(self._cluster, pod, one.port, path):
            self._load(one, rate=0, count=AT_ONCE)
        return crossing.expected(one, crossing.read(path))

    def _highest(self, one: Measured) -> float:
        told = self._load(one, rate=0, seconds=HIGHEST_SECONDS)
        if told.failed:
            raise LabError(f"{one.key}: {told.failed} of {told.requests} requests failed")
        return told.achieved

    def _round(self, number: int, rates: Mapping[str, float]) -> list[Sample]:
        order = [*measured()]
        random.Random(f"{self._settings.seed}/{number}").shuffle(order)
        idle = {sidecars: self._idle(sidecars) for sidecars in (True, False)}
        return [
            self._sample(number, one, rates[one.load.name], idle[one.variant.sidecars])
            for one in order
        ]

    def _idle(self, sidecars: bool) -> dict[str, float]:
        client = self._live.pods[edges.CLIENTS[sidecars]]
        return meter.idle(
            lambda: self._read(sidecars),
            lambda: self._cluster.exec(client, ["sleep", str(IDLE_SECONDS)]),
        )

    def _start(self, one: Measured, idle: Mapping[str, float]) -> dict[str, float]:
        """Return the CPU seconds of each part for a load of one request on each connection."""
        spent = [self._spend(one, idle, rate=0, count=AT_ONCE).cpu for _ in range(STARTS)]
        return {
            part: round(statistics.median(each[part] for each in spent), 4) for part in spent[0]
        }

    def _sample(self, number: int, one: Measured, rate: float, idle: Mapping[str, float]) -> Sample:
        counted = self._handshakes(one)
        spent = self._spend(one, idle, rate=rate, seconds=self._settings.seconds)
        completed, resumed = (b - a for a, b in zip(counted, self._handshakes(one), strict=True))
        return Sample(
            number,
            one.key,
            rate,
            spent.told.achieved,
            spent.told.requests,
            {
                part: round(used - self._starts[one.key][part], 4)
                for part, used in spent.cpu.items()
            },
            {name: round(value, 7) for name, value in spent.told.latency.items()},
            spent.sent,
            spent.received,
            completed,
            resumed,
            _dropped(spent.told, rate),
        )

    def _spend(
        self,
        one: Measured,
        idle: Mapping[str, float],
        *,
        rate: float,
        seconds: float = 0,
        count: int = 0,
    ) -> _Spent:
        """Send a load, and return what it took."""
        before = self._read(one.variant.sidecars)
        told = self._load(one, rate=rate, seconds=seconds, count=count)
        after = self._read(one.variant.sidecars)
        cpu = {"client": told.cpu, **meter.used(before, after, idle)}
        first, last = before["server"], after["server"]  # its pod's frames are all of this load
        return _Spent(told, cpu, last.sent - first.sent, last.received - first.received)

    def _load(self, one: Measured, *, rate: float, seconds: float = 0, count: int = 0) -> Told:
        client = self._live.pods[edges.CLIENTS[one.variant.sidecars]]
        argv = load.command(one, rate=rate, seconds=seconds, count=count)
        return load.read(self._cluster.exec(client, argv, timeout=seconds + 30).stdout)

    def _read(self, sidecars: bool) -> dict[str, Reading]:
        client, server = (self._live.pods[one[sidecars]] for one in (edges.CLIENTS, edges.SERVERS))
        parts = {"server": Metered(server, server.containers[0], "fortio")}
        if sidecars:
            parts["client's sidecar"] = Metered(client, "istio-proxy", "envoy")
            parts["server's sidecar"] = Metered(server, "istio-proxy", "envoy")
        return meter.read(self._cluster, parts)

    def _handshakes(self, one: Measured) -> tuple[int, int]:
        """Return how many the server's sidecar has completed, and how many of them resumed one."""
        if one.load != CONNECTIONS or not one.variant.mutual:
            return 0, 0
        pod = self._live.pods[edges.SERVERS[True]]
        counted = envoy_admin.stats(self._cluster, pod, HANDSHAKES)
        of = {name.rpartition(".")[2]: number for name, number in counted.items()}
        return of.get("handshake", 0), of.get("session_reused", 0)

    def _about(self) -> dict[str, object]:
        now = datetime.datetime.now(datetime.UTC)
        return {
            "measured_at": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "cluster": self._cluster.kind,
            "stack": dataclasses.asdict(self._cluster.stack),
            "cores": os.cpu_count(),
            "kernel": platform.release(),
            "keys": crossing.keys(self._cluster, self._live.pods[edges.SERVERS[True]]),
            "connections": AT_ONCE,
            "payload": load.PAYLOAD,
            **dataclasses.asdict(self._settings),
        }


def asked(highest: Mapping[str, float]) -> dict[str, float]:
    """Return load -> the rate that is asked of each of its variants.

    highest: key -> requests a second that were reached.
    """
    slowest = {
        one.name: min(highest[each.key] for each in measured() if each.load == one) for one in LOADS
    }
    each = {name: min(BELOW_HIGHEST * rate, MOST) for name, rate in slowest.items()}
    return {name: float(int(rate / 10) * 10) for name, rate in each.items()}


def _dropped(told: Told, rate: float) -> str:
    if told.failed:
        return f"{told.failed} of {told.requests} requests failed"
    if told.achieved < REACHED * rate:
        return f"{told.achieved:.0f} of {rate:.0f} requests a second were reached"
    return ""
