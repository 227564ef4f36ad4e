"""The command line: finds the command, reads its arguments, and tells errors in sentences."""

from __future__ import annotations

import argparse
import errno
import gc
import io
import os
import sys
import traceback
from typing import NoReturn

from lab.commands import registry
from lab.common import places, signals
from lab.common.errors import BadArguments, LabError
from lab.common.suggest import meant
from lab.common.text import printable

_OF_THIS_MACHINE = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES)
"""A full disk, and one that may not be written: nothing that the lab could mend."""


class _Parser(argparse.ArgumentParser):
    """A parser that raises BadArguments, which ends with code 254."""

    def error(self, message: str) -> NoReturn:
        raise BadArguments(message, hint=f"{self.prog} --help")


def main(argv: list[str]) -> int:
    """Run a command and return its exit code. What the lab foresees is a sentence on stderr."""
    try:
        return _run(argv)
    except LabError as problem:
        print(f"lab: {printable(str(problem))}", file=sys.stderr)
        return problem.exit_code
    except KeyboardInterrupt:
        print("\nlab: interrupted", file=sys.stderr)
        return 255
    except BrokenPipeError:  # the reader of our output has ended, which says nothing of a verdict
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 255 if argv[:1] == ["run"] else 0
    except Exception as problem:
        return _failed(problem, argv)


def _run(argv: list[str]) -> int:
    name, *rest = argv or ["help"]
    if name in ("-h", "--help"):
        name = "help"
    if name in ("-V", "--version"):
        print(f"istio-lab {places.version()}")
        return 0
    if name not in registry.SUMMARIES:
        near = meant(name, registry.SUMMARIES)
        raise BadArguments(
            f"no command {name!r}{near and f': {near.strip()}'}",
            hint="istio-lab help shows all commands",
        )
    command = registry.module(name)
    summary = registry.SUMMARIES[name]
    parser = _Parser(prog=f"istio-lab {name}", description=f"{summary[0].upper()}{summary[1:]}.")
    command.add(parser)
    # What follows `--` belongs to another program: its options are not the lab's.
    cut = rest.index("--") if "--" in rest else len(rest)
    options = parser.parse_args(rest[:cut])
    options.words = rest[cut + 1 :]
    return int(command.run(options))


def _failed(problem: Exception, argv: list[str]) -> int:
    """Return 255, and tell a sentence where this machine is the reason; else a traceback."""
    told, hint = "", ""
    if isinstance(problem, OSError) and problem.errno in _OF_THIS_MACHINE:
        told = f"{problem.filename or 'a file'}: {problem.strerror}"
        hint = "LAB_RUNS, LAB_CACHE and TMPDIR say where the lab writes"
    if isinstance(problem, ModuleNotFoundError):
        missing = (problem.name or "").partition(".")[0]
        told = "" if missing in ("lab", "clusters") else f"this Python has no {problem.name}"
        hint = places.set_up(f"istio-lab {' '.join(argv)}")
    if not told:
        traceback.print_exception(problem)
        told, hint = "this is a defect of the lab itself: please report the lines above", ""
    print(f"lab: {told}" + (f"\n  -> {hint}" if hint else ""), file=sys.stderr)
    return 255


def start() -> NoReturn:
    """Run the command that this process was started for, and exit with its code."""
    signals.listen()
    # Evidence is read into very many small objects that stay. To look through them for garbage at
    # every 700 more, as Python does, takes a tenth of the time.
    gc.set_threshold(50_000, 20, 20)
    if isinstance(sys.stdout, io.TextIOWrapper):
        # Into a pipe too, what was printed before an error comes before the error.
        sys.stdout.reconfigure(line_buffering=True)
    sys.exit(main(sys.argv[1:]))
