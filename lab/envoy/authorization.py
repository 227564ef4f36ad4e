"""Which of a workload's authorization policies ask who the caller is."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from lab.envoy import dump, inbound, rbac
from lab.envoy.dump import Proxy
from lab.envoy.rbac import Peer

Part = Mapping[str, Any]
_NAME = re.compile(r"^ns\[([^]]+)\]-policy\[([^]]+)\]")
"""How istiod names a policy in a proxy's configuration: with the object's namespace and name."""


def by_identity(proxy: Proxy, port: int, action: str) -> list[str]:
    """Return the policies of an action (ALLOW, DENY) that name identities: `shop/no-client`.

    port: the workload's, that they could speak of.
    """
    found: set[str] = set()
    for listener in proxy.listeners.values():
        if listener.get("name") == inbound.NAME:
            for rules in _rules(listener, port):
                if rules.get("action", "ALLOW") == action:
                    found.update(_NAME.sub(r"\1/\2", _whole(one)) for one in _named(rules, port))
    return sorted(found)


def _named(rules: Part, port: int) -> list[str]:
    return rbac.by_identity(rules, Peer("192.0.2.1", port))


def _whole(name: str) -> str:
    told = _NAME.match(name)
    return told[0] if told else name


def _rules(listener: Part, port: int) -> Iterator[Part]:
    """Yield the rules of the filters that connections to a port pass."""
    for chain in listener.get("filter_chains") or ():
        if (chain.get("filter_chain_match") or {}).get("destination_port") in (None, port):
            for one in chain.get("filters") or ():
                config = one.get("typed_config") or {}
                for part in (config, *_of_requests(config)):
                    if dump.type_of(part).endswith(".rbac.v3.RBAC") and part.get("rules"):
                        yield part["rules"]


def _of_requests(manager: Part) -> Iterator[Part]:
    yield from (one.get("typed_config") or {} for one in manager.get("http_filters") or ())
