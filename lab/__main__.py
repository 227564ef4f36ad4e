"""`python -m lab`: list, show, doctor, up, down, status, run, judge, why, compare and others.

doctor, list, show and cache-key need nothing but a Python: they work before any set-up.
"""

from __future__ import annotations

import sys

if sys.version_info < (3, 11):  # noqa: UP036  (any Python may start this file)
    sys.exit("the lab needs Python 3.11 or later; this is " + sys.version.split()[0])

import argparse
import errno
import os
import shutil
import subprocess
import traceback
from typing import TYPE_CHECKING, NoReturn

from lab import failures, interrupt, reading, store
from lab.display import printable
from lab.edge import command
from lab.errors import BadArguments, BadBundle, BadEvidence, LabError
from lab.nearest import meant

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from pathlib import Path

    from clusters.base import OwnCluster
    from lab.failure import Failure
    from lab.observe import Case


_OF_THIS_MACHINE = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES)
"""A full disk, and one that may not be written: nothing that the lab could mend."""


class _Parser(argparse.ArgumentParser):
    """Bad arguments are code 254, with the nearest command named."""

    def error(self, message: str) -> NoReturn:
        raise BadArguments(message, hint=f"{self.prog} --help")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="python -m lab", description=__doc__)
    commands = parser.add_subparsers(dest="command", parser_class=_Parser)
    commands.add_parser("help", help="this text")
    commands.add_parser("list", help="the documented failures")
    show = commands.add_parser(
        "show", help="a failure's story, verdict and first bytes, as recorded"
    )
    show.add_argument("failure", nargs="?", help="without one: the table of all")
    for name, text in (
        ("preview", "what a first `make reproduce` costs, and the recorded table"),
        ("cache-key", "another one exactly when something else would be built; for a CI's cache"),
        ("cache-path", "the folders to keep under that key"),
        ("up", "start the standing cluster"),
        ("down", "end it, and all it made"),
        ("status", "is it up"),
        ("shell", "a shell with kubectl for it"),
    ):
        added = commands.add_parser(name, help=text)
        added.add_argument("--cluster", default="auto")
    run = commands.add_parser("run", help="reproduce failures; 0 as pinned, 1 differs, 3 unsure")
    run.add_argument("failures", nargs="*")
    run.add_argument("--cluster", default="auto")
    run.add_argument("--params", default="", help="NAME=VALUE ..., as the notebook declares them")
    run.add_argument("--keep", action="store_true", help="leave cluster and namespaces")
    run.add_argument(
        "--on-inconclusive",
        choices=["fail", "warn"],
        default="fail",
        help="warn: 0 with a warning in the place of 3; 1 stays 1",
    )
    command.add(commands.add_parser("observe", help="any edge: one call, every plane, a picture"))
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
    execute = commands.add_parser("exec", help="a command in a pod: exec POD [-n NS] -- CMD")
    execute.add_argument("pod")
    execute.add_argument("-n", "--namespace", default="")
    execute.add_argument("-c", "--container", default=None)
    commands.add_parser("doctor", help="what this machine lacks", add_help=False)
    return parser


def main(argv: list[str]) -> int:
    """Run a command; a foreseeable problem is a sentence, never a traceback."""
    try:
        return _answer(argv)
    except LabError as problem:
        print(f"lab: {printable(str(problem))}", file=sys.stderr)
        return problem.exit_code
    except KeyboardInterrupt:
        print("\nlab: interrupted", file=sys.stderr)
        return 255
    except BrokenPipeError:  # whoever read our output has gone, which is no verdict
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 255 if argv[:1] == ["run"] else 0
    except Exception as problem:
        return _failed(problem, argv)


def _failed(problem: Exception, argv: list[str]) -> int:
    """255, and a sentence where this machine is the reason; else all that can be told."""
    told, hint = "", ""
    if isinstance(problem, OSError) and problem.errno in _OF_THIS_MACHINE:
        told = f"{problem.filename or 'a file'}: {problem.strerror}"
        hint = "LAB_RUNS, LAB_CACHE and TMPDIR say where the lab writes"
    if isinstance(problem, ModuleNotFoundError):
        missing = (problem.name or "").partition(".")[0]
        told = "" if missing in ("lab", "clusters") else f"this Python has no {problem.name}"
        hint = f"make env, then .venv/bin/python -m lab {' '.join(argv)}"
    if not told:
        traceback.print_exception(problem)
        told, hint = "this is a defect of the lab itself", ""
    print(f"lab: {told}" + (f"\n  -> {hint}" if hint else ""), file=sys.stderr)
    return 255


