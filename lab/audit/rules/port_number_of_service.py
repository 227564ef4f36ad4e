"""A port-level policy that names the Service's port, where the workload's own is meant."""

from __future__ import annotations

from collections.abc import Iterator

from lab.audit import objects
from lab.audit.objects import Objects
from lab.audit.rule import Found, ObjectRule


def _found(there: Objects) -> Iterator[Found]:
    for policy in there.peer_authentications:
        numbers = {int(one) for one in (objects.spec(policy).get("portLevelMtls") or {})}
        pods = [*objects.selected(policy, there.pods)] if objects.selector(policy) else []
        behind = [*objects.serving(pods, there.services)]
        listening = {objects.target(port, pod) for _, port, pod in behind}
        for service, port, _ in behind:
            number = int(port["port"])
            if number in numbers and number not in listening:
                name = "{name}.{namespace}".format(**service["metadata"])
                cause = f"{objects.named(policy)}, spec.portLevelMtls.{number}"
                yield Found(f"{name}:{number}", (cause,))


RULE = ObjectRule(
    "port-number-of-service",
    "high",
    "has a policy without effect: portLevelMtls names the Service's port, and not the workload's",
    "The workload's port keeps the mode of its namespace.",
    "Name the port at which the workload listens (the Service's targetPort).",
    ("wrong_version_number",),
    _found,
)
