"""`lab run`: a cluster, each failure's notebook side by side, then verdicts, table and codes."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lab import evidence, failures, notebook, reading, report, store
from lab.errors import BadEvidence, ClusterGone, LabError
from lab.failure import Failure
from lab.parameters import parameters_of, with_parameters
from lab.redaction import redact
from lab.verdict import Verdict, judge
from lab.wait import until

if TYPE_CHECKING:
    from clusters.base import OwnCluster


@dataclass(frozen=True)
class Plan:
    """What `lab run` was asked for."""

    failures: tuple[Failure, ...]
    values: dict[str, str]
    cluster: str
    keep: bool
    command: str


def plan(names: Sequence[str], given: dict[str, str], cluster: str, keep: bool) -> Plan:
    """Everything refused that does not exist, before anything is started."""
    from lab.story import choose

    wanted = tuple(failures.load(name) for name in (names or failures.names()))
    for failure in wanted:
        parameters_of(failure, given)
        notebook.convert(notebook.NOTEBOOKS / f"{failure.name}.ipynb", given)
    kind = (
        "embedded"
        if cluster == "auto" and not os.environ.get("LAB_CLUSTER")
        else choose(cluster)[0]
    )
    words = ["make reproduce"]
    words += [f"FAILURE={','.join(names)}"] if names else []
    words += [f"PARAMS='{' '.join(f'{k}={v}' for k, v in given.items())}'"] if given else []
    words += [f"CLUSTER={kind}"] if cluster != "auto" else []
    nodes = os.environ.get("LAB_NODES")
    words += [f"NODES={nodes}"] if nodes else []
    return Plan(wanted, given, kind, keep, " ".join(words))


Afterwards = Callable[["OwnCluster", Path], None]
"""Called with the cluster while it is still up, and the run's folder."""


def run(wanted: Plan, afterwards: Afterwards | None = None) -> tuple[Path, int]:
    """Run it; returns its folder and the exit code (0, 1, 3: see lab.report.EXPLAINED)."""
    began = time.monotonic()
    _check(wanted)
    folder = store.new_run()
    say = _Log(folder / "run.log", began)
    say(f"run {folder.name}: {', '.join(f.name for f in wanted.failures)} on {wanted.cluster}")
    try:
        with _own_environment(), _cluster(wanted, say) as cluster:
            _notebooks(wanted, folder, cluster, say)
            if cluster and not wanted.keep:
                say("removing the run's namespaces")
                _remove_namespaces(cluster, folder)
            if cluster and afterwards:
                say("recording what each sidecar is made of")
                afterwards(cluster, folder)
    finally:
        code = finish(wanted, folder, time.monotonic() - began)
    return folder, code


@contextmanager
def _own_environment() -> Iterator[None]:
    """What notebooks are told by variables is of this run alone."""
    before = dict(os.environ)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _check(wanted: Plan) -> None:
    """What an existing cluster lacks is said before anything is begun."""
    from clusters import CONTEXT, open_cluster

    if wanted.cluster.startswith(CONTEXT):
        open_cluster(wanted.cluster).up(lambda step: print(step, flush=True))


class _Log:
    """A line to the terminal and to run.log."""

    def __init__(self, path: Path, began: float) -> None:
        self._path, self._began = path, began

    def __call__(self, line: str) -> None:
        stamped = f"{time.monotonic() - self._began:6.1f} s  {redact(line)}"
        room = shutil.get_terminal_size((100, 24)).columns
        print(stamped if len(stamped) <= room else f"{stamped[: room - 3]}...", flush=True)
        with self._path.open("a") as file:
            file.write(stamped + "\n")


@contextmanager
def _cluster(wanted: Plan, say: _Log) -> Iterator[OwnCluster | None]:
    """The standing cluster, left as it is; else one of this run's own, ended afterwards.

    The notebooks' kernels start meanwhile: they wait for the cluster by its name.
    """
    if wanted.cluster == "recorded":
        yield None
        return
    from clusters import open_cluster

    standing = open_cluster(wanted.cluster)
    standing.sweep()
    told = standing.trouble()
    if told:
        say(f"the cluster that was up ({standing.name}) is of no use: {told}")
        if wanted.keep:
            standing.down()  # one of the same name takes its place
    elif standing.kind == "existing" or (standing.running() and standing.fits()):
        say(f"using the cluster that is up ({standing.name})")
        os.environ["LAB_CLUSTER_NAME"] = standing.name
        yield standing
        return
    own = standing if wanted.keep else open_cluster(wanted.cluster, f"run-{os.getpid()}")
    os.environ["LAB_CLUSTER_NAME"] = own.name
    try:
        yield own
    finally:
        if not wanted.keep:
            own.down()


