"""Measures the lab on this machine and writes benchmarks/results.json and README.md's table.

    .venv/bin/python benchmarks/measure.py first_mtls memory judge reproduce
    .venv/bin/python benchmarks/measure.py time cold -- make reproduce      (any command)

Nothing is asserted: machines are noisy. Every number in prose comes from here.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import kind

from clusters import mesh
from clusters.embedded import host
from clusters.embedded.cluster import Embedded
from lab import failures
from lab.common import files
from lab.common.wait import until
from lab.model import store
from lab.model.parameters import parameters_of
from lab.model.scenario import Port, Service, World
from lab.record import live_run
from lab.record.captures import Captures
from lab.record.readiness import wait_active, wait_ready
from lab.record.world import deploy

HERE = Path(__file__).parent
RESULTS = HERE / "results.json"
ROUNDS = 5
HTTPBIN = (("client", "httpbin"), (Service("httpbin", "httpbin", (Port("http", 8000, 8080),)),))
CALLS = 100
"""Requests of one round."""
WHAT = {
    "up": ("`lab up`, binaries cached", "8 s"),
    "first_mtls": ("nothing, binaries cached, to the first request under STRICT mTLS", "10 s"),
    "reproduce": ("`make reproduce`, cached", "40 s"),
    "judge": ("judging all stored runs", "2 s"),
    "report": ("the page of all failures, with their notebooks", "10 s"),
    "capture": ("recording packets, of the time that all failures take on a cluster", "10 %"),
    "memory": ("control plane and four sidecars, PSS", "1.3 GB"),
    "cold": ("empty caches to the table", "15 min"),
    "test": ("`make test`, cached, by an ordinary user, without kind", "8 min"),
    "test_kind": ("`make test`, cached, by root, on kind too", "20 min"),
    "test_fast": ("`make test-fast`", "60 s"),
    "test_long": ("`make test-long`, beside other work", ""),
    "ci": ("`.ci/run`, empty caches", "75 min"),
    "kind_1": ("kind: nothing, images built, to the pods of all four failures, one node", "60 s"),
    "kind_3": ("the same on three nodes", "100 s"),
    "mtls_cost": ("a request with no TLS, mTLS, the service's own TLS, and that inside mTLS", ""),
}


def up() -> dict[str, object]:
    """Seconds until Kubernetes and Istio answer."""
    seconds = []
    for _ in range(ROUNDS):
        cluster = Embedded(f"bench-{os.getpid()}")
        began = time.monotonic()
        cluster.up(lambda _step: None, owned=True)
        seconds.append(round(time.monotonic() - began, 2))
        cluster.down()
    return {"seconds": seconds}


def first_mtls() -> dict[str, object]:
    """Seconds from nothing to an answered request that only mutual TLS can have carried."""
    seconds = [_first_mtls(lambda _cluster: None) for _ in range(ROUNDS)]
    return {"seconds": [round(s, 2) for s in seconds]}


def _first_mtls(then: Callable[[Embedded], None]) -> float:
    cluster = Embedded(f"bench-{os.getpid()}")
    began = time.monotonic()
    cluster.up(lambda _step: None, owned=True)
    try:
        world = World("posted", "during", "", *HTTPBIN, "STRICT", "ISTIO_MUTUAL")
        live = deploy(cluster, world, "bench", "bench", mesh.read(cluster.kube))
        wait_ready(cluster, live)
        argv = ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "http://httpbin:8000/get"]
        until(
            lambda: cluster.exec(live.pods["client"], argv).stdout == b"200",
            "an answer",
            timeout=30,
            every=0.05,
        )
        took = time.monotonic() - began
        then(cluster)
        return took
    finally:
        cluster.down()


def memory() -> dict[str, object]:
    """Bytes (PSS) of every process of a cluster with four sidecars, by program."""
    found: dict[str, int] = {}

    def weigh(cluster: Embedded) -> None:
        world = World("plain", "before", "", *HTTPBIN, "DISABLE", "DISABLE")
        wait_ready(cluster, deploy(cluster, world, "bench", "bench", mesh.read(cluster.kube)))
        first = host.first_pid(cluster.state)
        assert first
        namespace = Path(f"/proc/{host.children(first)[0]}/ns/pid").readlink()
        for entry in Path("/proc").glob("[0-9]*"):
            if _namespace_of(entry, namespace):
                name = (entry / "comm").read_text().strip()
                found[name] = found.get(name, 0) + _pss(entry)

    _first_mtls(weigh)
    ordered = dict(sorted(found.items(), key=lambda item: -item[1]))
    shares = {name: size // 10**6 for name, size in ordered.items() if size > 10**6}
    return {"megabytes": sum(found.values()) // 10**6, "of": shares}


def _namespace_of(entry: Path, wanted: Path) -> bool:
    """In the cluster's pid namespace, or in a container's inside it."""
    try:
        status = (entry / "status").read_text()
        inside = len(re.findall(r"\d+", re.search(r"NSpid:(.*)", status)[1])) > 1
        return inside or (entry / "ns/pid").readlink() == wanted
    except (OSError, TypeError):
        return False


def _pss(entry: Path) -> int:
    text = (entry / "smaps_rollup").read_text()
    return int(re.search(r"^Pss:\s+(\d+) kB", text, re.MULTILINE)[1]) * 1024


def reproduce() -> dict[str, object]:
    """Seconds of `make reproduce` with no cluster up."""
    return {"seconds": [_timed(["make", "reproduce"]) for _ in range(3)]}


def judge() -> dict[str, object]:
    """Seconds to judge every stored run, and how many there were."""
    argv = [sys.executable, "-m", "lab", "judge"]
    return {"seconds": [_timed(argv) for _ in range(ROUNDS)], "runs": len(store.stored())}


def report() -> dict[str, object]:
    """Seconds of the page of what is recorded."""
    argv = [sys.executable, "-m", "lab", "report", "recorded"]
    return {"seconds": [_timed(argv) for _ in range(ROUNDS)]}


class _Uncaptured(Captures):
    """No interface is recorded."""

    def start(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)


def capture() -> dict[str, object]:
    """Seconds of all failures, side by side, with and without captures, in turn."""
    found: dict[str, list[float]] = {"with": [], "without": []}
    cluster = Embedded(f"bench-{os.getpid()}")
    cluster.up(lambda _step: None, owned=True)
    try:
        _all_failures(cluster)  # what is slower the first time is nobody's
        for _ in range(ROUNDS):
            for how, kind_of in (("with", Captures), ("without", _Uncaptured)):
                live_run.Captures = kind_of
                found[how].append(_all_failures(cluster))
    finally:
        live_run.Captures = Captures
        cluster.down()
    pairs = zip(found["with"], found["without"], strict=True)
    return {**found, "percent": round(statistics.median(100 * (a / b - 1) for a, b in pairs), 1)}


def _all_failures(cluster: Embedded) -> float:
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        runs = [_live(cluster, name, Path(folder)) for name in failures.names()]
        with ThreadPoolExecutor(len(runs)) as pool:
            list(pool.map(_through, runs))
    return round(time.monotonic() - began, 2)


def _live(cluster: Embedded, name: str, folder: Path) -> live_run.LiveRun:
    failure = failures.load(name)
    values = parameters_of(failure, {})
    place = folder / f"bench-{secrets.token_hex(2)}" / name
    return live_run.LiveRun(failure, cluster, place, values, lambda _line: None)


def _through(one: live_run.LiveRun) -> None:
    try:
        for step in (one.open, one.before, one.during, one.after, one.remedies):
            step()
    finally:
        one.close()


def mtls_cost() -> dict[str, object]:
    """Milliseconds (median) of one request and its answer, in four ways, in turn, in one run.

    B ends each connection. Over a port named http- the sidecars keep theirs nevertheless; over
    one named tcp- each request has connections and handshakes of its own, all the way.
    """
    b = Service("b", "b", (Port("http-b", 8443, 8440),))
    own = Service("b-tcp", "b", (Port("tcp-b", 8445, 8444),))
    modes = {"plain": ("DISABLE", "DISABLE"), "posted": ("STRICT", "ISTIO_MUTUAL")}
    ways = {
        "none": ("plain", "", "http://b:8443"),
        "mtls": ("posted", "", "http://b:8443"),
        "own TLS": ("plain", "--cacert /etc/own-tls/ca.pem", "https://b-tcp:8445"),
        "own TLS in mTLS": ("posted", "--cacert /etc/own-tls/ca.pem", "https://b-tcp:8445"),
    }
    found: dict[str, list[float]] = {way: [] for way in ways}
    cluster = Embedded(f"bench-{os.getpid()}")
    cluster.up(lambda _step: None, owned=True)
    try:
        live = {
            name: deploy(
                cluster,
                World(name, "during", "", ("a", "b"), (b, own), *mode),
                name,
                name,
                mesh.read(cluster.kube),
            )
            for name, mode in modes.items()
        }
        for one in live.values():
            wait_ready(cluster, one)
            wait_active(cluster, one)
        for _ in range(ROUNDS):
            for way, (world, flags, url) in ways.items():
                argv = ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}:%{time_total}\\n"]
                argv += [*flags.split(), f"{url}/[1-{CALLS}]"]
                done = cluster.exec(live[world].pods["a"], argv, timeout=120)
                told = [line.split(":") for line in done.stdout.decode().split()]
                # B's own answer to who shows no certificate: it is the same in all four ways.
                assert [code for code, _ in told] == ["400"] * CALLS
                found[way] += [float(seconds) * 1000 for _, seconds in told]
    finally:
        cluster.down()
    return {"milliseconds": {way: round(statistics.median(ms), 2) for way, ms in found.items()}}


def kind_1() -> dict[str, object]:
    """Seconds until a kind cluster of one node, Istio and every failure's pods are ready."""
    return kind.ready(1)


