"""Nodes as they are asked for, and who may be on which: without a cluster."""

from __future__ import annotations

import json

import pytest

from clusters import open_cluster
from clusters.kind.nodes import nodes
from lab import failures
from lab.common.errors import BadArguments
from lab.model.parameters import parameters_of, with_parameters
from lab.workloads.manifests import CALLERS, SIDE, WORKLOADS, Setting


@pytest.mark.parametrize(
    ("count", "sides"),
    [
        (1, [None]),
        (2, ["caller", "callee"]),
        (3, [None, "caller", "callee"]),
        (4, [None, "caller", "callee", "caller"]),
    ],
)
def test_nodes_that_take_pods_are_for_one_side_each_where_there_are_two(
    count: int, sides: list[str | None]
) -> None:
    made = nodes(count, "image")
    assert [node["role"] for node in made] == ["control-plane", *["worker"] * (count - 1)]
    assert [node.get("labels", {}).get(SIDE) for node in made] == sides
    untainted = [json.loads(one) for one in made[0].get("kubeadmConfigPatches", [])]
    assert bool(untainted) is (count == 2), "with one worker the control plane takes pods too"


@pytest.mark.parametrize("name", failures.names())
def test_whoever_calls_in_a_failure_is_a_caller_and_who_is_asked_is_none(name: str) -> None:
    failure = failures.load(name)
    filled = with_parameters(failure, parameters_of(failure, {}))
    made = [call for call in filled.all_calls.values() if call.source != "api"]
    # A variant has the place of what it is made of.
    made_of = {one.name: one.of or one.name for w in failure.worlds for one in w.variants}
    asked = {workload for call in made for workload in (call.to, call.asked[0])}
    assert {made_of.get(call.source, call.source) for call in made} <= CALLERS
    assert not {made_of.get(name, name) for name in asked} & CALLERS


def test_a_workload_keeps_off_the_other_sides_nodes_and_takes_any_without_a_side() -> None:
    for name, side in (("client", "callee"), ("httpbin", "caller")):
        pod = WORKLOADS[name](Setting())[1]["spec"]["template"]["spec"]
        wanted = pod["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
        rule = {"key": SIDE, "operator": "NotIn", "values": [side]}
        assert wanted["nodeSelectorTerms"] == [{"matchExpressions": [rule]}]


def test_a_number_of_nodes_that_a_cluster_cannot_have_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for asked, kind, said in (("3", "embedded", "at most NODES=1"), ("many", "kind", "NODES=many")):
        monkeypatch.setenv("LAB_NODES", asked)
        with pytest.raises(BadArguments, match=said):
            open_cluster(kind)
