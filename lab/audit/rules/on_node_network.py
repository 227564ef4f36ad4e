"""A pod on its node's network, which has no sidecar, behind a Service of a mesh."""

from __future__ import annotations

from collections.abc import Iterator

from lab.audit import objects
from lab.audit.objects import Objects
from lab.audit.rule import Found, ObjectRule
from lab.audit.seen import workload
from lab.envoy import interception


def _found(there: Objects) -> Iterator[Found]:
    meshed = {pod["metadata"]["namespace"] for pod in there.pods if interception.has_sidecar(pod)}
    for service, port, pod in objects.serving(there.pods, there.services):
        meta = pod["metadata"]
        if pod["spec"].get("hostNetwork") and meta["namespace"] in meshed:
            name = "{name}.{namespace}".format(**service["metadata"])
            own = workload(f"{meta['namespace']}/{meta['name']}")
            yield Found(f"{name}:{port['port']}", (f"hostNetwork of {own}",))


RULE = ObjectRule(
    "on-node-network",
    "high",
    "is called in plaintext: its pod is on its node's network, where no sidecar is injected",
    "Other pods of the namespace have a sidecar. Theirs uses no mTLS to this one, and no policy of "
    "the mesh holds there.",
    "Remove hostNetwork from the pod.",
    (),
    _found,
)
