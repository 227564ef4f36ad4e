"""The lab beside what one would use instead, in turn, in one run: figures that are ratios.

    .venv/bin/python benchmarks/pairs.py            writes pairs.json, pairs.svg and README's table

Both of a pair do the same work on this machine at the same time of day. A kind cluster with all
images in its node is the kindest that can be said of the alternative: no image is pulled.
"""

from __future__ import annotations

import io
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import measure

from clusters import mesh
from clusters.base import OwnCluster, PodRef
from clusters.embedded.cluster import Embedded
from clusters.kind.cluster import Kind
from lab import failures
from lab.common import files
from lab.model import store
from lab.model.scenario import World
from lab.packets import pcap
from lab.record.readiness import wait_ready
from lab.record.world import deploy

HERE = Path(__file__).parent
CAPTURES = sorted((store.RECORDED / "rest_mtls" / "captures").glob("*.pcap"))
README = HERE / "README.md"
BEGIN, END = "<!-- pairs -->\n", "<!-- end of pairs -->\n"
NAME = f"pair-{os.getpid()}"
CALLS = 20
"""Commands of one round."""


def up(cluster: OwnCluster) -> float:
    """Seconds until Kubernetes and Istio answer; the cluster is ended again."""
    began = time.monotonic()
    cluster.up(lambda _step: None, owned=True)
    took = time.monotonic() - began
    cluster.down()
    return took


def starts() -> dict[str, list[float]]:
    """A mesh from nothing, with everything built."""
    found: dict[str, list[float]] = {"lab": [], "instead": []}
    for _ in range(3):
        found["lab"].append(up(Embedded(NAME)))
        found["instead"].append(up(Kind(NAME)))
    return found


def commands() -> dict[str, list[float]]:
    """A command in a pod, and its answer."""
    found: dict[str, list[float]] = {"lab": [], "instead": []}
    embedded, kind = Embedded(NAME), Kind(NAME)
    try:
        ours, theirs = _client(embedded), _client(kind)
        kubectl = [str(kind.bin / "kubectl"), f"--kubeconfig={kind.kubeconfig}", "exec"]
        kubectl += [theirs.name, f"--namespace={theirs.namespace}", "--", "true"]
        for _ in range(CALLS):
            found["lab"].append(_timed(lambda: embedded.exec(ours, ["true"])))
            found["instead"].append(_timed(lambda: subprocess.run(kubectl, check=True)))
    finally:
        embedded.down()
        kind.down()
    return found


def _client(cluster: OwnCluster) -> PodRef:
    cluster.up(lambda _step: None, owned=True)
    world = World("plain", "before", "", ("client",), ())
    live = deploy(cluster, world, "bench", "bench", mesh.read(cluster.kube))
    wait_ready(cluster, live)
    return live.pods["client"]


def notebooks() -> dict[str, list[float]]:
    """All failures on a cluster that is up: at once, and one after the other."""
    found: dict[str, list[float]] = {"lab": [], "instead": []}
    cluster = Embedded(NAME)
    cluster.up(lambda _step: None, owned=True)
    environment = {**os.environ, "LAB_CLUSTER_NAME": NAME}
    run = [sys.executable, "-m", "lab", "run"]

    def reproduce(*names: str) -> None:
        argv = [*run, *names]
        subprocess.run(argv, env=environment, check=True, stdout=subprocess.DEVNULL)

    try:
        for _ in range(2):
            found["lab"].append(_timed(reproduce))
            found["instead"].append(_timed(lambda: [reproduce(name) for name in failures.names()]))
    finally:
        cluster.down()
    return found


def captures() -> dict[str, list[float]]:
    """A failure's captures read into connections and their bytes, each file once."""
    found: dict[str, list[float]] = {"lab": [], "instead": []}
    fields = ["-T", "fields", "-e", "tcp.stream", "-e", "tcp.payload"]

    def ours() -> None:
        for path in CAPTURES:
            for connection in pcap.connections(list(pcap.read(path))):
                connection.sent("client"), connection.sent("server")

    def tshark() -> None:
        for path in CAPTURES:
            subprocess.run(["tshark", "-r", str(path), *fields], capture_output=True, check=True)

    for _ in range(5):
        found["lab"].append(_timed(ours))
        found["instead"].append(_timed(tshark))
    return found


def _timed(work: Callable[[], object]) -> float:
    began = time.monotonic()
    work()
    return time.monotonic() - began


