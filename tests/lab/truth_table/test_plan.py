"""Which cells the table has, and where each of their configurations lies."""

from __future__ import annotations

from collections import Counter

import pytest

from lab.truth_table import objects, plan
from lab.truth_table.axes import CALLERS, GATEWAYS, NUMBERS, PAYLOADS, POLICIES, PORT_NAMES
from lab.truth_table.cells import Cell
from lab.truth_table.places import FIRST_TARGET, SOURCES, of_policy, places
from lab.workloads.manifests import Setting

EVERY = plan.cells()
KERNELS_PORTS = 32768
"""From here on the kernel hands out ports of its own (net.ipv4.ip_local_port_range)."""


def test_the_core_multiplies_payloads_names_policies_and_callers() -> None:
    core = Counter(cell.sends for cell in EVERY if not cell.leaves)
    for sends, sent in PAYLOADS.items():
        if not (sent.database or sent.udp):
            assert core[sends] == len(PORT_NAMES) * len(POLICIES) * len(CALLERS)


def test_databases_are_called_under_eight_names_and_datagrams_sent_under_all() -> None:
    core = Counter(cell.sends for cell in EVERY if not cell.leaves)
    assert {core[one] for one in ("mongo", "mysql", "mysql-tls", "redis")} == {8 * 3 * 2}
    assert core["udp"] == len(PORT_NAMES)


def test_no_cell_is_there_twice_and_each_has_a_name_of_its_own() -> None:
    assert len({*EVERY}) == len({cell.key for cell in EVERY}) == len(EVERY)


@pytest.mark.parametrize(
    ("axis", "count"),
    [
        ("rule", 7 * 4 * 5 * 3),
        ("address", 7 * 4 * 2 * 3 * 2 + 7 * 3 * 2 + 7 * 3),
        ("port_policy", 7 * 4 * 6 * 2),
        ("server", 7 * 4 * 2 * 2 + 7 * 4 * 3 * 2),
        ("number", 7 * 2 * 4 * 3 * 2),
        (
            "gateway",
            3 * 2 * 4 * 3
            + 3 * 4
            + 1
            + 2 * 6  # those that read requests
            + 7 * 4 * 3
            + 6 * 4 * 3
            + 4 * 3
            + 6  # those that hand bytes on
            + 7 * 4 * 3
            + 1,
        ),  # ISTIO_MUTUAL
        ("policy", 7 * 4 * 2),
    ],
)
def test_each_axis_leaves_the_core_as_often_as_is_written_down(axis: str, count: int) -> None:
    assert Counter(cell.leaves for cell in EVERY)[axis] == count


def test_a_cell_is_named_by_the_core_and_by_what_leaves_it() -> None:
    cell = Cell("h2", "http", "strict", "sidecar", rule="disable")
    assert cell.key == "h2/http/strict/sidecar/rule=disable"
    assert Cell("h2", "http", "strict", "none").key == "h2/http/strict/none"


def test_a_rule_is_only_tried_by_a_caller_whose_sidecar_reads_it() -> None:
    assert all(cell.caller == "sidecar" for cell in EVERY if cell.rule != "none")


def test_a_gateways_caller_is_outside_the_mesh_but_for_the_mode_that_is_the_meshs() -> None:
    inside = {one.gateway for one in EVERY if one.gateway != "none" and one.caller == "sidecar"}
    assert inside == {"istio-mutual"}


def test_what_ends_at_a_gateway_is_tried_with_one_name_and_one_policy_behind_it() -> None:
    ends = [one for one in EVERY if one.gateway == "simple-http" and one.sends not in plan.ROUTED]
    assert {one.sends for one in ends} == {*plan.ENDS_AT_GATEWAY}
    assert {(one.port_name, one.policy) for one in ends} == {("http", "strict")}


def test_no_two_configurations_share_a_port() -> None:
    found = [*places(EVERY).values()]
    at_gateway = [one.at_gateway for one in found if one.at_gateway]
    assert len({*at_gateway}) == len(at_gateway)
    numbers = Counter(one.number for one in found if one.configuration.number == "ordinary")
    assert max(numbers.values()) == 1
    assert max(Counter(one.target for one in found).values()) == 1


def test_ports_of_services_workloads_and_callers_are_apart_and_not_the_kernels() -> None:
    found = [*places(EVERY).values()]
    numbers = {one.number for one in found} - {one.target for one in found}
    targets = {one.target for one in found} | {one.at_gateway for one in found} - {0}
    known = {number for number in NUMBERS.values() if number}
    assert not (numbers - known) & {*SOURCES}
    assert min(targets) >= FIRST_TARGET
    assert max(targets | numbers | {*SOURCES}) < KERNELS_PORTS


def test_a_caller_has_a_source_port_for_each_of_its_calls() -> None:
    calls = Counter((cell.policy, cell.caller) for cell in EVERY)
    assert max(calls.values()) <= len(SOURCES)


def test_what_is_sent_and_who_calls_share_a_service_but_for_servers_that_speak_first() -> None:
    first, second = (Cell(sends, "http", "strict", "sidecar") for sends in ("h2", "tls"))
    stranger, greeted = Cell("h2", "http", "strict", "none"), Cell("server-first", *"abc")
    assert first.configuration == second.configuration == stranger.configuration
    assert greeted.configuration.sends == "server-first"


def test_both_payloads_of_mysql_share_a_service_and_no_other_database_does() -> None:
    each = {sends: Cell(sends, "tcp", "strict", "sidecar").configuration for sends in PAYLOADS}
    assert each["mysql"] == each["mysql-tls"]
    assert len({each[one] for one in ("mongo", "mysql", "redis", "udp", "server-first")}) == 5


