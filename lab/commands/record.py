"""`istio-lab record`: make a run's evidence the recorded evidence."""

from __future__ import annotations

import argparse
from pathlib import Path

from lab import failures
from lab.common import places
from lab.common.errors import BadArguments
from lab.declare.validate import without_pins
from lab.judge.case import Case
from lab.judge.verdict import judge as judge_case
from lab.model import evidence, pins, store
from lab.model.evidence import Evidence
from lab.model.failure import Failure
from lab.model.parameters import parameters_of
from lab.truth_table import keep, pinned, verdict
from lab.truth_table.recorded import TABLE

TABLES = (pinned.RECORDED.name, verdict.NAME)
"""Folders of a run that have a truth table, or the cells that a run of all failures measures."""


def add(parser: argparse.ArgumentParser) -> None:
    """Take a run."""
    parser.add_argument("run", nargs="?", default="latest", help="a stored run; default: latest")
    parser.add_argument(
        "--turned",
        action="store_true",
        help="keep it as the tests' evidence of the world turned round",
    )


def run(options: argparse.Namespace) -> int:
    """Copy the evidence of each failure that has a verdict, and keep what a truth table says.

    Raises BadEvidence where it is damaged, BadArguments where it is not what it is kept as, and
    NeedsUnmet outside a checkout.
    """
    places.require_checkout("istio-lab record")
    place = store.find(options.run)
    names = [name for name in failures.names() if (place / name / "verdict.json").exists()]
    found = {name: evidence.load(place / name) for name in names}
    measured = [] if options.turned else [one for one in TABLES if (place / one / TABLE).exists()]
    for name, recorded in found.items():  # all of them, before anything is copied
        refuse_other(failures.load(name), recorded, place / name, turned=options.turned)
    for name, recorded in found.items():
        kept = store.record(place, name, turned=options.turned)
        print(kept.relative_to(store.ROOT))
        print(f"  {_claimable(recorded)}")
        for missing in without_pins(failures.load(name)):
            print(f"  {missing}")
    for name in measured:
        print(keep.keep(place / name))
    return 0


def refuse_other(failure: Failure, recorded: Evidence, folder: Path, *, turned: bool) -> None:
    """Raise BadArguments where a run has not the parameters or words of what it is kept as."""
    usual = parameters_of(failure, {})
    other = {name: it for name, it in recorded.parameters.items() if usual.get(name) != it}
    if not turned and other:
        given = ",".join(f"{name}={value}" for name, value in other.items())
        raise BadArguments(
            f"run {recorded.run} was made with {given}; evidence/ is recorded without parameters",
            hint="record a run without PARAMS; or keep this one for the tests with --turned",
        )
    if not turned:
        return
    if not other:
        raise BadArguments(
            f"run {recorded.run} was made without parameters, so nothing in it is turned round",
            hint=f"first run: make reproduce FAILURE={failure.name} {_other_value(failure)}",
        )
    if not (store.RECORDED / failure.name).exists():
        raise BadArguments(
            f"evidence/{failure.name} is not there, so nothing tells what has turned",
            hint="first record a run without PARAMS",
        )
    if words(failure, folder) == words(failure, store.RECORDED / failure.name):
        raise BadArguments(
            f"run {recorded.run} has the same words as evidence/{failure.name}: nothing has turned",
            hint="choose a parameter that changes what happens; or the checks look at nothing",
        )


def _other_value(failure: Failure) -> str:
    """Return how a parameter gets another value than its default: `PARAMS=port_name=http-web`."""
    for name, parameter in failure.parameters.items():
        for value in parameter.allowed:
            if value != parameter.default:
                return f"PARAMS={name}={value}"
    return "with a parameter; it has none yet"


def words(failure: Failure, folder: Path) -> list[tuple[str, ...]]:
    """Return all words that are said of a failure's evidence. Raises BadEvidence."""
    return [said.words for said in judge_case(Case.open(failure, folder)).said]


def _claimable(recorded: Evidence) -> str:
    """Return whether pins speak of the stack that this run was made on."""
    cluster = recorded.cluster
    istio, envoy = (recorded.stack.get(part, "") for part in ("istio", "envoy"))
    stack = pins.Stack(cluster, pins.minor(istio), (envoy,))
    known = any(one.holds(istio, envoy, cluster) for one in pins.MEASURED)
    if known:
        return f"pins speak of this run's stack: {stack}"
    return f"no pin speaks of this run's stack: {stack}; add it to MEASURED in lab/model/pins.py"