PAIRS: dict[str, tuple[Callable[[], dict[str, list[float]]], str, str]] = {
    "a mesh, from nothing": (starts, "embedded cluster", "kind and istioctl install"),
    "a command in a pod": (commands, "the cluster's own channel", "kubectl exec on kind"),
    "four failures": (notebooks, "notebooks side by side", "one after the other"),
    "a failure's captures read": (captures, "lab/packets.py", "tshark"),
}


def measured(what: str) -> dict[str, Any]:
    """Both sides' seconds of every round, and the median of the rounds' ratios."""
    measure_both, ours, instead = PAIRS[what]
    seconds = measure_both()
    ratios = [b / a for a, b in zip(seconds["lab"], seconds["instead"], strict=True)]
    rounds = {side: [round(one, 4) for one in taken] for side, taken in seconds.items()}
    ratio = round(statistics.median(ratios), 1)
    return {"ours": ours, "instead": instead, "seconds": rounds, "ratio": ratio}


def figure(pairs: dict[str, dict[str, Any]], told: str) -> str:
    """A row for each pair: both medians on one line of seconds, their ratio beside them."""
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    settings: Any = {"svg.hashsalt": "lab", "svg.fonttype": "none", "font.family": "sans-serif"}
    with mpl.rc_context(settings):
        drawn = Figure(figsize=(9, 0.9 * len(pairs) + 0.9))
        FigureCanvasSVG(drawn)
        axes = drawn.add_axes((0.2, 0.16, 0.72, 0.8))
        for row, (what, pair) in enumerate(pairs.items()):
            ours, theirs = (statistics.median(pair["seconds"][side]) for side in ("lab", "instead"))
            axes.plot([ours, theirs], [row, row], color="#9a9a9a", linewidth=2, zorder=1)
            axes.scatter([ours], [row], s=70, color="#1f1f1f", zorder=2)
            axes.scatter([theirs], [row], s=70, facecolor="white", edgecolor="#1f1f1f", zorder=2)
            word = f"{what}: {pair['ratio']} times as fast"
            axes.text(min(ours, theirs), row - 0.24, word, fontsize=9, weight="bold")
            both = (
                f"filled: {pair['ours']}, {_told(ours)}; open: {pair['instead']}, {_told(theirs)}"
            )
            axes.text(min(ours, theirs), row + 0.36, both, fontsize=8, color="#4a4a4a")
        axes.set(xscale="log", ylim=(len(pairs) - 0.4, -0.6), yticks=[], xlabel=f"seconds; {told}")
        for side in ("left", "right", "top"):
            axes.spines[side].set_visible(False)
        buffer = io.StringIO()
        drawn.savefig(buffer, format="svg", metadata={"Date": None, "Title": "; ".join(pairs)})
    return buffer.getvalue()


def table(pairs: dict[str, dict[str, Any]], told: str) -> str:
    """The same as a table for README.md."""
    lines = ["| what | the lab | instead | times as fast |\n|---|---|---|---|\n"]
    for what, pair in pairs.items():
        sides = (("ours", "lab"), ("instead", "instead"))
        cells = [f"{pair[n]}: {_told(statistics.median(pair['seconds'][s]))}" for n, s in sides]
        rounds = len(pair["seconds"]["lab"])
        lines.append(f"| {what} ({rounds} rounds) | {cells[0]} | {cells[1]} | {pair['ratio']} |\n")
    return f"{BEGIN}{''.join(lines)}\n{told}; medians, and the median of each round's ratio.\n{END}"


def _told(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds >= 1 else f"{seconds * 1000:.0f} ms"


def main(names: list[str]) -> int:
    """Measure the pairs that are named, or all, and write what came of it."""
    kept = json.loads((HERE / "pairs.json").read_text()) if (HERE / "pairs.json").exists() else {}
    pairs: dict[str, dict[str, Any]] = kept.get("pairs", {})
    for what in names or PAIRS:
        pairs[what] = measured(what)
        print(what, json.dumps(pairs[what]), flush=True)
    told = f"{measure.machine()}, {time.strftime('%Y-%m-%d')}"
    files.write_json(HERE / "pairs.json", {"on": told, "pairs": pairs})
    files.write_text(HERE / "pairs.svg", figure(pairs, told))
    head, _, rest = README.read_text().partition(BEGIN)
    files.write_text(README, head + table(pairs, told) + rest.partition(END)[2])
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
