"""Commands on stored runs: judged, explained, drawn, compared, packed. None asks a cluster."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from lab import failures
from lab.common import files, untrusted
from lab.common.errors import BadArguments, BadBundle, BadEvidence
from lab.common.suggest import meant
from lab.common.text import printable, terminal_width
from lab.model import store

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from pathlib import Path

    from lab.judge.case import Case
    from lab.model.evidence import Evidence
    from lab.model.failure import Failure


def add(commands: Any) -> None:
    """Their arguments. commands: argparse's subparsers, whose type it does not tell."""
    judge = commands.add_parser("judge", help="judge stored runs, or bundles, again, offline")
    judge.add_argument("runs", nargs="*", help="default: all stored runs")
    why = commands.add_parser("why", help="what decided: packets, log lines, configuration")
    why.add_argument(
        "run", nargs="?", default="latest", help="a stored run, a bundle, or `recorded`"
    )
    why.add_argument("failure", nargs="?")
    pcapng = commands.add_parser("pcapng", help="calls' packets, of all hops, with comments")
    pcapng.add_argument("run", help="a stored run, `latest`, or `recorded`")
    pcapng.add_argument("failure", nargs="?")
    pcapng.add_argument("call", nargs="?", help="without one: all calls, a file each")
    pcapng.add_argument("-o", "--output", required=True, help="a folder; of one call a file too")
    graph = commands.add_parser("graph", help="each edge, with the lock that every plane has of it")
    graph.add_argument("run", help="a stored run, `latest`, or `recorded`")
    graph.add_argument("failure", nargs="?", help="without one: all, a file each")
    graph.add_argument(
        "-o", "--output", required=True, help="FILE.svg or FILE.png; of several failures a folder"
    )
    page = commands.add_parser("report", help="a page of a run, or of several side by side")
    page.add_argument("runs", nargs="*", help="stored runs, or `recorded`; default: latest")
    compare = commands.add_parser("compare", help="two runs; 0 no difference, 1 differs, 3 unsure")
    compare.add_argument("left", help="a stored run, `latest`, a bundle, or `recorded`")
    compare.add_argument("right", help="the same")
    bundle = commands.add_parser("bundle", help="a run as one archive to hand on, without secrets")
    bundle.add_argument("run", nargs="?", default="latest", help="a stored run, or `recorded`")
    bundle.add_argument(
        "-o", "--output", metavar="FILE", help="default: RUN.tar.gz, among the runs"
    )
    record = commands.add_parser("record", help="make a run's evidence the recorded one")
    record.add_argument("run", nargs="?", default="latest")
    record.add_argument("--turned", action="store_true", help="as the tests' world turned round")


def judge(options: argparse.Namespace) -> int:
    """Judge runs or bundles again; the worst code of all."""
    from lab.bundle import unpack
    from lab.judge import stored

    names = options.runs or [run.name for run in store.stored()]
    codes = []
    for name in names:
        try:
            with unpack.opened(name) as run:
                codes.append(_judged(run))
        except BadBundle as wrong:  # there may be others, which can be judged
            print(f"lab: {printable(str(wrong))}", file=sys.stderr)
            codes.append(wrong.exit_code)
    if not names:
        print("no run is stored yet: make reproduce")
    return stored.worst(codes) if codes else 0


def _judged(run: Path) -> int:
    """Show a run's verdicts as they are judged now; returns its code."""
    from lab.judge import stored
    from lab.render.tables import claims_table

    verdicts, missing = stored.judge_all(_in(run, None), run)
    print(printable(claims_table(verdicts, run.name).text(terminal_width())) + "\n")
    for name, why in missing.items():
        print(printable(f"{name}: inconclusive: {why}\n"))
    return stored.exit_code(verdicts, missing)


def explain(options: argparse.Namespace) -> int:
    """What decided each verdict of a run."""
    from lab.bundle import unpack
    from lab.commands.show import recorded_run
    from lab.render import explain

    if options.run == "recorded":
        for name in [options.failure] if options.failure else failures.names():
            run = recorded_run(name)
            print(printable("\n".join([*explain.lines(run.judge(), run.folder), ""])))
        return 0
    with unpack.opened(options.run) as folder:
        told, code = _explained(folder, options.failure)
        # Of a bundle, paths are told as they will be when a person unpacks it.
        for_now = f"{folder.parent}{os.sep}" if unpack.find(options.run) else ""
    print(printable("\n".join(told).replace(for_now, "")))
    return code


def _explained(folder: Path, failure: str | None) -> tuple[list[str], int]:
    """Why a run's verdicts are as they are, in lines; and the code."""
    from lab.judge import stored
    from lab.render import explain

    verdicts, missing = stored.judge_all(_in(folder, failure), folder)
    told = [
        line for one in verdicts for line in [*explain.lines(one, folder / one.failure), "", ""]
    ]
    told += [f"{name}: inconclusive: {reason}\n" for name, reason in missing.items()]
    return told, 3 if missing else 0


def pcapng(options: argparse.Namespace) -> int:
    """3 where the packets of a call, or a failure's evidence, are not to be had."""
    from lab.judge import stored
    from lab.render import call_pcapng

    run, code = _place(options.run), 0
    for failure in _in(run, options.failure):
        try:
            case = stored.open_case(failure, run)
            known = [*case.calls]
            if options.call and options.call not in known:
                near = meant(options.call, known)
                raise BadArguments(f"no call {options.call!r}: {near}there is {', '.join(known)}")
            for name in [options.call] if options.call else known:
                path = _path_of(options, failure.name, call_pcapng.file_name(name))
                code = max(code, _written(case, name, path))
        except BadEvidence as problem:
            print(printable(f"{failure.name}: not written: {problem}"))
            code = 3
    return code


