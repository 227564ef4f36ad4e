"""Whom an authorization policy lets through, and what it cannot decide."""

from __future__ import annotations

from typing import Any

import pytest

from lab.envoy import rbac
from lab.envoy.matching import Unreadable
from lab.envoy.rbac import Peer
from lab.envoy.routes import Request

ANY = {"any": True}
CLIENT = "spiffe://cluster.local/ns/a/sa/client"
MTLS = Peer("10.0.0.1", 8080, CLIENT, "", Request("b", "/admin", "GET"))
PLAIN = Peer("10.0.0.1", 8080, "", "", Request("b", "/admin", "GET"))
CONNECTION = Peer("10.0.0.1", 8080, CLIENT)


def named(identity: str) -> dict[str, Any]:
    return {"authenticated": {"principal_name": {"exact": identity}}}


def rules(action: str, permission: Any = ANY, principal: Any = ANY) -> dict[str, Any]:
    policy = {"permissions": [permission], "principals": [principal]}
    return {"action": action, "policies": {"p": policy}}


@pytest.mark.parametrize(
    ("filter_", "peer", "expected"),
    [
        (rules("ALLOW", principal=named(CLIENT)), MTLS, None),
        (rules("ALLOW", principal=named(CLIENT)), PLAIN, "none"),
        (rules("DENY", principal=named(CLIENT)), MTLS, "p"),
        (rules("DENY", principal=named(CLIENT)), PLAIN, None),
        (rules("DENY", principal={"not_id": {"authenticated": {}}}), PLAIN, "p"),
        (rules("DENY", permission={"destination_port": 8080}), MTLS, "p"),
        (rules("DENY", permission={"destination_port": 9090}), MTLS, None),
        (rules("DENY", permission={"url_path": {"path": {"prefix": "/admin"}}}), MTLS, "p"),
        (rules("DENY", permission={"url_path": {"path": {"exact": "/"}}}), MTLS, None),
        (rules("DENY", permission={"header": {"name": ":method",
                                              "string_match": {"exact": "GET"}}}),
         MTLS, "p"),
        (rules("DENY", permission={"not_rule": {"destination_port": 8080}}), MTLS, None),
        (rules("DENY", principal={"direct_remote_ip": {"address_prefix": "10.0.0.0",
                                                       "prefix_len": 8}}), PLAIN, "p"),
        (rules("DENY", principal={"filter_state": {"key": "io.istio.peer_principal",
                                                   "string_match": {"exact": CLIENT}}}), MTLS, "p"),
        (rules("LOG"), MTLS, None),
        ({"action": "ALLOW", "policies": {}}, MTLS, "none"),
    ],
)  # fmt: skip
def test_a_policy_refuses_or_lets_through(
    filter_: dict[str, Any], peer: Peer, expected: str | None
) -> None:
    assert rbac.refusing_policy(filter_, peer) == expected


def test_and_and_or_are_decided_by_what_is_known() -> None:
    unknown = {"metadata": {}}
    no = {"destination_port": 1}
    both = {"and_rules": {"rules": [unknown, no]}}
    either = {"or_rules": {"rules": [unknown, {"destination_port": 8080}]}}
    assert rbac.refusing_policy(rules("DENY", permission=both), MTLS) is None
    assert rbac.refusing_policy(rules("DENY", permission=either), MTLS) == "p"


def test_what_hangs_on_something_unknown_is_not_guessed() -> None:
    with pytest.raises(Unreadable, match="policy p asks for what is not known"):
        rbac.refusing_policy(rules("ALLOW", permission={"metadata": {}}), MTLS)


def test_a_field_of_a_request_does_not_fit_a_connection() -> None:
    path = {"url_path": {"path": {"prefix": "/"}}}
    assert rbac.refusing_policy(rules("DENY", permission=path), CONNECTION) is None