def _notebooks(wanted: Plan, folder: Path, cluster: OwnCluster | None, say: _Log) -> None:
    """All notebooks side by side, each in a process of its own, followed line by line.

    They start when all is built, which can take longer than a cell may.
    """
    up = not cluster or (cluster.running() and cluster.fits())
    if cluster and not up:
        cluster.prepare(lambda step: say(f"cluster: {step}"))
    os.environ["LAB_CLUSTER"] = wanted.cluster
    os.environ["LAB_RUN"] = str(folder)
    processes = {f.name: _start(f.name, folder, wanted.values) for f in wanted.failures}
    try:
        if cluster and not up:
            cluster.up(lambda step: say(f"cluster: {step}"), owned=not wanted.keep)
        _follow(processes, folder, say)
    finally:
        for name, process in processes.items():
            _end(process)
            log = folder / name / "notebook.log"
            store.write_text(log, log.read_text(errors="replace"))  # as Python wrote it, till now


def _start(name: str, folder: Path, values: dict[str, str]) -> subprocess.Popen[bytes]:
    place = folder / name
    place.mkdir()
    path = notebook.NOTEBOOKS / f"{name}.ipynb"
    arguments = [name, str(place), json.dumps(notebook.convert(path, values))]
    with (place / "notebook.log").open("wb") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "lab.notebook", *arguments],
            stdin=subprocess.PIPE,  # never written to: it ends when this process does
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def _follow(processes: dict[str, subprocess.Popen[bytes]], folder: Path, say: _Log) -> None:
    """Relay each notebook's progress until all have ended."""
    told = dict.fromkeys(processes, 0)

    def look() -> bool:
        ended = all(process.poll() is not None for process in processes.values())
        for name in processes:
            path = folder / name / "progress.log"
            lines = path.read_text().splitlines() if path.exists() else []
            for line in lines[told[name] :]:
                say(f"{name}  {line}")
            told[name] = len(lines)
        return ended

    until(look, "the notebooks", timeout=3600, every=0.05)


def _end(process: subprocess.Popen[bytes]) -> None:
    """A notebook and its kernel, when the run ends before them."""
    if process.stdin:
        process.stdin.close()
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)


def _remove_namespaces(cluster: OwnCluster, folder: Path) -> None:
    from lab import world

    with suppress(ClusterGone):
        world.remove(cluster, folder.name.lower())


def finish(wanted: Plan, folder: Path, seconds: float) -> int:
    """Judge what is stored, write summaries, show the table; returns the exit code."""
    verdicts, missing = judge_all(wanted.failures, folder)
    code = exit_code(verdicts, missing)
    summary = _summary(wanted, folder, verdicts, missing, code, seconds)
    store.write_json(folder / "summary.json", summary)
    store.write_text(folder / "summary.md", report.markdown(summary, verdicts))
    store.write_text(folder / "junit.xml", report.junit(verdicts, missing, seconds))
    store.link_latest(folder)
    _show(wanted, folder, verdicts, missing, code, seconds)
    return code


def judge_all(wanted: Sequence[Failure], folder: Path) -> tuple[list[Verdict], dict[str, str]]:
    """Verdicts from a run's files; and, of failures without a verdict file, why."""
    verdicts, missing = [], {}
    for failure in wanted:
        place = folder / failure.name
        try:
            if not (place / "verdict.json").exists():
                raise LabError(f"its notebook ended before its verdict: {_last_words(place)}")
            reading.require_inside(place, folder)
            recorded = evidence.load(place)
            if recorded.failure != failure.name:
                raise BadEvidence(f"{place} holds evidence of {recorded.failure!r}")
            values = parameters_of(failure, recorded.parameters)
            turned = with_parameters(failure, values)
            verdicts.append(judge(turned, recorded, place))
        except LabError as problem:
            missing[failure.name] = str(problem)
    return verdicts, missing