def _answer(argv: list[str]) -> int:
    if argv[:1] == ["doctor"]:
        from lab import doctor

        return doctor.main(argv[1:])
    _suggest(argv)
    # What follows `--` is another program's: its options are not ours.
    cut = argv.index("--") if "--" in argv else len(argv)
    options = _parser().parse_args(argv[:cut])
    options.words = argv[cut + 1 :]
    return int(_COMMANDS[options.command or "help"](options))


def _suggest(argv: list[str]) -> None:
    words = [word for word in argv if not word.startswith("-")]
    known = [*_COMMANDS, "doctor"]
    if words and argv[0] == words[0] and words[0] not in known:
        raise BadArguments(
            f"no command {words[0]!r}: {meant(words[0], known)}there is {', '.join(known)}"
        )


def _list(_options: argparse.Namespace) -> int:
    for name in failures.names():
        failure = failures.load(name)
        claims = ", ".join(claim.id for claim in failure.claims)
        print(f"{name:<14} {failure.title}  ({claims})")
    return 0


def _show(options: argparse.Namespace) -> int:
    from lab import tell

    names = [options.failure] if options.failure else failures.names()
    told = tell.story(names[0], _width()) if options.failure else tell.table(names, _width())
    print(printable(told))
    return 0


def _preview(options: argparse.Namespace) -> int:
    from lab import tell

    told = tell.preview(_width(), options.cluster)
    if told:
        print(told)
    return 0


def _cache_key(options: argparse.Namespace) -> int:
    from clusters import first_start

    print(first_start.key(options.cluster))
    return 0


def _cache_path(options: argparse.Namespace) -> int:
    from clusters import first_start

    print(*first_start.folders(options.cluster), sep="\n")
    return 0


def _open(options: argparse.Namespace) -> OwnCluster:
    from clusters import open_cluster

    return open_cluster(options.cluster)


def _up(options: argparse.Namespace) -> int:
    cluster = _open(options)
    cluster.up(lambda step: print(f"  {step}", flush=True))
    print(f"up. Next:\n  python -m lab shell\n  export KUBECONFIG={cluster.kubeconfig}")
    return 0


def _down(options: argparse.Namespace) -> int:
    from lab import scratch

    _open(options).down()
    scratch.sweep()
    print("down; nothing of yours is left")
    return 0


def _status(options: argparse.Namespace) -> int:
    import datetime

    status = _open(options).status()
    print(status.text)
    for name, started in status.details.items():
        at = datetime.datetime.fromtimestamp(float(started)).strftime("%H:%M:%S")
        print(f"  {name:<26} since {at}")
    return 0 if status.running else 1


def _shell(options: argparse.Namespace) -> int:
    cluster = _open(options)
    path = f"{cluster.bin}{os.pathsep}{os.environ.get('PATH', '')}"
    own = {"KUBECONFIG": str(cluster.kubeconfig), "PATH": path}
    shell = os.environ.get("SHELL") or "/bin/sh"
    print(f"kubectl here speaks to the {cluster.kind} cluster; leave with exit")
    return subprocess.call([shell], env={**os.environ, **own})


def _run(options: argparse.Namespace) -> int:
    from clusters.stacks import assembly
    from lab import ownership, runner, side_by_side

    given = {}
    for word in options.params.split():
        name, equals, value = word.partition("=")
        if not equals:
            raise BadArguments(f"{word!r} is not NAME=VALUE")
        given[name] = value
    names = [name for word in options.failures for name in word.split(",")]
    clusters = options.cluster.split(",")
    plans = [
        runner.plan(names, given, cluster, options.keep, stack)
        for cluster in clusters
        for stack in assembly.several()
    ]
    try:
        code = runner.run(plans[0])[1] if len(plans) == 1 else side_by_side.run(plans, _width())
    finally:
        with interrupt.held(last=True):
            ownership.give_back()
    return _warned(code) if options.on_inconclusive == "warn" else code


