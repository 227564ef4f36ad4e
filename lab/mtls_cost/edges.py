"""The world in which the variants stand side by side: two pods with sidecars, two without."""

from __future__ import annotations

from lab import declare as d
from lab.model.scenario import Port, World
from lab.mtls_cost.variants import CONNECTIONS, LOADS, VARIANTS, Load, Variant, first_port
from lab.workloads.manifests import OWN_TLS

CLIENTS = {True: "load-client", False: "bare-client"}
"""Whether there is a sidecar -> the pod that makes the load."""
SERVERS = {True: "load-server", False: "bare-server"}
QUIET = """\
apiVersion: telemetry.istio.io/v1
kind: Telemetry
metadata: {name: quiet}
spec:
  accessLogging: [{disabled: true}]
  metrics: [{providers: [{name: prometheus}], overrides: [{disabled: true}]}]
"""
OWN_TLS_FLAGS = ("-mtls", *(f"-{flag}={OWN_TLS}/{flag}.pem" for flag in ("cert", "key")))
OWN_TLS_FLAGS += (f"-cacert={OWN_TLS}/ca.pem",)
"""fortio's, as a server and as a client: each shows a certificate, as sidecars do."""


def world() -> World:
    """Return the world: all variants at once, so that they can be measured in turn."""
    pods = (_pod(sidecars) for sidecars in (True, False))
    rules = [_rule(variant) for variant in VARIANTS if variant.sidecars]
    return d.world(
        "cost",
        "during",
        "one edge in five variants",
        tuple(one for pair in pods for one in pair),
        tuple(_service(variant) for variant in VARIANTS),
        objects=d.together(QUIET, _policy(), *rules),
    )


def _pod(sidecars: bool) -> tuple[d.Variant, d.Variant]:
    """Return the client and the server with sidecars, or those without."""
    variants = [one for one in VARIANTS if one.sidecars is sidecars]
    lines = [line for variant in variants for line in _servers(variant)]
    script = " ".join(f"{line} &" for line in lines) + " wait"
    ports = tuple(first_port(one) for one in variants)
    return (
        d.Variant(CLIENTS[sidecars], of="fortio", args=("sleep infinity",), sidecar=sidecars),
        d.Variant(SERVERS[sidecars], of="fortio", args=(script,), ports=ports, sidecar=sidecars),
    )


def _servers(variant: Variant) -> tuple[str, str]:
    """Return the commands of a variant's servers.

    There are two, since a fortio serves HTTP at one port: it has one port where Istio reads
    requests, and one where it sees bytes.
    """
    ports = {load.name: first_port(variant) + load.offset for load in loads(variant)}
    connections = ports.pop(CONNECTIONS.name)
    tls = OWN_TLS_FLAGS if variant.own_tls else ()
    return _fortio(ports, tls), _fortio({"http": connections}, tls)


def _fortio(ports: dict[str, int], tls: tuple[str, ...]) -> str:
    listening = (f"-{name}-port={ports.get(name, 'disabled')}" for name in ("http", "grpc", "tcp"))
    off = ("-udp-port=disabled", "-redirect-port=disabled", "-ui-path=")
    return " ".join(["fortio", "server", "-quiet", *listening, *off, *tls])


def loads(variant: Variant) -> list[Load]:
    """Return the loads that can be sent over a variant."""
    return [one for one in LOADS if one.own_tls_name or not variant.own_tls]


def _service(variant: Variant) -> d.Service:
    ports = [
        Port(_port_name(variant, load), number, number)
        for load in loads(variant)
        for number in [first_port(variant) + load.offset]
    ]
    return d.Service(variant.name, SERVERS[variant.sidecars], tuple(ports))


def _port_name(variant: Variant, load: Load) -> str:
    return f"{load.own_tls_name if variant.own_tls else load.port_name}-{load.name}"


def _policy() -> str:
    """Return the policy that demands mTLS of the mutual variants, and has the others without."""
    ports = [
        first_port(variant) + load.offset
        for variant in VARIANTS
        for load in loads(variant)
        if variant.sidecars and not variant.mutual
    ]
    return d.port_mtls(SERVERS[True], tuple(ports), "DISABLE", mode="STRICT")


def _rule(variant: Variant) -> str:
    mode = "ISTIO_MUTUAL" if variant.mutual else "DISABLE"
    return d.destination_rule(variant.name, f"{{tls: {{mode: {mode}}}}}")
