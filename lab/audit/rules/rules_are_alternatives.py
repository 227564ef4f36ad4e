"""An ALLOW whose one rule says who, and whose other says what."""

from __future__ import annotations

from collections.abc import Iterator

from lab.audit import objects
from lab.audit.objects import Objects
from lab.audit.rule import Found, ObjectRule


def _found(there: Objects) -> Iterator[Found]:
    for policy in there.authorization_policies:
        rules = [rule or {} for rule in objects.spec(policy).get("rules") or ()]
        if objects.spec(policy).get("action", "ALLOW") != "ALLOW":
            continue
        who = [n for n, rule in enumerate(rules) if rule.get("from") and not rule.get("to")]
        what = [n for n, rule in enumerate(rules) if rule.get("to") and not rule.get("from")]
        if who and what:
            name = objects.named(policy)
            causes = tuple(f"{name}, spec.rules[{number}]" for number in (*who, *what))
            yield Found(name, causes)


RULE = ObjectRule(
    "rules-are-alternatives",
    "medium",
    "allows more than it seems to: one of its rules says only who, another says only what",
    "Each rule of a policy allows by itself. So those who are named may do anything, and anybody "
    "may do what is named.",
    "Where both are meant together, write `from` and `to` into one rule: one dash, not two.",
    (),
    _found,
)