def _observe(options: argparse.Namespace) -> int:
    return command.main(options, _width())


def _warned(code: int) -> int:
    """0 in the place of 3, and a line that nobody overlooks; every other code as it is."""
    if code != 3:
        return code
    mark = "::warning::" if os.environ.get("GITHUB_ACTIONS") else "WARNING: "
    print(f"{mark}not everything could be said: 0 in the place of 3, by --on-inconclusive=warn")
    return 0


def _judge(options: argparse.Namespace) -> int:
    from lab import judging
    from lab.bundle import unpack

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
    return judging.worst(codes) if codes else 0


def _judged(run: Path) -> int:
    """Show a run's verdicts as they are judged now; returns its code."""
    from lab import judging, report

    verdicts, missing = judging.judge_all(_in(run, None), run)
    print(printable(report.claims_table(verdicts, run.name).text(_width())) + "\n")
    for name, why in missing.items():
        print(printable(f"{name}: inconclusive: {why}\n"))
    return judging.exit_code(verdicts, missing)


def _why(options: argparse.Namespace) -> int:
    from lab import why
    from lab.bundle import unpack
    from lab.tell import recorded_run

    if options.run == "recorded":
        for name in [options.failure] if options.failure else failures.names():
            run = recorded_run(name)
            print(printable("\n".join([*why.lines(run.judge(), run.folder), ""])))
        return 0
    with unpack.opened(options.run) as folder:
        told, code = _explained(folder, options.failure)
        # Of a bundle, paths are told as they will be when a person unpacks it.
        for_now = f"{folder.parent}{os.sep}" if unpack.find(options.run) else ""
    print(printable("\n".join(told).replace(for_now, "")))
    return code


def _explained(folder: Path, failure: str | None) -> tuple[list[str], int]:
    """Why a run's verdicts are as they are, in lines; and the code."""
    from lab import judging, why

    verdicts, missing = judging.judge_all(_in(folder, failure), folder)
    told = [line for one in verdicts for line in [*why.lines(one, folder / one.failure), "", ""]]
    told += [f"{name}: inconclusive: {reason}\n" for name, reason in missing.items()]
    return told, 3 if missing else 0


def _pcapng(options: argparse.Namespace) -> int:
    """3 where the packets of a call, or a failure's evidence, are not to be had."""
    from lab import call_packets, judging

    run, code = _place(options.run), 0
    for failure in _in(run, options.failure):
        try:
            case = judging.open_case(failure, run)
            known = [*case.calls]
            if options.call and options.call not in known:
                near = meant(options.call, known)
                raise BadArguments(f"no call {options.call!r}: {near}there is {', '.join(known)}")
            for name in [options.call] if options.call else known:
                path = _path_of(options, failure.name, call_packets.file_name(name))
                code = max(code, _written(case, name, path))
        except BadEvidence as problem:
            print(printable(f"{failure.name}: not written: {problem}"))
            code = 3
    return code


def _written(case: Case, name: str, path: Path) -> int:
    """3 where a call was made between pods, and its packets are not to be had."""
    from lab import call_packets

    try:
        count = call_packets.write(case, name, path)
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


def _compare(options: argparse.Namespace) -> int:
    from contextlib import ExitStack

    from lab import side_by_side
    from lab.bundle import unpack

    with ExitStack() as opened:
        left, right = (opened.enter_context(_opened(one)) for one in (options.left, options.right))
        elsewhere = right == store.RECORDED or unpack.find(options.right)
        beside = store.runs() if elsewhere else right
        return side_by_side.compare_runs(left, right, beside, _width())


def _opened(word: str) -> AbstractContextManager[Path]:
    """A run's folder as `compare` needs it: of a bundle, unpacked for as long."""
    from contextlib import nullcontext

    from lab.bundle import unpack

    return nullcontext(store.RECORDED) if word == "recorded" else unpack.opened(word)


