"""`istio-lab`: list, show, doctor, up, down, status, run, judge, why, compare and others.

doctor, list, show and cache-key need nothing but a Python: they work before any set-up.
"""

from __future__ import annotations

import sys

if sys.version_info < (3, 11):  # noqa: UP036  (any Python may start this file)
    sys.exit("the lab needs Python 3.11 or later; this is " + sys.version.split()[0])

import argparse
import errno
import io
import os
import subprocess
import traceback
from typing import TYPE_CHECKING, NoReturn

from lab import failures
from lab.commands import new, plan, stored
from lab.common import signals
from lab.common.errors import BadArguments, LabError
from lab.common.suggest import meant
from lab.common.text import printable, terminal_width
from lab.observe import command

if TYPE_CHECKING:
    from clusters.base import OwnCluster


_OF_THIS_MACHINE = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES)
"""A full disk, and one that may not be written: nothing that the lab could mend."""


class _Parser(argparse.ArgumentParser):
    """Bad arguments are code 254, with the nearest command named."""

    def error(self, message: str) -> NoReturn:
        raise BadArguments(message, hint=f"{self.prog} --help")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="istio-lab", description=__doc__)
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
    stored.add(commands)
    new.add(commands)
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
        hint = f"make env, then istio-lab {' '.join(argv)}"
    if not told:
        traceback.print_exception(problem)
        told, hint = "this is a defect of the lab itself", ""
    print(f"lab: {told}" + (f"\n  -> {hint}" if hint else ""), file=sys.stderr)
    return 255


def _answer(argv: list[str]) -> int:
    if argv[:1] == ["doctor"]:
        from clusters.doctor import machine

        return machine.main(argv[1:])
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
    from lab.commands import show

    names = [options.failure] if options.failure else failures.names()
    told = (
        show.story(names[0], terminal_width())
        if options.failure
        else show.table(names, terminal_width())
    )
    print(printable(told))
    return 0


def _preview(options: argparse.Namespace) -> int:
    from lab.commands import show

    told = show.preview(terminal_width(), options.cluster)
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
    print(f"up. Next:\n  istio-lab shell\n  export KUBECONFIG={cluster.kubeconfig}")
    return 0


def _down(options: argparse.Namespace) -> int:
    from lab.common import scratch

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
    from lab.commands import compare, run, sudo

    given = {}
    for word in options.params.split():
        name, equals, value = word.partition("=")
        if not equals:
            raise BadArguments(f"{word!r} is not NAME=VALUE")
        given[name] = value
    names = [name for word in options.failures for name in word.split(",")]
    clusters = options.cluster.split(",")
    plans = [
        plan.plan(names, given, cluster, options.keep, stack)
        for cluster in clusters
        for stack in assembly.several()
    ]
    try:
        code = (
            run.run(plans[0])[1]
            if len(plans) == 1
            else compare.run_several(plans, terminal_width())
        )
    finally:
        with signals.held(last=True):
            sudo.give_back()
    return _warned(code) if options.on_inconclusive == "warn" else code


def _observe(options: argparse.Namespace) -> int:
    return command.main(options)


def _warned(code: int) -> int:
    """0 in the place of 3, and a line that nobody overlooks; every other code as it is."""
    if code != 3:
        return code
    mark = "::warning::" if os.environ.get("GITHUB_ACTIONS") else "WARNING: "
    print(f"{mark}not everything could be said: 0 in the place of 3, by --on-inconclusive=warn")
    return 0


def _exec(options: argparse.Namespace) -> int:
    from clusters import open_cluster
    from clusters.base import PodRef

    cluster = open_cluster("auto")
    if not options.words:
        raise BadArguments("no command given", hint="istio-lab exec POD -n NAMESPACE -- CMD")
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
    "exec": _exec,
    "shell": _shell,
    **stored.COMMANDS,
    **new.COMMANDS,
}


def start() -> NoReturn:
    """Run the command that this process was started for, and exit with its code."""
    signals.listen()
    if isinstance(sys.stdout, io.TextIOWrapper):
        # Also into a pipe: what was said before stays before what is said on stderr.
        sys.stdout.reconfigure(line_buffering=True)
    sys.exit(main(sys.argv[1:]))


if __name__ == "__main__":
    start()
