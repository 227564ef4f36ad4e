"""The gate, on recorded configurations: what is the same, and what is named as differing."""

from __future__ import annotations

import copy
import gzip
import json
from typing import Any

import pytest

from lab.audit.changed import gate
from lab.common.errors import BadEvidence
from lab.model import store


@pytest.fixture
def dump() -> Any:
    folder = store.RECORDED / "wrong_version_number" / "config"
    path = next(one for one in sorted(folder.glob("posted-client*.json.gz")))
    return json.loads(gzip.decompress(path.read_bytes()))


def lists(dump: Any, name: str) -> list[Any]:
    found: list[Any] = next(part[name] for part in dump["configs"] if part.get(name))
    return found


def test_order_versions_times_and_what_the_bootstrap_adds_are_no_difference(dump: Any) -> None:
    other = copy.deepcopy(dump)
    lists(other, "dynamic_active_clusters").reverse()
    for one in lists(other, "dynamic_listeners"):
        one["active_state"] |= {"version_info": "later", "last_updated": "2000-01-01T00:00:00Z"}
    other["configs"] = [
        {key: value for key, value in part.items() if not key.startswith("static_")}
        for part in reversed(other["configs"])
        if "bootstrap" not in part
    ]
    assert len(gate.resources(dump)) > 10
    assert gate.differences(dump, other) == []


def test_each_resource_that_differs_is_named_with_the_place(dump: Any) -> None:
    other = copy.deepcopy(dump)
    gone = lists(other, "dynamic_active_clusters").pop()["cluster"]["name"]
    inbound = next(
        one for one in lists(other, "dynamic_listeners") if one["name"] == "virtualInbound"
    )
    inbound["active_state"]["listener"]["filter_chains"][1]["name"] = "another"
    found = gate.differences(dump, other)
    assert f"cluster {gone} is held, and not generated" in found
    assert "listener virtualInbound differs at filter_chains[1].name" in found
    turned = gate.differences(other, dump)
    assert f"cluster {gone} is generated, and the proxy does not hold it" in turned


def test_an_endpoint_that_is_elsewhere_or_speaks_otherwise_is_a_difference(dump: Any) -> None:
    asked = {
        one["cluster"]["name"]
        for one in lists(dump, "dynamic_active_clusters")
        if one["cluster"].get("type") == "EDS"
    }
    told = [
        one["endpoint_config"]
        for one in lists(dump, "dynamic_endpoint_configs")
        if one["endpoint_config"].get("cluster_name") in asked
        and one["endpoint_config"].get("endpoints")
    ]
    assert told
    for change in ({"metadata": {}}, {"load_balancing_weight": 7}, {"health_status": "DRAINING"}):
        other = copy.deepcopy(dump)
        for one in lists(other, "dynamic_endpoint_configs"):
            for group in one["endpoint_config"].get("endpoints") or ():
                for end in group.get("lb_endpoints") or ():
                    end.update(change)
        found = gate.differences(dump, other)
        assert any(one.startswith("endpoints outbound|") for one in found), change


def test_a_route_that_no_listener_uses_any_more_is_no_difference(dump: Any) -> None:
    other = copy.deepcopy(dump)
    lists(other, "dynamic_route_configs").append({"route_config": {"name": "left over"}})
    assert gate.differences(other, dump) == []
    used = lists(other, "dynamic_route_configs")[0]["route_config"]
    used["virtual_hosts"] = []
    assert gate.differences(other, dump) != []


@pytest.mark.parametrize("wrong", [{}, {"configs": [1]}, {"configs": [{"dynamic_listeners": [1]}]}])
def test_what_is_no_config_dump_is_a_sentence(wrong: Any, dump: Any) -> None:
    with pytest.raises(BadEvidence, match="not such as Envoy's"):
        gate.differences(wrong, dump)
