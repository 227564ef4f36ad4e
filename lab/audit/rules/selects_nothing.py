"""A policy whose selector is for no pod."""

from __future__ import annotations

from collections.abc import Iterator

from lab.audit import objects
from lab.audit.objects import Objects
from lab.audit.rule import Found, ObjectRule


def _found(there: Objects) -> Iterator[Found]:
    for policy in (*there.peer_authentications, *there.authorization_policies):
        if objects.selector(policy) and not any(objects.selected(policy, there.pods)):
            labels = ", ".join(f"{key}={value}" for key, value in objects.selector(policy).items())
            yield Found(objects.named(policy), (f"spec.selector: {labels}",))


RULE = ObjectRule(
    "selects-nothing",
    "medium",
    "is a policy without effect: no pod has the labels that it selects",
    "What it was meant for keeps what holds without it.",
    "Select labels that the pods have, in the policy's own namespace.",
    (),
    _found,
)
