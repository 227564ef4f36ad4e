"""Turns a recorded sidecar into lines, `place = value`, in which only clusters can differ."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PARTS = ("iptables", "pod", "bootstrap", "listeners", "clusters", "routes", "endpoints", "secrets")
# Different for each pod or each moment, on one cluster too.
VOLATILE = re.compile(
    r"version_info|last_updated|uid|resourceVersion|creationTimestamp|managedFields"
    r"|pod-template-hash|inline_bytes"
)
_TERM = re.compile(
    r"(?: \|\| )?\(xds\.cluster_name\.startsWith\('([^']*)'\)"
    r" && xds\.cluster_name\.endsWith\('([^']*)'\)\)"
)
"""A Service that the ALPN stand-in's expression names (clusters/embedded/node/alpn.py)."""
UNORDERED = ("extensions", "_clusters", "_listeners", "_configs", "_secrets", "virtual_hosts")
"""Lists whose order means nothing."""
_RANDOM = re.compile(r"(kube-api-access)-[a-z0-9]{5}\b")
"""A volume's name, whose end the API server generates."""
_DUMPS = {
    "bootstrap": "BootstrapConfigDump",
    "listeners": "ListenersConfigDump",
    "clusters": "ClustersConfigDump",
    "routes": "RoutesConfigDump",
    "endpoints": "EndpointsConfigDump",
    "secrets": "SecretsConfigDump",
}


def workloads(folder: Path) -> list[str]:
    """Return the workloads whose sidecars were recorded."""
    return sorted(path.parent.name for path in folder.glob("*/pod.json"))


def read(folder: Path, workload: str) -> dict[str, set[str]]:
    """Return part -> lines. Raises OSError, ValueError, KeyError for missing or damaged files."""
    in_words = _in_words(folder)
    texts = {
        name: in_words((folder / workload / name).read_text())
        for name in ("iptables.txt", "pod.json", "config.json")
    }
    pod = json.loads(texts["pod.json"])
    del pod["status"]
    dumps = {dump["@type"]: dump for dump in json.loads(texts["config.json"])["configs"]}
    found = {"iptables": _rules(texts["iptables.txt"]), "pod": set(_flat(pod))}
    for part, kind in _DUMPS.items():
        found[part] = set(_flat(dumps[f"type.googleapis.com/envoy.admin.v3.{kind}"]))
    return found


def _in_words(folder: Path) -> Any:
    names = json.loads((folder / "names.json").read_text())
    either = "|".join(re.escape(given) for given in sorted(names, key=len, reverse=True))
    # Not inside of a longer name or number: 10.96.0.1 is no part of 10.96.0.10.
    given = re.compile(rf"(?<![A-Za-z0-9-])(?:{either})(?![A-Za-z0-9]|\.\d)")
    return lambda text: _RANDOM.sub(r"\1", given.sub(lambda found: names[found.group()], text))


def _rules(saved: str) -> set[str]:
    return {re.sub(r" \[\d+:\d+\]$", "", line) for line in saved.splitlines() if line[:1] != "#"}


def _flat(value: Any, place: str = "") -> Iterator[str]:
    """Yield `a.b[name] = 1` for each leaf; members of lists are named where they have a name."""
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            if not VOLATILE.fullmatch(key):
                yield from _flat(inner, f"{place}.{key}" if place else key)
    elif isinstance(value, list) and value:
        if place.endswith(UNORDERED):
            value = sorted(value, key=lambda member: [*_flat(member)])
        names = _names(value)
        if not place.endswith(UNORDERED):
            yield f"{place} in order = {', '.join(names)}"
        for name, inner in zip(names, value, strict=True):
            yield from _flat(inner, f"{place}[{name}]")
    elif isinstance(value, str) and (terms := _TERM.findall(value)):
        yield from (f"{place} names {'...'.join(term)}" for term in terms)
        yield f"{place} = {json.dumps(_TERM.sub('', value))}"
    else:
        yield f"{place} = {json.dumps(value)}"


def _names(members: list[Any]) -> list[str]:
    """Return the names of a list's members; their positions where one has no name."""
    names = [_name(member) for member in members]
    if not all(names):
        return [str(place) for place in range(len(members))]
    again = [names[:place].count(name) for place, name in enumerate(names)]
    return [f"{name} ({n + 1})" if n else name for name, n in zip(names, again, strict=True)]


def _name(value: Any) -> str:
    """Return a member's own name, or that of the object in it: `{"cluster": {"name": ...}}`."""
    if not isinstance(value, dict):
        return ""
    name = " ".join(
        str(value[key])
        for key in ("category", "cluster_name", "name")
        if isinstance(value.get(key), str)
    )
    inner = (one for one in value.values() if isinstance(one, dict))
    return name or next((_name(one) for one in inner if "name" in one or "cluster_name" in one), "")
