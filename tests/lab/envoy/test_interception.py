"""Which of a pod's connections its sidecar takes."""

from __future__ import annotations

from typing import Any

import pytest

from lab.envoy import interception
from lab.envoy.interception import Interception

ARGS = ["istio-iptables", "-p", "15001", "-z", "15006", "-u", "1337", "-m", "REDIRECT"]


def pod(args: list[str] | None = None, **annotations: str) -> dict[str, Any]:
    init = [{"name": "istio-init", "args": [*ARGS, *(args or [])]}] if args is not None else []
    prefixed = {f"traffic.sidecar.istio.io/{name}": value for name, value in annotations.items()}
    return {
        "metadata": {"annotations": prefixed},
        "spec": {"initContainers": init, "containers": [{"name": "app"}, {"name": "istio-proxy"}]},
    }


def read(one: dict[str, Any]) -> Interception:
    found = interception.read(one)
    assert found
    return found


@pytest.mark.parametrize(
    ("one", "inbound", "outbound"),
    [
        (pod(["-i", "*", "-x", "", "-b", "*", "-d", "15090,15021,15020"]), True, True),
        (pod(["-i", "*", "-b", "*", "-d", "15090,8080"]), False, True),
        (pod(["-i", "*", "-b", "9090", "-d", ""]), False, True),
        (pod(["-i", "10.96.0.0/12", "-b", "*", "-d", ""]), True, True),
        (pod(["-i", "10.0.0.0/24", "-b", "*", "-d", ""]), True, False),
        (pod(["-i", "*", "-x", "10.96.0.0/12", "-b", "*", "-d", ""]), True, False),
        (pod(["-i", "*", "-b", "*", "-d", "", "-o", "8000"]), True, False),
        (pod(["-i", "", "-b", "*", "-d", "", "-q", "8000"]), True, True),
        (pod(excludeInboundPorts="8080"), False, True),
        (pod(excludeOutboundPorts="8000"), True, False),
        (pod(), True, True),
    ],
)
def test_what_istio_init_or_annotations_leave_out_is_not_taken(
    one: dict[str, Any], inbound: bool, outbound: bool
) -> None:
    found = read(one)
    assert found.takes_in(8080) == inbound
    assert found.takes_out("10.96.1.1", 8000) == outbound


def test_the_proxys_own_and_what_goes_to_loopback_are_never_taken() -> None:
    found = read(pod([]))
    assert not found.takes_out("10.96.1.1", 8000, uid=interception.PROXY_UID)
    assert not found.takes_out("127.0.0.1", 8000)
    assert not found.takes_in(15021)


def test_a_pod_without_a_sidecar_or_on_the_hosts_network_takes_nothing() -> None:
    plain = {"spec": {"containers": [{"name": "app"}]}}
    assert interception.read(plain) is None
    on_host = pod([])
    on_host["spec"]["hostNetwork"] = True
    assert interception.read(on_host) is None
