"""Where the time of `make reproduce` goes: which program uses how many cores, second by second.

    .venv/bin/python benchmarks/timeline.py         writes timeline.json and timeline.svg

It reads /proc, which is all that it costs: a process that ends between two looks is counted with
those that live shortly. Nothing else may run beside it.
"""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import measure

from lab.common import files
from lab.model import store

HERE = Path(__file__).parent
EVERY = 0.5
"""Seconds between two looks."""
SHORT = "short-lived programs"
GROUPS = {  # what the command line says -> the program, the first that fits
    r"^\S*envoy\b": "Envoy",
    r"^\S*pilot-agent": "pilot-agent",
    r"^\S*pilot-discovery": "istiod",
    r"^\S*(kube-apiserver|etcd)\b": "API server and etcd",
    r"^\S*(kube-|coredns)": "other parts of Kubernetes",
    r"clusters\.embedded": "the lab's kubelet",
    r"lab\.notebook|ipykernel": "notebooks",
    r"-m lab\b|istio-lab|^make\b": "istio-lab",
}
APPLICATIONS = "applications, and what is called in their pods"
MILESTONES = {
    r"cluster: ready": "the cluster is ready",
    r"is ready$": "pods ready",
    r"judging what was recorded": "failures judged",
}
"""A line of run.log -> what it marks. The last that fits counts."""


def _program(entry: Path) -> str:
    words = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    if not words:
        return "the kernel"
    return next((name for form, name in GROUPS.items() if re.search(form, words)), APPLICATIONS)


def _seconds() -> dict[str, tuple[str, float]]:
    """Return process -> its program, and the CPU seconds that it used itself."""
    tick, found = os.sysconf("SC_CLK_TCK"), {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
            used = (int(fields[11]) + int(fields[12])) / tick
            found[f"{entry.name}/{fields[19]}"] = (_program(entry), used)
        except OSError:
            continue
    return found


def _busy() -> float:
    """Return the seconds that all cores were busy."""
    user, nice, system, _, _, irq, soft = map(
        int, Path("/proc/stat").read_text().split("\n")[0].split()[1:8]
    )
    return (user + nice + system + irq + soft) / os.sysconf("SC_CLK_TCK")


def _look(before: dict[str, tuple[str, float]], busy: float) -> dict[str, float]:
    """Return program -> CPU seconds since the last look."""
    used: Counter[str] = Counter()
    for process, (name, seconds) in _seconds().items():
        used[name] += seconds - before.get(process, (name, 0.0))[1]
    used[SHORT] = max(0.0, busy - sum(used.values()))
    return {name: round(seconds, 2) for name, seconds in used.items() if seconds > 0.004}


def watch(argv: list[str]) -> dict[str, Any]:
    """Run a command; return its seconds, and who used the cores in each interval."""
    intervals = []
    before, busy, began = _seconds(), _busy(), time.monotonic()
    with subprocess.Popen(argv, cwd=store.ROOT, stdout=subprocess.DEVNULL) as running:
        while running.poll() is None:
            time.sleep(EVERY)
            now = _busy()
            intervals.append(
                {"at": round(time.monotonic() - began, 2), **_look(before, now - busy)}
            )
            before, busy = _seconds(), now
    if running.returncode:
        sys.exit(f"{' '.join(argv)} ended with {running.returncode}")
    return {"seconds": round(time.monotonic() - began, 1), "intervals": intervals}


def milestones(log: str) -> dict[str, float]:
    """Return what a run's log tells -> seconds since the run began."""
    found = {}
    for line in log.splitlines():
        for form, name in MILESTONES.items():
            if re.search(form, line):
                found[name] = float(line.split()[0])
    return found


def totals(intervals: list[dict[str, float]]) -> dict[str, float]:
    """Return program -> CPU seconds, most first."""
    used: Counter[str] = Counter()
    for one in intervals:
        used.update({name: seconds for name, seconds in one.items() if name != "at"})
    return {name: round(seconds, 1) for name, seconds in used.most_common()}


def figure(found: dict[str, Any], told: str) -> str:
    """Stack the cores that each program uses over time, and mark the milestones."""
    import matplotlib as mpl
    import numpy as np
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    names, intervals = list(totals(found["intervals"])), found["intervals"]
    ends = np.array([one["at"] for one in intervals])
    widths = np.diff(ends, prepend=0.0)
    cores = [np.array([one.get(name, 0.0) for one in intervals]) / widths for name in names]
    settings: Any = {"svg.hashsalt": "lab", "svg.fonttype": "none", "font.family": "sans-serif"}
    with mpl.rc_context(settings):
        drawn = Figure(figsize=(10, 5))
        FigureCanvasSVG(drawn)
        axes = drawn.add_axes((0.06, 0.12, 0.64, 0.8))
        axes.stackplot(ends, cores, colors=mpl.colormaps["tab20"].colors, labels=names, step="pre")
        for name, at in found["milestones"].items():
            axes.axvline(at, color="#1f1f1f", linewidth=0.8)
            axes.text(at, 2.02, f"{name} ", fontsize=8, ha="right")
        axes.set(xlim=(0, ends[-1]), ylim=(0, 2.1), ylabel="cores", xlabel=f"seconds; {told}")
        handles, labels = axes.get_legend_handles_labels()
        shares = totals(found["intervals"])
        labels = [f"{name}: {shares[name]:.0f} s" for name in labels]
        axes.legend(
            handles[::-1], labels[::-1], loc="upper left", bbox_to_anchor=(1.01, 1), frameon=False
        )
        buffer = io.StringIO()
        title = f"CPU seconds of make reproduce: {', '.join(labels)}"
        drawn.savefig(buffer, format="svg", metadata={"Date": None, "Title": title})
    return buffer.getvalue()


def main() -> int:
    """Watch `make reproduce`, and write what was seen."""
    found = watch(["make", "reproduce"])
    found["milestones"] = milestones((store.runs() / "latest" / "run.log").read_text())
    told = f"{measure.machine()}, {time.strftime('%Y-%m-%d')}"
    files.write_json(HERE / "timeline.json", {"on": told, **found})
    files.write_text(HERE / "timeline.svg", figure(found, told))
    print(found["seconds"], found["milestones"], totals(found["intervals"]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
