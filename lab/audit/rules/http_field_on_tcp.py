"""A policy with a field that only HTTP has, for a workload that has ports of TCP.

https://istio.io/latest/docs/tasks/security/authorization/authz-tcp/
"""

from __future__ import annotations

from collections.abc import Iterator

from clusters.kube import Obj
from lab.audit import objects
from lab.audit.objects import Objects
from lab.audit.rule import Found, ObjectRule
from lab.common.port_protocols import AUTO, HTTP, of_port

_OPERATION = ("methods", "notMethods", "paths", "notPaths", "hosts", "notHosts")
_SOURCE = ("requestPrincipals", "notRequestPrincipals")


def _found(there: Objects) -> Iterator[Found]:
    for policy in there.authorization_policies:
        rules = objects.spec(policy).get("rules") or ()
        fields = {number: next(_fields(rule), "") for number, rule in enumerate(rules)}
        if not any(fields.values()) or objects.spec(policy).get("targetRefs"):
            continue
        pods = [*objects.selected(policy, there.pods)]
        for service, port, pod in objects.serving(pods, there.services):
            if of_port(port) in (*HTTP, AUTO):
                continue
            target = objects.target(port, pod)
            for number, field in fields.items():
                if field and _is_for(rules[number], target):
                    name = "{name}.{namespace}".format(**service["metadata"])
                    cause = f"{objects.named(policy)}, spec.rules[{number}].{field}"
                    yield Found(f"{name}:{port['port']}", (cause,))


def _fields(rule: Obj) -> Iterator[str]:
    """Yield the fields of a rule that only HTTP has."""
    for to in rule.get("to") or ():
        operation = to.get("operation") or {}
        yield from (f"to.operation.{key}" for key in _OPERATION if operation.get(key))
    for one in rule.get("from") or ():
        source = one.get("source") or {}
        yield from (f"from.source.{key}" for key in _SOURCE if source.get(key))
    for when in rule.get("when") or ():
        if str(when.get("key", "")).startswith("request."):
            yield "when.key"


def _is_for(rule: Obj, target: int) -> bool:
    """Return whether a rule is for a port of the workload: one that names no port is for all."""
    operations = [one.get("operation") or {} for one in rule.get("to") or ()]
    ports = [{str(port) for port in one.get("ports") or ()} for one in operations]
    return not ports or any(not each or str(target) in each for each in ports)


RULE = ObjectRule(
    "http-field-on-tcp",
    "high",
    "is a TCP port under a policy with a field that only HTTP has: a DENY denies more than it "
    "says, an ALLOW allows nothing",
    "TCP has no methods, paths or headers. Of a DENY the field is left out, and the rest of the "
    "rule holds; of an ALLOW the whole rule is left out. mTLS is not the reason.",
    "Add `ports` of HTTP to the rule's operation, or name the port after HTTP if it is.",
    ("authorization_or_mtls N1",),
    _found,
)
