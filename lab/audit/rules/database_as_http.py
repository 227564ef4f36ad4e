"""A port whose number is a database's, declared to be HTTP."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from lab.audit.objects import Objects
from lab.audit.rule import Found, ObjectRule
from lab.common.port_protocols import HTTP, of_port

NUMBERS: Mapping[int, str] = {
    25: "SMTP",
    3306: "MySQL",
    5432: "PostgreSQL",
    6379: "Redis",
    27017: "MongoDB",
}
"""https://www.iana.org/assignments/service-names-port-numbers/"""


def _found(there: Objects) -> Iterator[Found]:
    for service in there.services:
        meta = service["metadata"]
        for port in service["spec"].get("ports") or ():
            usual = NUMBERS.get(int(port["port"]))
            if usual and of_port(port) in HTTP:
                field = "appProtocol" if port.get("appProtocol") else "name"
                cause = (
                    f"Service {meta['namespace']}/{meta['name']}, {field} of port {port['port']}"
                )
                yield Found(f"{meta['name']}.{meta['namespace']}:{port['port']}", (cause,))


RULE = ObjectRule(
    "database-as-http",
    "medium",
    "is declared to be HTTP, and has the port number of a database or of mail",
    "Sidecars would parse its bytes as HTTP. Where the server speaks first, clients hang; else "
    "they are refused.",
    "Name the port after its protocol (mysql, mongo, redis) or tcp-..., and remove an appProtocol "
    "of HTTP.",
    ("cell mysql/http/strict/sidecar",),
    _found,
)