def _bundle(options: argparse.Namespace) -> int:
    from pathlib import Path

    from lab.bundle import pack

    run = _place(options.run)
    name = options.run if run == store.RECORDED else run.name
    packed = pack.pack(run, name)
    target = Path(options.output or store.runs())
    if target.is_dir() or not options.output:
        target /= f"{name}.tar.gz"
    store.write_bytes(target, packed.archive)
    told = [f"{path}: left out: {why}" for path, why in packed.left_out.items()]
    told += [
        f"{target}: {packed.files} files, {packed.unpacked / 1e6:.1f} MB, "
        f"{len(packed.archive) / 1e6:.1f} MB packed",
        "Text is without secrets; captures are as they crossed the wire, for all who get them.",
        f"Next: python -m lab judge {target}",
    ]
    print(printable("\n".join(told)))
    return 0


def _graph(options: argparse.Namespace) -> int:
    """The figure, and beside it its words and its table; 3 where evidence is damaged."""
    from pathlib import Path

    from lab import judging, planes_figure

    run, code = _place(options.run), 0
    given = Path(options.output)
    for failure in _in(run, options.failure):
        single = options.failure and not given.is_dir()
        path = given if single else given / planes_figure.file_name(failure.name)
        try:
            written = planes_figure.write(judging.open_case(failure, run), path)
            print(printable(f"{written}\n{written.with_suffix('.md')}: the same in words"))
        except BadEvidence as problem:
            print(printable(f"{failure.name}: not drawn: {problem}"))
            code = 3
    return code


def _report(options: argparse.Namespace) -> int:
    from lab import ownership
    from lab.site import page

    try:
        written = page.write([_place(word) for word in options.runs or ["latest"]])
    finally:
        ownership.give_back()
    print(f"Report: {printable(str(store.from_here(written)))}")
    return 0


def _place(word: str) -> Path:
    """Where a run's evidence lies; `recorded` is what is committed."""
    return store.RECORDED if word == "recorded" else store.find(word)


def _in(run: Path, failure: str | None) -> list[Failure]:
    """The failures that a stored run has a folder of. Raises BadArguments for another."""
    there = [name for name in failures.names() if reading.is_there(run / name)]
    if failure and failure not in there:
        raise BadArguments(f"run {run.name} has no {failure!r}; it has {', '.join(there)}")
    return [failures.load(name) for name in ([failure] if failure else there)]


def _record(options: argparse.Namespace) -> int:
    from lab import evidence

    run = store.find(options.run)
    for name in failures.names():
        if (run / name / "verdict.json").exists():
            evidence.load(run / name)  # what is damaged is not recorded
            kept = store.record(run, name, turned=options.turned)
            print(kept.relative_to(store.ROOT))
    return 0


def _exec(options: argparse.Namespace) -> int:
    from clusters import open_cluster
    from clusters.base import PodRef

    cluster = open_cluster("auto")
    if not options.words:
        raise BadArguments("no command given", hint="python -m lab exec POD -n NAMESPACE -- CMD")
    namespace = options.namespace or _namespace_of(cluster, options.pod)
    return cluster.exec_here(
        PodRef(namespace, options.pod, "", ()), options.words, options.container
    )


def _namespace_of(cluster: OwnCluster, pod: str) -> str:
    found = [
        str(item["metadata"]["namespace"])
        for item in cluster.kube.items("/api/v1/pods")
        if item["metadata"]["name"] == pod
    ]
    if len(found) != 1:
        raise BadArguments(f"{len(found)} pods are named {pod!r}", hint="name the namespace: -n")
    return found[0]


def _width() -> int:
    return min(120, shutil.get_terminal_size((100, 24)).columns)


def _help(_options: argparse.Namespace) -> int:
    _parser().print_help()
    return 0


_COMMANDS = {
    "help": _help,
    "list": _list,
    "show": _show,
    "preview": _preview,
    "cache-key": _cache_key,
    "cache-path": _cache_path,
    "up": _up,
    "down": _down,
    "status": _status,
    "run": _run,
    "observe": _observe,
    "judge": _judge,
    "why": _why,
    "pcapng": _pcapng,
    "graph": _graph,
    "report": _report,
    "compare": _compare,
    "bundle": _bundle,
    "record": _record,
    "exec": _exec,
    "shell": _shell,
}

if __name__ == "__main__":
    interrupt.listen()
    sys.exit(main(sys.argv[1:]))
