"""What is typed over an edge, and by which names its ends are told apart."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from clusters.base import PodRef
from lab.common.errors import BadArguments, BadEvidence
from lab.observe import ends, stored
from lab.observe.ends import Target
from lab.observe.recording import command, live_world


def pod(name: str, namespace: str = "shop", ip: str = "10.0.0.1") -> PodRef:
    return PodRef(namespace, name, ip, ("app", "istio-proxy"))


def target(spoken: str = "http", *pods: PodRef) -> Target:
    ends = pods or (pod("web-5d4f8-abcde"),)
    return Target("web", "shop", "10.96.0.7", 80, 8080, spoken, ends)


@pytest.mark.parametrize(
    ("spoken", "typed", "expected"),
    [
        ("http", "", "curl -H 'x-lab-marker: {marker}' -sS --http0.9 http://web.shop:80/"),
        ("tcp", "", "curl -H 'x-lab-marker: {marker}' -sS --http0.9 http://web.shop:80/"),
        ("https", "", "curl -H 'x-lab-marker: {marker}' -sS --http0.9 -k https://web.shop:80/"),
        (
            "grpc",
            "",
            "curl -H 'x-lab-marker: {marker}' -sS --http2-prior-knowledge http://web.shop:80/",
        ),
        ("http", "curl -d {marker} web/x", "curl -d '{marker}' web/x"),
        ("http", "nc web 80", "nc web 80"),
    ],
)
def test_what_is_typed_is_a_get_that_carries_the_marker_unless_something_else_is_wished(
    spoken: str, typed: str, expected: str
) -> None:
    assert command(target(spoken), typed) == expected


def test_ends_have_their_deployments_names_and_whole_ones_where_those_are_alike() -> None:
    live = live_world(pod("cart-7c9d5-x2x4z"), target())
    assert [*live.pods] == ["cart", "web"]
    twins = (pod("web-5d4f8-abcde"), pod("web-5d4f8-fghij"))
    live = live_world(pod("cart-7c9d5-x2x4z"), target("http", *twins))
    assert [*live.pods] == [
        "cart-7c9d5-x2x4z.shop",
        "web-5d4f8-abcde.shop",
        "web-5d4f8-fghij.shop",
    ]
    assert live.all_ports == {80, 8080}


def test_a_pod_that_would_call_itself_is_no_edge() -> None:
    with pytest.raises(BadArguments, match="would call itself"):
        live_world(pod("web-5d4f8-abcde"), target())


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"source": 1}'])
def test_a_recorded_edge_that_is_damaged_is_a_sentence(content: str, tmp_path: Path) -> None:
    (tmp_path / stored.NAME).mkdir()
    (tmp_path / stored.NAME / "call.json").write_text(content)
    with pytest.raises(BadEvidence, match=r"call\.json holds no call"):
        stored.read(tmp_path)


def test_what_was_asked_is_read_as_it_was_kept(tmp_path: Path) -> None:
    asked = stored.AskedCall("cart", "web", "web", 80, "curl web")
    stored.save(asked, tmp_path)
    assert json.loads((tmp_path / "call.json").read_text()) == vars(asked)
    assert asked.call.asked == ("web", "web", 80)


class Objects:
    """What an API server would list, by path."""

    def __init__(self, **listed: list[dict]) -> None:
        self._listed = listed

    def items(self, path: str, _query: object = None) -> list[dict]:
        return self._listed.get(path.rpartition("/")[2], [])


def service(**spec: object) -> dict:
    return {"metadata": {"name": "db"}, "spec": spec}


def listed_pod(address: str) -> dict:
    spec = {"nodeName": "node", "containers": [{"name": "app"}]}
    status = {"podIP": address, "conditions": [{"type": "Ready", "status": "True"}]}
    meta = {"namespace": "shop", "name": "db-0", "uid": "1"}
    return {"metadata": meta, "spec": spec, "status": status}


def test_another_name_of_a_service_is_told_as_such() -> None:
    objects = Objects(services=[service(type="ExternalName", externalName="db.other.example")])
    with pytest.raises(BadArguments, match=r"is another name of db\.other\.example"):
        ends.target(objects, "db:5432", "shop")


@pytest.mark.parametrize("address", ["10.0.0.7", "192.0.2.9"])
def test_a_service_without_a_selector_leads_to_the_pods_that_somebody_listed(address: str) -> None:
    ports = [{"port": 5432, "targetPort": 5432}]
    objects = Objects(
        services=[service(clusterIP="10.96.0.9", ports=ports)],
        endpointslices=[{"endpoints": [{"addresses": [address]}]}],
        pods=[listed_pod("10.0.0.7")],
    )
    if address == "10.0.0.7":
        assert [pod.name for pod in ends.target(objects, "db:5432", "shop").pods] == ["db-0"]
    else:
        with pytest.raises(BadArguments, match=r"leads to 192\.0\.2\.9, which is no pod"):
            ends.target(objects, "db:5432", "shop")


@pytest.mark.parametrize(
    ("address", "port", "told"),
    [
        ("192.0.2.9", 5432, r"db\.example leads to 192\.0\.2\.9, which is no pod"),
        ("10.0.0.7", 5433, r"has no port 5433: it has 5432"),
    ],
)
def test_a_host_of_a_service_entry_that_leads_to_no_pod_is_told_as_such(
    address: str, port: int, told: str
) -> None:
    with pytest.raises(BadArguments, match=told):
        ends.target(entry(address), f"db.example:{port}", "shop")


def test_a_host_of_a_service_entry_leads_to_the_pods_that_it_lists() -> None:
    found = ends.target(entry("10.0.0.7"), "db.example:5432", "shop")
    assert [pod.name for pod in found.pods] == ["db-0"]
    assert (found.host, found.address, found.target) == ("db.example", "240.0.0.9", 15432)


def entry(address: str) -> Objects:
    spec = {
        "hosts": ["db.example"],
        "addresses": ["240.0.0.0/24", "240.0.0.9"],
        "ports": [{"number": 5432, "name": "tcp-db", "protocol": "TCP"}],
        "endpoints": [{"address": address, "ports": {"tcp-db": 15432}}],
    }
    made = {"metadata": {"name": "db", "namespace": "shop"}, "spec": spec}
    return Objects(serviceentries=[made], pods=[listed_pod("10.0.0.7")])
