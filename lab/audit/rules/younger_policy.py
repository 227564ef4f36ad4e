"""Two policies of one scope, of which the older alone counts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from clusters.kube import Obj
from lab.audit import objects
from lab.audit.objects import Objects
from lab.audit.rule import Found, ObjectRule


def _found(there: Objects) -> Iterator[Found]:
    scopes = defaultdict[tuple[object, ...], list[Obj]](list)
    for policy in there.peer_authentications:
        labels = frozenset(objects.selector(policy).items())
        scopes[policy["metadata"]["namespace"], labels].append(policy)
    for same in scopes.values():
        oldest, *others = sorted(same, key=objects.age)
        for one in others:
            yield Found(objects.named(one), (objects.named(oldest),))


RULE = ObjectRule(
    "younger-policy",
    "medium",
    "is a policy without effect: an older one has the same scope, and the oldest counts",
    "Istio takes one PeerAuthentication of a namespace, and one of a selector.",
    "Remove one of the two.",
    (),
    _found,
)
