"""Which of a pod's connections its sidecar takes, read from the injected pod.

`istio-init` redirects by iptables: its arguments say what is left out. Where Istio's CNI plugin
does it, the pod's annotations say the same.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lab.envoy import addresses

Pod = Mapping[str, Any]
PROXY_UID = 1337
"""The proxy's own: what it sends is not redirected to itself."""
_TAKES = {"-i", "-x", "-b", "-d", "-o", "-q", "-u", "-p", "-z"}
"""Options of istio-iptables that are read here; each takes a value."""
_PREFIX = "traffic.sidecar.istio.io/"
_ANNOTATED = {
    "-i": "includeOutboundIPRanges",
    "-x": "excludeOutboundIPRanges",
    "-b": "includeInboundPorts",
    "-d": "excludeInboundPorts",
    "-o": "excludeOutboundPorts",
    "-q": "includeOutboundPorts",
}
_OWN = "15090,15021,15020"
"""Inbound ports that are never taken: of the agent and of the proxy itself."""


@dataclass(frozen=True)
class Interception:
    """What istio-iptables was told. Ports and ranges are as they are typed: `*` is all."""

    include_ranges: str = "*"
    exclude_ranges: str = ""
    include_ports: str = "*"
    exclude_ports: str = ""
    exclude_outbound_ports: str = ""
    include_outbound_ports: str = ""

    def takes_out(self, address: str, port: int, uid: int = 0) -> bool:
        """Return whether the sidecar takes a connection that a process of the pod opens."""
        if uid == PROXY_UID or addresses.address(address).is_loopback:
            return False
        if _has(self.exclude_outbound_ports, port) or _within(self.exclude_ranges, address):
            return False
        return _within(self.include_ranges, address) or _has(self.include_outbound_ports, port)

    def why_not_out(self, address: str, port: int) -> str:
        """Return the annotation by which it does not take a connection that a pod opens."""
        if _has(self.exclude_outbound_ports, port):
            return f"{_PREFIX}excludeOutboundPorts"
        excluded = _within(self.exclude_ranges, address)
        return f"{_PREFIX}{'exclude' if excluded else 'include'}OutboundIPRanges"

    @property
    def why_not_in(self) -> str:
        """Return the annotation by which it does not take a connection to the pod."""
        return f"{_PREFIX}{'exclude' if self.include_ports == '*' else 'include'}InboundPorts"

    def takes_in(self, port: int) -> bool:
        """Return whether the sidecar takes a connection from elsewhere to a port of the pod."""
        if self.include_ports == "*":
            return not _has(self.exclude_ports, port)
        return _has(self.include_ports, port)


def read(pod: Pod) -> Interception | None:
    """Return what a pod's sidecar takes; None: it has none, or is on the host's network."""
    spec = pod.get("spec") or {}
    if spec.get("hostNetwork") or not has_sidecar(pod):
        return None
    init = next((c for c in spec.get("initContainers") or () if c["name"] == "istio-init"), None)
    if init is None:
        return by_annotations((pod.get("metadata") or {}).get("annotations") or {})
    return _told(_options(init.get("args") or ()))


def by_annotations(annotations: Mapping[str, str]) -> Interception:
    """Return what a pod's annotations ask for, by which Istio's CNI plugin redirects."""
    told = {
        o: annotations[_PREFIX + n] for o, n in _ANNOTATED.items() if _PREFIX + n in annotations
    }
    if "-d" in told:
        told["-d"] = f"{_OWN},{told['-d']}"
    return _told(told)


def _told(told: Mapping[str, str]) -> Interception:
    return Interception(
        told.get("-i", "*"),
        told.get("-x", ""),
        told.get("-b", "*"),
        told.get("-d", _OWN),
        told.get("-o", ""),
        told.get("-q", ""),
    )


def uid(pod: Pod) -> int:
    """Return PROXY_UID where every application of a pod runs as it, by user or by group; else 0.

    istio-iptables lets pass what either of the two sends.
    """
    spec = pod.get("spec") or {}
    own = [one for one in spec.get("containers") or () if one.get("name") != "istio-proxy"]
    contexts = [
        {**(spec.get("securityContext") or {}), **(one.get("securityContext") or {})} for one in own
    ]
    runs = [PROXY_UID in (one.get("runAsUser"), one.get("runAsGroup")) for one in contexts]
    return PROXY_UID if runs and all(runs) else 0


def has_sidecar(pod: Pod) -> bool:
    """Return whether Istio's proxy runs in a pod, as a container or as a native sidecar."""
    spec = pod.get("spec") or {}
    every = [*(spec.get("containers") or ()), *(spec.get("initContainers") or ())]
    return any(one.get("name") == "istio-proxy" for one in every)


def _options(arguments: Sequence[str]) -> dict[str, str]:
    pairs = itertools.pairwise(arguments)
    return {name: value for name, value in pairs if name in _TAKES}


def _has(ports: str, port: int) -> bool:
    return ports == "*" or str(port) in [one.strip() for one in ports.split(",")]


def _within(ranges: str, address: str) -> bool:
    if ranges == "*":
        return True
    seen = addresses.address(address)
    networks = [one.strip() for one in ranges.split(",") if one.strip()]
    return any(seen in addresses.network(one) for one in networks)
