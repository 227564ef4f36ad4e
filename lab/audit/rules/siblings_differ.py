"""Pods behind one Service, of which a server allows some and refuses others."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from lab.audit import objects, seen
from lab.audit.edges import Edge
from lab.audit.rule import Audited, Found, MeshRule

_DENIED = "rbac_access_denied"


def _found(there: Audited) -> Iterator[Found]:
    services: dict[str, set[str]] = defaultdict(set)
    for service, _, pod in objects.serving(there.objects.pods, there.objects.services):
        services["{namespace}/{name}".format(**service["metadata"])].add(
            "{namespace}/{name}".format(**pod["metadata"])
        )
    calls: dict[tuple[str, str], dict[str, Edge]] = defaultdict(dict)
    for edge in there.edges:
        if edge.caller.has_sidecar:
            calls[edge.to.name, edge.sends][edge.caller.name] = edge
    for (to, _), by_caller in calls.items():
        for pods in services.values():
            own = [by_caller[name] for name in sorted(pods) if name in by_caller]
            refused = tuple(one for one in own if _DENIED in one.way.detail)
            if refused and any(one.way.outcome == "arrives" for one in own):
                causes = [f"ServiceAccount of {seen.workload(one.caller.name)}" for one in refused]
                yield Found(to, tuple(dict.fromkeys(causes)), refused)


RULE = MeshRule(
    "siblings-differ",
    "medium",
    "is refused by a policy to some pods of a Service, and allowed to others of it",
    "Policies name who calls by its ServiceAccount. Pods of one Service that have several are "
    "several callers: some of what goes through the Service fails.",
    "Give the pods the same ServiceAccount, or name each in the policy.",
    (),
    _found,
)
