"""`istio-lab pcapng`: the packets of calls, of all hops in one file, with comments."""

from __future__ import annotations

import argparse
from pathlib import Path

from lab.commands.stored import failures_in, folder
from lab.common.errors import BadArguments, BadEvidence
from lab.common.suggest import meant
from lab.common.text import printable
from lab.judge import stored
from lab.judge.case import Case
from lab.render import call_pcapng


def add(parser: argparse.ArgumentParser) -> None:
    """Take a run, a failure, a call, and where to write."""
    parser.add_argument("run", help="a stored run, `latest`, or `recorded`")
    parser.add_argument("failure", nargs="?", help="default: all failures of the run")
    parser.add_argument("call", nargs="?", help="default: all calls, a file each")
    parser.add_argument("-o", "--output", required=True, help="a folder, or a file for one call")


def run(options: argparse.Namespace) -> int:
    """Return 3 where a call's packets, or a failure's evidence, cannot be read."""
    place, code = folder(options.run), 0
    for failure in failures_in(place, options.failure):
        try:
            case = stored.open_case(failure, place)
            known = [*case.calls]
            if options.call and options.call not in known:
                near = meant(options.call, known)
                raise BadArguments(f"no call {options.call!r}: {near}there is {', '.join(known)}")
            for name in [options.call] if options.call else known:
                path = _target(options, failure.name, call_pcapng.file_name(name))
                code = max(code, _write(case, name, path))
        except BadEvidence as problem:
            print(printable(f"{failure.name}: not written: {problem}"))
            code = 3
    return code


def _write(case: Case, name: str, path: Path) -> int:
    """Write a call's file; return 3 where it was made between pods and has no packets."""
    try:
        count = call_pcapng.write(case, name, path)
    except BadEvidence as problem:
        print(printable(f"not written: {problem}"))
        made = case.evidence.call(name) is not None and case.calls[name].source != "api"
        return 3 if made else 0
    print(printable(f"{path}: {count} packets"))
    return 0


def _target(options: argparse.Namespace, failure: str, name: str) -> Path:
    """Return where a call's file goes: into its failure's folder, unless one call was asked for."""
    given = Path(options.output)
    if not options.call:
        return given / failure / name
    return given if given.suffix and not given.is_dir() else given / name