def kind_3() -> dict[str, object]:
    """The same on three nodes."""
    return kind.ready(3)


def _timed(argv: list[str]) -> float:
    began = time.monotonic()
    done = subprocess.run(argv, cwd=store.ROOT, stdout=subprocess.DEVNULL)
    if done.returncode not in (0, 3):
        sys.exit(f"{' '.join(argv)} ended with {done.returncode}")
    return round(time.monotonic() - began, 2)


def machine() -> str:
    """Cores, memory and kernel, without names."""
    kilobytes = int(re.search(r"MemTotal:\s+(\d+)", Path("/proc/meminfo").read_text())[1])
    kernel = os.uname().release.split("-")[0]
    return f"{os.cpu_count()} cores, {kilobytes / 2**20:.0f} GiB, Linux {kernel}"


def readme(results: dict[str, dict[str, object]]) -> str:
    """The table of what was measured."""
    lines = ["| what | measured | goal |\n|---|---|---|\n"]
    for name, (what, goal) in WHAT.items():
        found = results.get(name)
        if found:
            lines.append(f"| {what} | {_said(found)} | {goal} |\n")
    head = (HERE / "README.md").read_text().partition("<!-- results -->")[0]
    return f"{head}<!-- results -->\n{''.join(lines)}"


def _said(found: dict[str, object]) -> str:
    if "milliseconds" in found:
        ways: dict[str, float] = found["milliseconds"]
        ordered = sorted(ways.items(), key=lambda way: way[1])
        told = ", ".join(f"{way} {ms} ms ({ms / ways['none']:.1f}x)" for way, ms in ordered)
        return f"{told}; {found['machine']}, {found['date']}"
    if "percent" in found:
        return f"{found['percent']} %; {found['machine']}, {found['date']}"
    text = f"{found['megabytes']} MB" if "megabytes" in found else _seconds(found["seconds"])
    runs = f" ({found['runs']} runs)" if "runs" in found else ""
    return f"{text}{runs}; {found['machine']}, {found['date']}"


def _seconds(seconds: object) -> str:
    assert isinstance(seconds, list)
    middle = statistics.median(seconds)
    shown = f"{middle / 60:.1f} min" if middle > 120 else f"{middle:.1f} s"
    if len(seconds) == 1:
        return shown
    return f"{shown} (median of {len(seconds)}, {min(seconds)} to {max(seconds)})"


def main(argv: list[str]) -> int:
    """Measure what is named, and write both files."""
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    if argv[:1] == ["time"]:
        measured = {argv[1]: {"seconds": [_timed(argv[argv.index("--") + 1 :])]}}
    else:
        known = {
            f.__name__: f
            for f in (
                up,
                first_mtls,
                memory,
                judge,
                report,
                capture,
                reproduce,
                kind_1,
                kind_3,
                mtls_cost,
            )
        }
        measured = {name: known[name]() for name in argv or known}
    for name, found in measured.items():
        results[name] = {**found, "machine": machine(), "date": time.strftime("%Y-%m-%d")}
        print(name, json.dumps(results[name]))
    files.write_json(RESULTS, results)
    files.write_text(HERE / "README.md", readme(results))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
