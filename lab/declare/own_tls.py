"""Services A and B, which have TLS of their own (lab/workloads/tools/own-tls)."""

from __future__ import annotations

from lab.declare.calls import curl
from lab.declare.worlds import service
from lab.model.scenario import Call, Parameter, Service

OWN_CA = "--cacert /etc/own-tls/ca.pem"
"""curl's flags for the services' own CA."""
SHOWING = f"{OWN_CA} --cert /etc/own-tls/cert.pem --key /etc/own-tls/key.pem"
"""The same, and A shows its own certificate."""
FORM = Parameter(
    "what B does about a client's certificate: nothing, demand one, or ask for one",
    "ask",
    ("server", "demand", "ask"),
    {"server": "8400", "demand": "8420", "ask": "8440"},
)
"""Each form of B listens at ports of its own, from these on."""


def b(name: str, port: int, target: int | str, port_name: str = "http-b") -> Service:
    """Return a Service by which B is asked; the target port chooses B's form."""
    return service(name, port, port_name, target=target, workload="b")


def https(name: str, world: str, to: Service, flags: str = SHOWING) -> Call:
    """Return A's request over its own TLS; without other flags it shows its certificate."""
    return curl(name, world, to, flags, scheme="https", source="a")


def http(name: str, world: str, to: Service) -> Call:
    """Return A's request without TLS of its own."""
    return curl(name, world, to, source="a")


def https_and_http(world: str, forms: dict[str, Service]) -> tuple[Call, ...]:
    """Return both requests to each Service, named `https-FORM` and `http-FORM`."""
    return tuple(
        call(f"{scheme}-{form}", world, to)
        for form, to in forms.items()
        for scheme, call in (("https", https), ("http", http))
    )