def _written(case: Case, name: str, path: Path) -> int:
    """3 where a call was made between pods, and its packets are not to be had."""
    from lab.render import call_pcapng

    try:
        count = call_pcapng.write(case, name, path)
    except BadEvidence as problem:
        print(printable(f"not written: {problem}"))
        made = case.evidence.call(name) is not None and case.calls[name].source != "api"
        return 3 if made else 0
    print(printable(f"{path}: {count} packets"))
    return 0


def _path_of(options: argparse.Namespace, failure: str, name: str) -> Path:
    """A folder holds a folder for each failure, unless one call was asked for."""
    from pathlib import Path

    given = Path(options.output)
    if not options.call:
        return given / failure / name
    return given if given.suffix and not given.is_dir() else given / name


def compare(options: argparse.Namespace) -> int:
    """Two runs side by side: 0 no difference, 1 differs, 3 unsure."""
    from contextlib import ExitStack

    from lab.bundle import unpack
    from lab.commands import compare

    with ExitStack() as opened:
        left, right = (opened.enter_context(_opened(one)) for one in (options.left, options.right))
        elsewhere = right == store.RECORDED or unpack.find(options.right)
        beside = store.runs() if elsewhere else right
        return compare.compare_runs(left, right, beside, terminal_width())


def _opened(word: str) -> AbstractContextManager[Path]:
    """A run's folder as `compare` needs it: of a bundle, unpacked for as long."""
    from contextlib import nullcontext

    from lab.bundle import unpack

    return nullcontext(store.RECORDED) if word == "recorded" else unpack.opened(word)


def bundle(options: argparse.Namespace) -> int:
    """A run as one archive."""
    from pathlib import Path

    from lab.bundle import pack

    run = _place(options.run)
    name = options.run if run == store.RECORDED else run.name
    packed = pack.pack(run, name)
    target = Path(options.output or store.runs())
    if target.is_dir() or not options.output:
        target /= f"{name}.tar.gz"
    files.write_bytes(target, packed.archive)
    told = [f"{path}: left out: {why}" for path, why in packed.left_out.items()]
    told += [
        f"{target}: {packed.files} files, {packed.unpacked / 1e6:.1f} MB, "
        f"{len(packed.archive) / 1e6:.1f} MB packed",
        "Text is without secrets; captures are as they crossed the wire, for all who get them.",
        f"Next: istio-lab judge {target}",
    ]
    print(printable("\n".join(told)))
    return 0


def graph(options: argparse.Namespace) -> int:
    """The figure, and beside it its words and its table; 3 where evidence is damaged."""
    from pathlib import Path

    from lab.judge import stored
    from lab.render import planes_figure

    run, code = _place(options.run), 0
    given = Path(options.output)
    for failure in _in(run, options.failure):
        single = options.failure and not given.is_dir()
        path = given if single else given / planes_figure.file_name(failure.name)
        try:
            written = planes_figure.write(stored.open_case(failure, run), path)
            print(printable(f"{written}\n{written.with_suffix('.md')}: the same in words"))
        except BadEvidence as problem:
            print(printable(f"{failure.name}: not drawn: {problem}"))
            code = 3
    return code


def report(options: argparse.Namespace) -> int:
    """The page of a run, or of several side by side."""
    from lab.commands import sudo
    from lab.report import page

    try:
        written = page.write([_place(word) for word in options.runs or ["latest"]])
    finally:
        sudo.give_back()
    print(f"Report: {printable(str(store.from_here(written)))}")
    return 0


def _place(word: str) -> Path:
    """Where a run's evidence lies; `recorded` is what is committed."""
    return store.RECORDED if word == "recorded" else store.find(word)


def _in(run: Path, failure: str | None) -> list[Failure]:
    """The failures that a stored run has a folder of. Raises BadArguments for another."""
    there = [name for name in failures.names() if untrusted.is_there(run / name)]
    if failure and failure not in there:
        raise BadArguments(f"run {run.name} has no {failure!r}; it has {', '.join(there)}")
    return [failures.load(name) for name in ([failure] if failure else there)]


def record(options: argparse.Namespace) -> int:
    """Make a run's evidence the recorded one; what is damaged is not."""
    from lab.model import evidence

    run = store.find(options.run)
    for name in failures.names():
        if (run / name / "verdict.json").exists():
            recorded = evidence.load(run / name)
            kept = store.record(run, name, turned=options.turned)
            print(kept.relative_to(store.ROOT))
            print(f"  {_range(recorded)}")
    return 0


def _range(recorded: Evidence) -> str:
    """Return what a pin may claim by this run: its stack, and whether that is measured."""
    from lab.model import pins

    cluster = recorded.cluster
    istio, envoy = (recorded.stack.get(part, "") for part in ("istio", "envoy"))
    stack = pins.Stack(cluster, pins.minor(istio), (envoy,))
    known = any(one.holds(istio, envoy, cluster) for one in pins.MEASURED)
    told = "pins cover it already" if known else "add it to MEASURED in lab/model/pins.py"
    return f"this run lets pins claim {stack}; {told}"


COMMANDS: dict[str, Callable[[argparse.Namespace], int]] = {
    "judge": judge,
    "why": explain,
    "pcapng": pcapng,
    "graph": graph,
    "report": report,
    "compare": compare,
    "bundle": bundle,
    "record": record,
}
