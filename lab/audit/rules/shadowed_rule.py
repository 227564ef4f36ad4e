"""A DestinationRule beside a Service, which some callers are not given."""

from __future__ import annotations

from collections.abc import Iterator

from clusters.kube import Obj
from lab.audit import destination_rules, objects, seen
from lab.audit.edges import Edge
from lab.audit.rule import Audited, Found, MeshRule


def _found(there: Audited) -> Iterator[Found]:
    rules = {objects.named(one): one for one in there.objects.destination_rules}
    by_host: dict[str, list[Edge]] = {}
    for edge in there.edges:
        if edge.caller.has_sidecar and seen.cluster(edge) != seen.PASSTHROUGH and edge.way.wire:
            by_host.setdefault(edge.to.host, []).append(edge)
    for rule in filter(destination_rules.policy, rules.values()):
        if destination_rules.is_for_all(rule):
            yield from _without(rule, rules, by_host.get(destination_rules.host(rule), []))


def _without(rule: Obj, rules: dict[str, Obj], edges: list[Edge]) -> Iterator[Found]:
    """Yield the callers of other namespaces whose sidecars hold another TLS than the rule asks."""
    own = rule["metadata"]["namespace"]
    by_cause: dict[str, list[Edge]] = {}
    for edge in edges:
        namespace, applied = edge.caller.name.partition("/")[0], seen.rule_of(edge)
        if namespace == own or own != edge.to.host.split(".")[1] or applied == objects.named(rule):
            continue
        if applied and destination_rules.policy(rules.get(applied, {})) == destination_rules.policy(
            rule
        ):
            continue
        exported = destination_rules.is_exported(rule, namespace)
        cause = f"{applied or 'no rule'}, which callers in {namespace} have"
        by_cause.setdefault(cause if exported else "its spec.exportTo", []).append(edge)
    for cause, without in by_cause.items():
        yield Found(objects.named(rule), (cause,), tuple(without))


RULE = MeshRule(
    "shadowed-rule",
    "medium",
    "is a rule without effect for some callers: another one is nearer to them, or it is not "
    "exported to them",
    "A caller's sidecar takes the rule of its own namespace, then that of the Service's, then that "
    "of the root namespace, and never two of them together.",
    "Have one rule, in the Service's namespace, exported to all; or say the same in the nearer.",
    ("test tests/lab/audit/test_audit_live.py",),
    _found,
)
