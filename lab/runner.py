"""`lab run`: a cluster, each failure's notebook side by side, then verdicts, table and codes."""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lab import (
    evidence,
    failures,
    interrupt,
    lock,
    notebook,
    processes,
    reading,
    report,
    store,
    world,
)
from lab.errors import BadEvidence, ClusterGone, LabError, NeedsUnmet
from lab.failure import Failure
from lab.parameters import parameters_of, with_parameters
from lab.redaction import redact
from lab.verdict import Verdict, judge

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
    stack: Mapping[str, str] = field(default_factory=dict)
    """ISTIO= and ENVOY= as far as they were given, by their variables."""

    @property
    def title(self) -> str:
        """Which cluster: `embedded`, and of which stack where one was asked for."""
        names = {"LAB_ISTIO": "Istio", "LAB_ENVOY": "Envoy"}
        return ", ".join([self.cluster, *(f"{names[n]} {v}" for n, v in self.stack.items())])


def plan(
    names: Sequence[str],
    given: dict[str, str],
    cluster: str,
    keep: bool,
    stack: Mapping[str, str] | None = None,
) -> Plan:
    """Everything refused that does not exist, before anything is started."""
    from clusters import check_stack, open_cluster
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
    stack = stack or {}
    with _own_environment(stack):
        check_stack(kind)
        if kind != "recorded":
            open_cluster(kind)
        words = ["make reproduce", *_variables()]
    words += [f"FAILURE={','.join(names)}"] if names else []
    words += [f"PARAMS='{' '.join(f'{k}={v}' for k, v in given.items())}'"] if given else []
    words += [f"CLUSTER={kind}"] if cluster != "auto" else []
    return Plan(wanted, given, kind, keep, " ".join(words), stack)


def _variables() -> list[str]:
    """What make was told beside, as it is typed."""
    names = ("ISTIO", "ENVOY", "BINARIES", "IMAGES", "REGISTRY", "NODES")
    told = {name: os.environ.get(f"LAB_{name}") for name in names}
    return [f"{name}={value}" for name, value in told.items() if value]


Afterwards = Callable[["OwnCluster", Path], None]
"""Called with the cluster while it is still up, and the run's folder."""


def run(wanted: Plan, afterwards: Afterwards | None = None) -> tuple[Path, int]:
    """Run it; returns its folder and the exit code (0, 1, 3: see lab.report.EXPLAINED).

    What ends it before its time is raised, and told in its table: what was recorded is kept.
    """
    began = time.monotonic()
    _check(wanted)
    folder = store.new_run()
    say = _Log(folder / "run.log", began)
    say(f"run {folder.name}: {', '.join(f.name for f in wanted.failures)} on {wanted.title}")
    stopped: BaseException | None = None
    try:
        with _own_environment(wanted.stack), _cluster(wanted, folder, say) as cluster:
            with _namespaces(wanted, folder, cluster, say):
                _notebooks(wanted, folder, cluster, say)
            if cluster and afterwards:
                say("recording what each sidecar is made of")
                afterwards(cluster, folder)
    except BaseException as why:
        stopped = why
        raise
    finally:
        with interrupt.held(last=True):
            code = finish(wanted, folder, time.monotonic() - began, stopped)
    return folder, code


@contextmanager
def _own_environment(variables: Mapping[str, str]) -> Iterator[None]:
    """What is told by variables, to notebooks too, is of this run alone."""
    before = dict(os.environ)
    os.environ.update(variables)
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
        with suppress(OSError), self._path.open("a") as file:  # a full disk is told at the end
            file.write(stamped + "\n")


@contextmanager
def _cluster(wanted: Plan, folder: Path, say: _Log) -> Iterator[OwnCluster | None]:
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
        say(f"using the cluster that is up ({standing.name}: {standing.stack})")
        os.environ["LAB_CLUSTER_NAME"] = standing.name
        with lock.marked(standing.lock, _label(folder), lambda run: world.remove(standing, run)):
            yield standing
        return
    elif standing.running():
        say(f"the cluster that is up is not what is asked for ({standing.name}: {standing.stack})")
    own = standing if wanted.keep else open_cluster(wanted.cluster, f"run-{os.getpid()}")
    os.environ["LAB_CLUSTER_NAME"] = own.name
    try:
        yield own
    finally:
        if not wanted.keep:
            say("ending the cluster")
            with interrupt.held():
                own.down()


