"""Two Services declare one port of a workload to speak two protocols, and HTTP is the older."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from clusters.kube import Obj
from lab.audit import objects
from lab.audit.objects import Objects
from lab.audit.rule import Found, ObjectRule
from lab.common.port_protocols import of_port

_HTTP = frozenset({"http", "http2", "grpc", "grpc-web"})


def _found(there: Objects) -> Iterator[Found]:
    declared: dict[tuple[str, int], list[tuple[Obj, Mapping[str, object]]]] = {}
    for service, port, pod in objects.serving(there.pods, there.services):
        meta, number = pod["metadata"], objects.target(port, pod)
        if number and port.get("protocol", "TCP") == "TCP":
            workload = f"{meta['namespace']}/{meta['name']}"
            declared.setdefault((workload, number), []).append((service, port))
    told = {found for each in declared.values() for found in _overruled(each)}
    yield from sorted(told)


def _overruled(each: list[tuple[Obj, Mapping[str, object]]]) -> Iterator[Found]:
    """Yield the ports that the oldest Service's HTTP is read from, and that declare none."""
    (oldest, first), *others = sorted(each, key=lambda one: objects.age(one[0]))
    for service, port in others:
        if of_port(first) in _HTTP and of_port(port) not in _HTTP:
            name = "{name}.{namespace}".format(**service["metadata"])
            cause = f"Service {'{namespace}/{name}'.format(**oldest['metadata'])}, port "
            yield Found(f"{name}:{port['port']}", (f'{cause}{first["port"]} "{_name(first)}"',))


def _name(port: Mapping[str, object]) -> str:
    return str(port.get("appProtocol") or port.get("name") or "")


RULE = ObjectRule(
    "two-protocols",
    "high",
    "is read as HTTP, which it does not declare: an older Service declares it for the same port of "
    "the workload",
    "What is no HTTP fails. The server's sidecar has one set of filter chains for a port: that of "
    "the oldest Service. The callers' sidecars go by the Service that each calls.",
    "Declare the same protocol in both Services.",
    ("test tests/lab/audit/test_audit_live.py",),
    _found,
)
