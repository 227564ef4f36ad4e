"""Reads what a running proxy says of itself, by Envoy's admin interface inside its pod."""

from __future__ import annotations

import contextlib
import json
import re
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

from clusters.base import Cluster, PodRef
from lab.common.errors import CommandFailed
from lab.common.wait import until


def ask(cluster: Cluster, pod: PodRef, path: str) -> str:
    """GET a path of the proxy's admin interface. Raises CommandFailed with what it said."""
    return cluster.proxy_admin(pod, path).decode(errors="replace")


def _ask_json(cluster: Cluster, pod: PodRef, path: str) -> Any:
    """GET a path whose answer is JSON, again until it is whole. Raises TimedOut where it never is.

    On a busy node, the end of a long answer was seen to be lost without any error.
    """

    def look() -> list[Any]:
        try:
            return [json.loads(ask(cluster, pod, path))]
        except (ValueError, RecursionError):
            return []

    return until(look, f"the whole of {path} from pod {pod.name}", timeout=30, every=0.1)[0]


@contextlib.contextmanager
def _refusing_other_shapes(path: str, pod: PodRef) -> Iterator[None]:
    """Raise CommandFailed, in a sentence, for an answer that does not have Envoy's fields."""
    try:
        yield
    except (AttributeError, LookupError, TypeError, ValueError) as wrong:
        raise CommandFailed(f"{path} of pod {pod.name} is not such as Envoy's: {wrong!r}") from None


class ProxyInfo(NamedTuple):
    """Version, start and kind of a proxy."""

    version: str
    started: float
    """Unix seconds, from its own uptime."""
    flavour: str
    """`istio` where filters of Istio's own are built in, else `stock`."""
    node_type: str
    """`sidecar` or `router`: what its node id begins with, as istiod reads it."""


def info(cluster: Cluster, pod: PodRef) -> ProxyInfo:
    """Return a proxy's version, when it started, and whether it is a sidecar or a gateway."""
    with _refusing_other_shapes("server_info", pod):
        told = _ask_json(cluster, pod, "server_info")
        uptime = float(str(told["uptime_current_epoch"]).rstrip("s"))
        node = told.get("node", {})
        extensions = [str(one.get("name")) for one in node.get("extensions", [])]
        own = any(name.startswith("istio.") for name in extensions)
        version = str(told["version"]).split("/")[1]
        node_type = str(node.get("id", "")).partition("~")[0]
        return ProxyInfo(version, time.time() - uptime, "istio" if own else "stock", node_type)


def stats(cluster: Cluster, pod: PodRef, pattern: str) -> dict[str, int]:
    """Return the counters and gauges whose names match a regular expression."""
    lines = ask(cluster, pod, f"stats?filter={pattern}").splitlines()
    pairs = (line.rsplit(": ", 1) for line in lines if ": " in line)
    return {name: int(value) for name, value in pairs if re.fullmatch("[0-9]{1,20}", value)}


def not_connected(cluster: Cluster, pod: PodRef, address: str) -> int:
    """Count the connections that a proxy passed on to an address (`IP:port`) and that failed.

    Envoy keeps this count for each host, whichever counters Istio keeps. It is 0 for a host that
    was not in use for some seconds.
    https://www.envoyproxy.io/docs/envoy/latest/operations/admin#get--clusters
    """
    prefix = f"PassthroughCluster::{address}::cx_connect_fail::"
    told = ask(cluster, pod, "clusters").splitlines()
    return sum(int(line.removeprefix(prefix)) for line in told if line.startswith(prefix))


def certificate(cluster: Cluster, pod: PodRef) -> dict[str, str]:
    """Return the workload certificate in use: spiffe, issuer, serial, valid_from, expires."""
    with _refusing_other_shapes("certs", pod):
        for entry in _ask_json(cluster, pod, "certs")["certificates"]:
            for chain in entry.get("cert_chain", []):
                names = [str(name.get("uri", "")) for name in chain.get("subject_alt_names", [])]
                return {
                    "spiffe": names[0] if names else "",
                    "serial": str(chain.get("serial_number", "")),
                    "valid_from": str(chain.get("valid_from", "")),
                    "expires": str(chain.get("expiration_time", "")),
                    "issuer": _issuer(entry),
                }
    return {}


def _issuer(entry: dict[str, Any]) -> str:
    """Name the proxy's trust anchor by its serial: Envoy does not tell the issuer's name."""
    for anchor in entry.get("ca_cert", []):
        return f"root certificate {str(anchor.get('serial_number', ''))[:16]}"
    return ""


def config_dump(cluster: Cluster, pod: PodRef) -> dict[str, Any]:
    """Return the whole configuration that istiod sent to a proxy, endpoints included."""
    dump: dict[str, Any] = _ask_json(cluster, pod, "config_dump?include_eds")
    return dump
