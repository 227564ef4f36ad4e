"""What a container sees of its pod: environment, arguments, downward API."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Mapping
from decimal import Decimal

from clusters.embedded.settings import API_SERVICE_IP, NODE_IP, NODE_NAME
from clusters.kube import Obj

Keyed = Callable[[str, str], Mapping[str, str] | None]
"""(configmaps | secrets, name) -> its data as text, or None when there is none."""

_REFERENCE = re.compile(r"\$(\$|\(([A-Za-z_][A-Za-z0-9_.-]*)\))")
_UNITS: dict[str, int | Decimal] = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_UNITS |= {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40, "m": Decimal("0.001")}


class MissingKey(Exception):
    """A configMap or secret that a variable needs is not there (yet)."""


def expand(text: str, values: Mapping[str, str]) -> str:
    """Replace `$(NAME)` by its value and `$$` by one dollar; leave unknown names as they are."""

    def replace(match: re.Match[str]) -> str:
        name = match.group(2)
        return "$" if name is None else values.get(name, match.group(0))

    return _REFERENCE.sub(replace, text)


def environment(pod: Obj, container: Obj, pod_ip: str, keyed: Keyed) -> dict[str, str]:
    """Return a container's own variables, envFrom first, in the order of its spec.

    Raises MissingKey for a configMap or secret that is neither there nor optional.
    """
    values = {"KUBERNETES_SERVICE_HOST": API_SERVICE_IP, "KUBERNETES_SERVICE_PORT": "443"}
    for source in container.get("envFrom", []):
        kind = "configmaps" if "configMapRef" in source else "secrets"
        reference = source.get("configMapRef") or source["secretRef"]
        data = _data(keyed, kind, reference)
        values |= {source.get("prefix", "") + key: value for key, value in data.items()}
    for entry in container.get("env", []):
        if "valueFrom" in entry:
            value = _value_from(pod, container, pod_ip, entry["valueFrom"], keyed)
            if value is not None:
                values[entry["name"]] = value
        else:
            values[entry["name"]] = expand(entry.get("value", ""), values)
    return values


def _data(keyed: Keyed, kind: str, reference: Obj) -> Mapping[str, str]:
    data = keyed(kind, reference["name"])
    if data is None and not reference.get("optional"):
        raise MissingKey(f"{kind.rstrip('s')} {reference['name']!r} not found")
    return data or {}


def _value_from(pod: Obj, container: Obj, pod_ip: str, source: Obj, keyed: Keyed) -> str | None:
    if "fieldRef" in source:
        return field(pod, source["fieldRef"]["fieldPath"], pod_ip)
    if "resourceFieldRef" in source:
        return resource(container, source["resourceFieldRef"])
    kind = "configmaps" if "configMapKeyRef" in source else "secrets"
    reference = source.get("configMapKeyRef") or source["secretKeyRef"]
    data = _data(keyed, kind, reference)
    if reference["key"] not in data and not reference.get("optional"):
        raise MissingKey(f"key {reference['key']!r} not in {kind} {reference['name']!r}")
    return data.get(reference["key"])


def field(pod: Obj, path: str, pod_ip: str) -> str:
    """Return the downward API's fields; a whole label or annotation map as `key="value"` lines."""
    meta, spec = pod["metadata"], pod["spec"]
    keyed = re.fullmatch(r"metadata\.(labels|annotations)\['(.+)'\]", path)
    if keyed:
        return str((meta.get(keyed.group(1)) or {}).get(keyed.group(2), ""))
    if path in ("metadata.labels", "metadata.annotations"):
        entries = meta.get(path.split(".")[1]) or {}
        return "\n".join(f"{key}={_quote(value)}" for key, value in sorted(entries.items()))
    fixed = {
        "metadata.name": meta["name"],
        "metadata.namespace": meta["namespace"],
        "metadata.uid": meta["uid"],
        "spec.nodeName": NODE_NAME,
        "spec.serviceAccountName": spec.get("serviceAccountName", "default"),
        "status.hostIP": NODE_IP,
        "status.hostIPs": NODE_IP,
        "status.podIP": pod_ip,
        "status.podIPs": pod_ip,
    }
    return str(fixed[path])


def _quote(value: str) -> str:
    # Go's %q, as far as labels and annotations need it.
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + escaped.replace("\n", "\\n").replace("\t", "\\t") + '"'


def resource(container: Obj, reference: Obj) -> str:
    """Return a limit or request over its divisor, rounded up; the node's where none is set."""
    kind, _, name = reference["resource"].partition(".")
    quantity = container.get("resources", {}).get(kind, {}).get(name)
    if quantity is None:
        quantity = str(os.cpu_count()) if name == "cpu" else "1Gi"
    divisor = reference.get("divisor") or "1"
    return str(
        math.ceil(parse_quantity(quantity) / parse_quantity("1" if divisor == "0" else divisor))
    )


def parse_quantity(text: str) -> Decimal:
    """Return a Kubernetes quantity (`100m`, `128Mi`, `2`) as a number."""
    match = re.fullmatch(r"([0-9.]+)([A-Za-z]*)", text)
    if match is None:
        raise ValueError(f"{text!r} is not a quantity")
    return Decimal(match.group(1)) * _UNITS[match.group(2)]
