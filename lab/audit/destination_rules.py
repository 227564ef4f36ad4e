"""DestinationRules: for which host each is, for whose callers, and which TLS it asks for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from clusters.kube import Obj
from lab.audit import objects

TLS = Mapping[str, Any]


def host(rule: Obj) -> str:
    """Return the whole name of the host that a rule is for.

    A name without a dot is one of the rule's own namespace.
    https://istio.io/latest/docs/reference/config/networking/destination-rule/#DestinationRule-host
    """
    told = str(objects.spec(rule).get("host", ""))
    if "." in told or told.startswith("*"):
        return told
    return f"{told}.{rule['metadata']['namespace']}.svc.cluster.local"


def is_exported(rule: Obj, namespace: str) -> bool:
    """Return whether callers of a namespace can be given a rule."""
    own = rule["metadata"]["namespace"]
    told = [*(objects.spec(rule).get("exportTo") or ("*",))]
    return namespace == own or "*" in told or namespace in told


def is_for_all(rule: Obj) -> bool:
    """Return whether a rule is for all callers, and not for those with some labels."""
    return not objects.spec(rule).get("workloadSelector")


def policy(rule: Obj) -> TLS:
    """Return the TLS that a rule asks for where neither subset nor port says otherwise."""
    return _tls(objects.spec(rule))


def every_tls(rule: Obj) -> Iterator[tuple[str, TLS]]:
    """Yield each TLS that a rule asks for, and the field that does."""
    spec = objects.spec(rule)
    parts = [("spec", spec)]
    parts += [(f"spec.subsets[{n}]", one) for n, one in enumerate(spec.get("subsets") or ())]
    for field, part in parts:
        yield f"{field}.trafficPolicy.tls", _tls(part)
        ports = (part.get("trafficPolicy") or {}).get("portLevelSettings") or ()
        for number, one in enumerate(ports):
            yield f"{field}.trafficPolicy.portLevelSettings[{number}].tls", one.get("tls") or {}


def _tls(part: Mapping[str, Any]) -> TLS:
    found: TLS = (part.get("trafficPolicy") or {}).get("tls") or {}
    return found
