"""A policy with a field that only HTTP has, for a workload that has ports of TCP.

https://istio.io/latest/docs/tasks/security/authorization/authz-tcp/
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from lab.audit import objects
from lab.audit.objects import Objects
from lab.audit.rule import Found, ObjectRule
from lab.common.port_protocols import AUTO, of_port

_HTTP = frozenset({"http", "http2", "grpc", "grpc-web"})
_OPERATION = ("methods", "notMethods", "paths", "notPaths", "hosts", "notHosts")
_SOURCE = ("requestPrincipals", "notRequestPrincipals")
Part = Mapping[str, Any]


def _found(there: Objects) -> Iterator[Found]:
    for policy in there.authorization_policies:
        fields = {name: field for name, field in _rules(policy) if field}
        if not fields or objects.spec(policy).get("targetRefs"):
            continue
        for service, port, pod in objects.serving(
            [*objects.selected(policy, there.pods)], there.services
        ):
            of_tcp = of_port(port) not in (*_HTTP, AUTO)
            concerned = [
                field
                for number, field in fields.items()
                if of_tcp and _names(policy, number, objects.target(port, pod))
            ]
            if concerned:
                name = "{name}.{namespace}".format(**service["metadata"])
                causes = (f"{objects.named(policy)}, {concerned[0]}",)
                yield Found(f"{name}:{port['port']}", causes)


def _rules(policy: Part) -> Iterator[tuple[int, str]]:
    """Yield (a rule's number, the first field of it that only HTTP has; empty: none)."""
    for number, rule in enumerate(objects.spec(policy).get("rules") or ()):
        parts = [
            *((f"to.operation.{key}", one.get("operation") or {}, key)
              for one in rule.get("to") or () for key in _OPERATION),
            *((f"from.source.{key}", one.get("source") or {}, key)
              for one in rule.get("from") or () for key in _SOURCE),
        ]  # fmt: skip
        found = next((path for path, part, key in parts if part.get(key)), "")
        found = found or next(
            ("when.key" for one in rule.get("when") or ()
             if str(one.get("key", "")).startswith("request.")), ""
        )  # fmt: skip
        yield number, f"spec.rules[{number}].{found}" if found else ""


def _names(policy: Part, number: int, target: int) -> bool:
    """Return whether a rule is for a port of the workload: one that names no port is for all."""
    operations = [
        one.get("operation") or {} for one in objects.spec(policy)["rules"][number].get("to") or ()
    ]
    ports = [{str(port) for port in one.get("ports") or ()} for one in operations]
    return not ports or any(not one or str(target) in one for one in ports)


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