@contextmanager
def _namespaces(
    wanted: Plan, folder: Path, cluster: OwnCluster | None, say: _Log
) -> Iterator[None]:
    """Removes those of this run afterwards, however it ends, where there is still a cluster."""
    try:
        yield
    finally:
        if cluster and not wanted.keep and cluster.running():
            say("removing the run's namespaces")
            with interrupt.held(), suppress(ClusterGone):
                world.remove(cluster, _label(folder))


def _label(folder: Path) -> str:
    """The run's name as its namespaces carry it."""
    return folder.name.lower()


def _notebooks(wanted: Plan, folder: Path, cluster: OwnCluster | None, say: _Log) -> None:
    """All notebooks side by side, while the cluster comes up that they wait for.

    They start when all is built, which can take longer than a cell may.
    """
    up = not cluster or (cluster.running() and cluster.fits())
    if cluster and not up:
        cluster.prepare(lambda step: say(f"cluster: {step}"))
    os.environ["LAB_CLUSTER"] = wanted.cluster
    os.environ["LAB_RUN"] = str(folder)
    names = [failure.name for failure in wanted.failures]
    with processes.started(names, folder, wanted.values) as notebooks:
        if cluster and not up:
            cluster.up(lambda step: say(f"cluster: {step}"), owned=not wanted.keep)
        processes.follow(notebooks, folder, say)


def finish(wanted: Plan, folder: Path, seconds: float, stopped: BaseException | None = None) -> int:
    """Judge what is stored, write summaries, show the table; returns the exit code.

    stopped: what ended the run before its time, if anything did; that is the code then. Raises
    NeedsUnmet where the summaries cannot be written, and nothing else ended it.
    """
    verdicts, missing = judge_all(wanted.failures, folder)
    code = exit_code(verdicts, missing)
    if stopped is not None:
        code = stopped.exit_code if isinstance(stopped, LabError) else 255
        missing = dict.fromkeys(missing, _first_line(stopped))
    unwritten = _write(wanted, folder, verdicts, missing, code, seconds)
    code = NeedsUnmet.exit_code if unwritten else code
    if verdicts or not isinstance(stopped, LabError | OSError):  # else its sentence says it all
        _show(wanted, folder, verdicts, missing, code, seconds)
    if unwritten and stopped is None:
        raise NeedsUnmet(
            f"the run's summary could not be written: {unwritten.strerror}",
            hint=f"what was recorded until then is in {folder}; {store.ELSEWHERE}",
        )
    return code


def _write(
    wanted: Plan,
    folder: Path,
    verdicts: Sequence[Verdict],
    missing: dict[str, str],
    code: int,
    seconds: float,
) -> OSError | None:
    """The run's summaries; returns why one could not be written."""
    summary = _summary(wanted, folder, verdicts, missing, code, seconds)
    try:
        store.write_json(folder / "summary.json", summary)
        store.write_text(folder / "summary.md", report.markdown(summary, verdicts))
        store.write_text(folder / "junit.xml", report.junit(verdicts, missing, seconds))
        store.link_latest(folder)
    except OSError as error:
        return error
    return None


def _first_line(stopped: BaseException) -> str:
    if isinstance(stopped, KeyboardInterrupt):
        return "the run was interrupted before its verdict"
    return f"the run ended before its verdict: {str(stopped).partition(chr(10))[0]}"


def judge_all(wanted: Sequence[Failure], folder: Path) -> tuple[list[Verdict], dict[str, str]]:
    """Verdicts from a run's files; and, of failures without a verdict file, why."""
    verdicts, missing = [], dict[str, str]()
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
    if place.exists() and store.is_full(place):
        return f"no room is left in {place}"
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