def _last_words(place: Path) -> str:
    """The error that its log ends with, without what is above and below it."""
    log = place / "notebook.log"
    try:
        lines = reading.read_text(log, place).strip().splitlines()
    except BadEvidence as problem:
        return str(problem) if reading.is_there(log) else "no output"
    if not lines:
        return "no output"
    error = next((line for line in reversed(lines) if re.match(r"[\w.]+: ", line)), lines[-1])
    return f"{error} ({log})"


def exit_code(verdicts: Sequence[Verdict], missing: dict[str, str]) -> int:
    """The worst of all: a verdict that differs, else one that is missing or unsure."""
    return worst([verdict.exit_code for verdict in verdicts] + [3 for _ in missing])


def worst(codes: Sequence[int]) -> int:
    """1 before all others: that something differs is certain, what is unsure may be so too."""
    return 1 if 1 in codes else max(codes, default=3)


def _summary(
    wanted: Plan,
    folder: Path,
    verdicts: Sequence[Verdict],
    missing: dict[str, str],
    code: int,
    seconds: float,
) -> dict[str, Any]:
    started: dict[str, Any] = {}
    for verdict in verdicts:
        recorded = evidence.load(folder / verdict.failure)
        started["istiod"] = recorded.started.get("pilot-discovery")
        started[verdict.failure] = {
            f"{world.namespace}/{pod.name}": round(pod.envoy_started, 1)
            for world in recorded.worlds.values()
            for pod in world.pods.values()
            if pod.sidecar
        }
    return {
        "run": folder.name,
        "exit_code": code,
        "cluster": wanted.cluster,
        "stack": verdicts[0].stack if verdicts else {},
        "parameters": wanted.values,
        "command": wanted.command,
        "seconds": round(seconds, 1),
        "checkout": store.commit(),
        "started": started,
        "recorded": wanted.cluster == "recorded",
        "verdicts": {
            verdict.failure: {
                claim.id: {
                    "as_posted": claim.as_posted.word,
                    "today": claim.today.word,
                    "wire": [said.proof and said.proof.security for _, said in claim.answers],
                    "agreement": claim.agreement,
                }
                for claim in verdict.claims
            }
            for verdict in verdicts
        },
        "remedies": {
            verdict.failure: {
                remedy.name: {
                    "word": remedy.word,
                    "wire": remedy.proof.security if remedy.proof else None,
                    "agreement": remedy.agreement,
                }
                for remedy in verdict.remedies
            }
            for verdict in verdicts
        },
        "missing": missing,
    }


def _show(
    wanted: Plan,
    folder: Path,
    verdicts: Sequence[Verdict],
    missing: dict[str, str],
    code: int,
    seconds: float,
) -> None:
    width = min(120, shutil.get_terminal_size((100, 24)).columns)
    stack = verdicts[0].stack if verdicts else {}
    title = f"{wanted.cluster} cluster"
    title += "".join(
        f", {n.capitalize()} {stack[n]}" for n in ("istio", "envoy", "kubernetes") if stack
    )
    if wanted.cluster == "recorded" and verdicts:
        title = f"RECORDED on {verdicts[0].recorded_at[:10]}: {title}"
    print("\n" + report.terminal(verdicts, width, title=title))
    for name, why in missing.items():
        print(f"\n{name}: inconclusive: {why}")
    print("\nTry next:", *_next(wanted, verdicts), sep="\n  ")
    print(f"\nReport: {_relative(folder / 'summary.md')}  ({seconds:.1f} s)")
    print(f"Exit code {code}: {report.EXPLAINED[code]}")


def _next(wanted: Plan, verdicts: Sequence[Verdict]) -> list[str]:
    """What to type next: first of all why the worst is as it is."""
    first = max(verdicts, key=lambda one: one.exit_code != 0, default=None)
    lines = [f"python -m lab why latest {first.failure}"] if first else []
    lines += wanted.failures[-1].try_next[:1]
    return [*lines, "make lab        # the notebooks"]


def _relative(path: Path) -> Path:
    try:
        return path.relative_to(Path.cwd())
    except ValueError:
        return path
