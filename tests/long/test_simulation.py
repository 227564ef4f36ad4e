"""The model of the proxies beside Istio's own simulation, on the truth table's configuration.

Istio's simulation (pilot/pkg/simulation) and `lab/envoy` walk the same listeners, which istiod's
code generates in one process: no cluster is used. Where the two differ, a cause is named
(tests/support/simulation_causes.py), and what was measured on a real mesh says which is right.
"""

from __future__ import annotations

from collections import Counter

import pytest
import simulation
from hops import Hop
from simulated_table import SimulatedTable
from simulation import Said
from simulation_causes import CAUSES, cause, differs

from lab.model import store
from lab.truth_table import answers, plan, results
from lab.truth_table.answers import Answer
from lab.truth_table.axes import POLICIES

pytestmark = [pytest.mark.long, pytest.mark.timeout(3600)]
FEWEST = 500
"""Calls that are compared, at least."""
NUMBERS = ("status", "attempts")


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> SimulatedTable:
    """The cells of the plan with a policy of three and no gateway, with generated configuration.

    The simulation walks to a gateway's listeners in another mode, and a rule of the whole mesh is
    none of a namespace's objects.
    """
    cells = [one for one in plan.cells() if one.gateway == "none" and one.policy in POLICIES]
    return SimulatedTable(cells, tmp_path_factory.mktemp("generated"))


@pytest.fixture(scope="module")
def said(table: SimulatedTable, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Said]:
    """What the simulation says of each call, by its name."""
    calls = [one.call for one in table.hops]
    return simulation.ask(table.world, tmp_path_factory.mktemp("asked"), calls)[0]


@pytest.fixture(scope="module")
def measured() -> dict[str, Answer]:
    """What a real mesh did with each cell."""
    rows = results.load(store.ROOT / "evidence" / "truth_table")
    return {key: _answer(row) for key, row in rows.items()}


def _answer(row: dict[str, str]) -> Answer:
    return Answer(**{
        name: int(row[name]) if name in NUMBERS else row[name] for name in results.ANSWER
    })  # fmt: skip


def differing(table: SimulatedTable, said: dict[str, Said]) -> list[tuple[Hop, Said]]:
    """Return the calls about which they differ, of those that were asked of both."""
    found = ((hop, said[hop.call.id]) for hop in table.hops if hop.call.id in said)
    return [(hop, theirs) for hop, theirs in found if differs(hop, theirs)]


def test_each_call_is_asked_of_both(table: SimulatedTable, said: dict[str, Said]) -> None:
    assert len(table.hops) >= FEWEST
    assert said.keys() == {one.call.id for one in table.hops}


def test_each_difference_has_a_cause_that_is_named(
    table: SimulatedTable, said: dict[str, Said]
) -> None:
    differ = differing(table, said)
    unexplained = [(hop, theirs) for hop, theirs in differ if cause(hop, theirs) is None]
    counted = Counter(found.name for one in differ if (found := cause(*one)))
    print(f"\n{len(table.hops)} calls, {len(differ)} differ: {dict(counted)}")
    assert unexplained == []
    assert counted.keys() == {one.name for one in CAUSES}, "a cause that does not occur is listed"


def test_where_they_differ_the_wire_was_as_the_model_says(
    table: SimulatedTable, said: dict[str, Said], measured: dict[str, Answer]
) -> None:
    cells = {hop.call.id.partition(" ")[0] for hop, _ in differing(table, said)}
    assert cells
    assert [one for one in cells if not answers.agree(table.foretold[one], measured[one])] == []


def test_the_generated_configuration_foretells_the_measured_table(
    table: SimulatedTable, measured: dict[str, Answer]
) -> None:
    foretold = table.foretold
    assert [one for one in foretold if not answers.agree(foretold[one], measured[one])] == []


def test_a_listener_that_only_one_of_them_sees_altered_is_noticed(
    table: SimulatedTable, said: dict[str, Said]
) -> None:
    """Without its inspectors, a listener takes nothing for HTTP or TLS."""
    altered = table.with_dumps(lambda text: text.replace("_inspector", "_inspector_gone"))
    assert any(cause(*one) is None for one in differing(altered, said))
