"""Whether Envoy's RBAC filter lets a connection or a request through.

Rules are three-valued: what hangs on something that is not known here, such as a JWT, is None, and
stays None unless the rest decides.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from lab.envoy import addresses, routes
from lab.envoy.matching import Unreadable
from lab.envoy.routes import Request

Part = Mapping[str, Any]
PRINCIPAL = "io.istio.peer_principal"
"""The filter state in which Istio keeps the SPIFFE ID of a peer."""


@dataclass(frozen=True)
class Peer:
    """Who speaks, and to which port, as an RBAC filter sees it."""

    address: str
    port: int
    """The destination's."""
    identity: str = ""
    """The SPIFFE ID of a verified certificate; empty: it showed none."""
    server_name: str = ""
    request: Request | None = None
    """None: the filter looks at a connection, not at a request."""


def refusing_policy(rules: Part, peer: Peer) -> str | None:
    """Return the policy that refuses, `none` where no ALLOW fits; None: it is let through.

    Raises Unreadable where that hangs on something that is not known.
    """
    fitting = [(name, _policy_fits(one, peer)) for name, one in sorted(rules["policies"].items())]
    certain = next((name for name, fits in fitting if fits), None)
    if certain is None and any(fits is None for _, fits in fitting):
        open_ = next(name for name, fits in fitting if fits is None)
        raise Unreadable(f"authorization policy {open_} asks for what is not known here")
    match rules.get("action", "ALLOW"):
        case "ALLOW":
            return None if certain else "none"
        case "DENY":
            return certain
        case "LOG":
            return None
        case action:
            raise Unreadable(f"an authorization policy has the action {action}")


def _policy_fits(policy: Part, peer: Peer) -> bool | None:
    permitted = _any(_rule(one, peer) for one in policy.get("permissions") or ())
    spoken_for = _any(_rule(one, peer) for one in policy.get("principals") or ())
    return _all([permitted, spoken_for])


def _any(answers: Iterable[bool | None]) -> bool | None:
    known = [*answers]
    return True if True in known else None if None in known else False


def _all(answers: Iterable[bool | None]) -> bool | None:
    known = [*answers]
    return False if False in known else None if None in known else True


def _rule(rule: Part, peer: Peer) -> bool | None:
    """Return whether a permission or a principal fits: they share most of their rules."""
    (kind, value), *_ = [(key, rule[key]) for key in rule] or [("", None)]
    if kind in ("and_rules", "and_ids"):
        return _all(_rule(one, peer) for one in value["rules" if kind == "and_rules" else "ids"])
    if kind in ("or_rules", "or_ids"):
        return _any(_rule(one, peer) for one in value["rules" if kind == "or_rules" else "ids"])
    if kind in ("not_rule", "not_id"):
        inner = _rule(value, peer)
        return None if inner is None else not inner
    read = _RULES.get(kind)
    return read(value, peer) if read else None


def _header(value: Part, peer: Peer) -> bool | None:
    return routes.header_fits(value, peer.request) if peer.request else False


def _path(value: Part, peer: Peer) -> bool | None:
    return routes.text_fits(value["path"], peer.request.path) if peer.request else False


def _authenticated(value: Part, peer: Peer) -> bool | None:
    if not peer.identity:
        return False
    name = value.get("principal_name")
    return routes.text_fits(name, peer.identity) if name else True


def _from(value: Part, peer: Peer) -> bool | None:
    network = f"{value['address_prefix']}/{value.get('prefix_len', 0)}"
    return addresses.address(peer.address) in addresses.network(network)


def _filter_state(value: Part, peer: Peer) -> bool | None:
    """Istio writes a peer's SPIFFE ID there, which its own policies then ask for."""
    if value.get("key") != PRINCIPAL or "string_match" not in value:
        return None
    return bool(peer.identity) and routes.text_fits(value["string_match"], peer.identity)


_RULES: dict[str, Callable[[Any, Peer], bool | None]] = {
    "any": lambda value, _: bool(value),
    "destination_port": lambda value, peer: int(value) == peer.port,
    "header": _header,
    "url_path": _path,
    "requested_server_name": lambda value, peer: routes.text_fits(value, peer.server_name),
    "authenticated": _authenticated,
    "direct_remote_ip": _from,
    "remote_ip": _from,
    "source_ip": _from,
    "filter_state": _filter_state,
}


def by_identity(rules: Part, peer: Peer) -> list[str]:
    """Return the policies that ask who a peer is, and could speak of a connection to its port."""
    named = sorted(rules.get("policies", {}).items())
    return [name for name, one in named if _asks_who(one) and _concerns(one, peer)]


def _concerns(policy: Part, peer: Peer) -> bool:
    return _any(_rule(one, peer) for one in policy.get("permissions") or ()) is not False


def _asks_who(part: Any) -> bool:
    """Return whether any of a policy's principals is one that a certificate tells."""
    if isinstance(part, Mapping):
        own = "authenticated" in part or (part.get("filter_state") or {}).get("key") == PRINCIPAL
        return own or any(_asks_who(one) for one in part.values())
    return isinstance(part, list) and any(_asks_who(one) for one in part)
