"""Two DestinationRules for one host in one namespace, of which the older alone counts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from clusters.kube import Obj
from lab.audit import destination_rules, objects
from lab.audit.objects import Objects
from lab.audit.rule import Found, ObjectRule


def _found(there: Objects) -> Iterator[Found]:
    alike = defaultdict[tuple[object, ...], list[Obj]](list)
    for rule in filter(destination_rules.is_for_all, there.destination_rules):
        if objects.spec(rule).get("trafficPolicy"):
            exported = frozenset(objects.spec(rule).get("exportTo") or ("*",))
            key = rule["metadata"]["namespace"], destination_rules.host(rule), exported
            alike[key].append(rule)
    for same in alike.values():
        oldest, *others = sorted(same, key=objects.age)
        for one in others:
            if destination_rules.policy(one) != destination_rules.policy(oldest):
                yield Found(objects.named(one), (f"{objects.named(oldest)}, spec.trafficPolicy",))


RULE = ObjectRule(
    "younger-rule",
    "medium",
    "asks for TLS without effect: an older rule has the same host, and its trafficPolicy counts",
    "Istio puts the subsets of all rules of a host together, and takes the oldest's trafficPolicy.",
    "Write both into one rule.",
    ("test tests/lab/audit/test_audit_live.py",),
    _found,
)
