"""`istio-lab doctor`: what this machine has and lacks. Only the standard library."""

from __future__ import annotations

import argparse

from clusters import DEFAULT, KINDS, examination, kind_of, wanted
from clusters.doctor import machine
from clusters.doctor.requirement import Requirement
from clusters.embedded.requirements import FOR_OFFICIAL, WITHOUT_ROOT
from clusters.entries.entry import ClusterKind

FOR_TESTS = {  # program: Debian's package
    "tshark": "tshark",
    "git": "git",
    "docker-registry": "docker-registry",
    "npm": "npm",  # it fetches Kiali's console
    "chromium": "chromium",  # Playwright's own is not to be had everywhere
    **WITHOUT_ROOT,  # one test is an ordinary user
    **FOR_OFFICIAL,
}


def add(parser: argparse.ArgumentParser) -> None:
    """Take what to look at, and whether to install what is missing."""
    parser.add_argument(
        "--fix", action="store_true", help="install what is missing (as root on Debian or Ubuntu)"
    )
    parser.add_argument("--quiet", action="store_true", help="print only what is missing")
    parser.add_argument("--tests", action="store_true", help="check what `make test` needs too")
    parser.add_argument(
        "--cluster",
        default=DEFAULT,
        help=f"{', '.join(one.written for one in KINDS.values())}; default: {DEFAULT}",
    )
    parser.add_argument(
        "--before-run",
        action="store_true",
        help="check only those clusters that need more than `make env` installs",
    )


def run(options: argparse.Namespace) -> int:
    """Print a line for each requirement; return 0 where all are met, 1 otherwise."""
    words = wanted(options.cluster).split(",")
    kinds = [kind_of(word) for word in words]
    if options.before_run:
        kinds = [kind for kind in kinds if kind.examined_before_run()]
    return max((_report(kind, options) for kind in kinds), default=0)


def _report(kind: ClusterKind, options: argparse.Namespace) -> int:
    found = _examine(kind, options.tests)
    if options.fix and machine.remedy(found) and machine.install(found):
        found = _examine(kind, options.tests)
    lacking = [one.what for one in found if not one.good]
    for requirement in found:
        if not (requirement.good and options.quiet):
            _show(requirement)
    command = machine.remedy(found)
    if command:
        print(f"\nTo install all that is missing:\n  {command}")
    if kind.name == DEFAULT and not (options.quiet or options.tests):
        print("\nClusters that run on this machine:")
        for written, whether in examination.clusters_here():
            print(f"  {written:<13} {whether}")
    return 1 if lacking else 0


def _examine(kind: ClusterKind, for_tests: bool) -> list[Requirement]:
    """Return all that a kind of cluster needs of this machine. for_tests: and `make test`."""
    programs = {**FOR_TESTS} if for_tests else {}
    for other in KINDS.values():
        programs |= other.programs() if for_tests and other.tested_here() else {}
    return examination.examine(kind, programs)


def _show(requirement: Requirement) -> None:
    mark = "ok     " if requirement.good else "MISSING"
    print(f"{mark}  {requirement.what:<16} {requirement.told}")
    if not requirement.good:
        print(*(f"{'':26}{line}\n" for line in requirement.ways), sep="", end="")
