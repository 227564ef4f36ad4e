"""What `istio-lab run` is asked for, checked before anything is started."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from lab import failures
from lab.common import places
from lab.common.errors import BadArguments
from lab.model.failure import Failure
from lab.model.parameters import parameters_of
from lab.notebook import execute
from lab.truth_table import pinned
from lab.truth_table.verdict import NAME as CELLS


@dataclass(frozen=True)
class Plan:
    """One run, as it was asked for."""

    failures: tuple[Failure, ...]
    values: dict[str, str]
    cluster: str
    keep: bool
    command: str
    stack: Mapping[str, str] = field(default_factory=dict)
    """ISTIO= and ENVOY= as far as they were given, by their variables."""
    pods: int | None = None
    """At most so many pods at a time; None: as many as the machine has room for."""
    cells: bool = False
    """Whether the pinned cells of the truth table are measured beside the failures."""
    istioctl: bool = False
    """Whether istioctl is asked too, and its words are kept beside the packets."""
    left_out: str = ""
    """Why they are not, where nobody has asked for less than everything."""

    @property
    def names(self) -> tuple[str, ...]:
        """Return what has a notebook in this run: each failure, and the table's cells."""
        return (*(one.name for one in self.failures), *((CELLS,) if self.cells else ()))

    @property
    def replayed(self) -> bool:
        """Tell whether committed evidence takes a cluster's place."""
        from clusters import kind_of

        return kind_of(self.cluster).replayed

    @property
    def title(self) -> str:
        """Return the cluster, and its stack where one was asked for: `embedded, Istio 1.30`."""
        names = {"LAB_ISTIO": "Istio", "LAB_ENVOY": "Envoy"}
        return ", ".join([self.cluster, *(f"{names[n]} {v}" for n, v in self.stack.items())])


def plan(
    names: Sequence[str],
    given: dict[str, str],
    cluster: str,
    keep: bool,
    stack: Mapping[str, str] | None = None,
    *,
    istioctl: bool = False,
) -> Plan:
    """Return the run that is asked for, after refusing everything in it that does not exist.

    names: of failures, or of the table's cells; none: all. given: parameters. cluster: what
    follows `--cluster`. stack: ISTIO= and ENVOY= by their variables. LAB_PODS: how many pods at
    most at a time. istioctl: whether it is asked too. Raises BadArguments or NeedsUnmet; nothing is
    started.
    """
    from clusters import DEFAULT, check_stack, kind_of, open_cluster
    from lab.notebook.open_run import choose

    own = [name for name in names if name.replace("-", "_") != CELLS]
    every = tuple(failures.load(name) for name in (own if names else failures.names()))
    able = tuple(one for one in every if given.keys() <= one.parameters.keys())
    wanted = every if names else able or every
    for failure in wanted:
        parameters_of(failure, given)
        execute.require_parameters(failure)
        execute.convert(execute.NOTEBOOKS / f"{failure.name}.ipynb", given)
    # A run never falls back on recorded evidence by itself, as a notebook does.
    unnamed = cluster == "auto" and not os.environ.get("LAB_CLUSTER")
    kind = DEFAULT if unnamed else choose(cluster)[0]
    stack = stack or {}
    with own_environment(stack):
        check_stack(kind)
        if not kind_of(kind).replayed:
            open_cluster(kind)
        command = _command(names, given, kind if cluster != "auto" else "")
    without = _without_cells(given, kind)
    if own != [*names] and given:
        raise BadArguments(f"{CELLS}: {without}")
    cells = own != [*names] or not (names or without)
    unable = ", ".join(one.name for one in every if one not in wanted)
    others = f"{unable}, which {'has' if ',' not in unable else 'have'} no such parameters"
    told = "; ".join(filter(None, (without, others if unable else ""))) if not names else ""
    return Plan(wanted, given, kind, keep, command, stack, _pods(), cells, istioctl, told)


def _without_cells(given: Mapping[str, str], kind: str) -> str:
    """Return why the table's cells are left out of a run of everything; empty: they are not."""
    from clusters import kind_of

    if given:
        return "the truth table's cells have no parameters"
    cluster = kind_of(kind)
    if cluster.replayed or pinned.knows(cluster.name):
        return ""
    return (
        f"the truth table was never measured on a cluster of the kind {cluster.name}: "
        f"{_command([CELLS], {}, kind)} measures its cells"
    )


def _command(names: Sequence[str], given: Mapping[str, str], kind: str) -> str:
    """Return what to type for such a run: with make in a checkout, which a wheel has not."""
    params = " ".join(f"{name}={value}" for name, value in given.items())
    if places.INSTALLED:
        words = [*(f"LAB_{each}" for each in _variables()), "istio-lab run", *names]
        words += [f"--params '{params}'"] if given else []
        return " ".join([*words, *([f"--cluster {kind}"] if kind else [])])
    words = ["make reproduce", *_variables()]
    words += [f"FAILURE={','.join(names)}"] if names else []
    words += [f"PARAMS='{params}'"] if given else []
    return " ".join([*words, *([f"CLUSTER={kind}"] if kind else [])])


def _variables() -> list[str]:
    """Return the other variables that make was given, as they are typed."""
    names = ("ISTIO", "ENVOY", "BINARIES", "IMAGES", "REGISTRY", "NODES", "PODS")
    told = {name: os.environ.get(f"LAB_{name}") for name in names}
    return [f"{name}={value}" for name, value in told.items() if value]


def _pods() -> int | None:
    """Return LAB_PODS as a number, or None where it is not given. Raises BadArguments."""
    given = os.environ.get("LAB_PODS")
    if given and not (given.isdecimal() and int(given)):
        raise BadArguments(f"PODS={given} is not a number of pods")
    return int(given) if given else None


@contextmanager
def own_environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables, which notebooks inherit, until the end of this run."""
    before = dict(os.environ)
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