def test_each_database_server_listens_at_the_ports_of_its_own_services() -> None:
    own = [*of_policy(places(EVERY).values(), "strict")]
    deployments = {one["metadata"]["name"]: one for one in made("strict")
                   if one["kind"] == "Deployment"}  # fmt: skip
    pod = deployments["server-databases"]["spec"]["template"]["spec"]
    for container in pod["containers"]:
        targets = [one.target for one in own if one.configuration.sends == container["name"]]
        assert len(targets) == 8
        assert container["args"] == [f"--ports={objects.ranges(targets)}"]
        assert container["readinessProbe"]["tcpSocket"]["port"] in targets
    assert [one["name"] for one in pod["containers"]] == ["mongodb", "mysql", "redis"]


def test_only_what_is_sent_by_udp_has_a_service_port_of_udp() -> None:
    own = places(EVERY).values()
    for place in own:
        for service in objects.services([place], "some")[:1]:
            (port,) = service["spec"]["ports"]
            assert (port.get("protocol") == "UDP") is (place.configuration.sends == "udp")


def made(policy: str) -> list[objects.Obj]:
    own = [*of_policy(places(EVERY).values(), policy)]
    return [*objects.workloads(policy, own, Setting(), "t"), *objects.services(own, "t")]


def test_a_namespace_has_its_policy_and_the_modes_of_single_ports() -> None:
    found = {
        one["metadata"]["name"]: one["spec"]
        for one in made("strict")
        if one["kind"] == "PeerAuthentication"
    }
    assert found["default"] == {"mtls": {"mode": "STRICT"}}
    modes = Counter(one["mode"] for one in found["server-ports"]["portLevelMtls"].values())
    assert {*modes} == {"PERMISSIVE", "DISABLE"}
    assert found["server-ports"]["selector"] == {"matchLabels": {"app": "server-ports"}}


def test_a_namespace_without_a_policy_has_none() -> None:
    kinds = {
        one["metadata"]["name"] for one in made("unset") if one["kind"] == "PeerAuthentication"
    }
    assert kinds == set()


def front(gateway: str) -> dict[str, objects.Obj]:
    """The objects of a configuration with this gateway, by their kinds."""
    cell = Cell("h2", "http", "strict", "none", gateway=gateway)
    found = objects.services([places([cell])[cell.configuration]], "t")
    return {one["kind"]: one["spec"] for one in found}


@pytest.mark.parametrize("gateway", [name for name, one in GATEWAYS.items() if one])
def test_each_configuration_has_a_gateways_server_and_a_route_of_its_kind(gateway: str) -> None:
    found, wanted = front(gateway), GATEWAYS[gateway]
    (server,) = found["Gateway"]["servers"]
    assert wanted
    assert server["port"]["protocol"] == wanted.protocol
    assert server.get("tls", {}).get("mode", "") == wanted.mode
    kind = "http" if wanted.reads_requests else "tls" if gateway == "passthrough" else "tcp"
    assert kind in found["VirtualService"]
    assert found["VirtualService"]["hosts"] == server["hosts"]


def test_a_gateways_server_is_taken_by_the_pod_of_its_own_namespace_only() -> None:
    template = next(
        one["spec"]["template"] for one in made("strict")
        if one["kind"] == "Deployment" and one["metadata"]["name"] == "gateway"
    )  # fmt: skip
    selector = front("tcp")["Gateway"]["selector"]
    assert selector.items() <= template["metadata"]["labels"].items()
    assert [*selector.values()] == ["t"]


def test_only_the_mode_of_the_mesh_has_a_service_and_a_rule_in_front_of_the_gateway() -> None:
    rules = {name: front(name).get("DestinationRule") for name, one in GATEWAYS.items() if one}
    assert [name for name, rule in rules.items() if rule] == ["istio-mutual"]


def test_each_service_is_visible_in_its_own_namespace_only() -> None:
    services = [one for one in made("permissive") if one["kind"] == "Service"]
    notes = [one["metadata"]["annotations"] for one in services]
    assert all(one == {"networking.istio.io/exportTo": "."} for one in notes)


@pytest.mark.parametrize("name", [*PORT_NAMES])
def test_a_service_calls_its_port_as_the_axis_says(name: str) -> None:
    cell = Cell("h2", name, "strict", "sidecar")
    place = places([cell])[cell.configuration]
    (service,) = objects.services([place], "t")
    (port,) = service["spec"]["ports"]
    wanted = PORT_NAMES[name]
    assert (port.get("name", ""), port.get("appProtocol", "")) == (
        wanted.name,
        wanted.app_protocol,
    )


def test_a_server_listens_at_its_ports_and_leaves_out_those_that_are_excluded() -> None:
    deployments = {
        one["metadata"]["name"]: one["spec"]["template"]
        for one in made("disable")
        if one["kind"] == "Deployment"
    }
    template = deployments["server-ports"]
    excluded = template["metadata"]["annotations"][
        "traffic.sidecar.istio.io/excludeInboundPorts"
    ].split(",")
    own = list(of_policy(places(EVERY).values(), "disable"))
    assert {*map(int, excluded)} == {
        one.target for one in own if one.configuration.server == "excluded"
    }
    args = " ".join(template["spec"]["containers"][0]["args"])
    assert (
        objects.ranges(
            one.target for one in own if one.workload == "server-ports" and one.server_first
        )
        in args
    )


@pytest.mark.parametrize(("numbers", "text"), [([], ""), ([7], "7"), ([9, 7, 8, 11], "7-9,11")])
def test_ports_are_written_as_ranges(numbers: list[int], text: str) -> None:
    assert objects.ranges(numbers) == text
