"""Services, and the worlds that failures share."""

from __future__ import annotations

from lab.model.scenario import Namespace, Phase, Port, Service, World
from lab.workloads.variants import Variant

AS_POSTED = "the post's two rules, in today's API"
WITHOUT_MTLS = {
    "DISABLE": "no mTLS on either side",
    "PERMISSIVE": "the client without mTLS, the server accepts both",
}


def service(
    name: str,
    port: int,
    port_name: str = "http",
    *,
    target: int | str = 0,
    workload: str = "",
    headless: bool = False,
    more: tuple[Port, ...] = (),
) -> Service:
    """Return a Service. Without a target the workload listens at the port itself.

    more: its ports beside the first, which calls ask unless they name another.
    """
    ports = (Port(port_name, port, target or port), *more)
    return Service(name, workload or name, ports, headless)


def echo(name: str, *ports: int, greets: tuple[int, ...] = (), sidecar: bool = True) -> Variant:
    """Return the workload of Istio's own echo server, which answers with its pod's name.

    ports: of TCP. greets: those at which it speaks first, as servers of MySQL and SMTP do.
    """
    args = [f"--tcp={port}" for port in ports] + [f"--server-first={port}" for port in greets]
    image = "lab/istio-echo"
    return Variant(name, of="tcp-echo", image=image, args=tuple(args), ports=ports, sidecar=sidecar)


def world(
    name: str,
    phase: Phase,
    about: str,
    workloads: tuple[str | Variant, ...],
    services: tuple[Service, ...],
    mtls: str = "",
    rule: str = "",
    *,
    objects: str = "",
    others: tuple[Namespace, ...] = (),
) -> World:
    """Return a world; a workload that is not just as the lab has it is given as a Variant.

    phase: `before`, `during` or `after`. about: what is set up, in a sentence. mtls: the mode of a
    PeerAuthentication of the namespace; rule: the TLS mode of a DestinationRule of its Services.
    Without them there is no such object, and the mesh's default holds. objects: YAML of more.
    others: namespaces beside it.
    """
    variants = tuple(one for one in workloads if isinstance(one, Variant))
    names = tuple(one.name if isinstance(one, Variant) else one for one in workloads)
    return World(name, phase, about, names, services, mtls, rule, objects, others, variants)


def plain(
    workloads: tuple[str, ...], services: tuple[Service, ...], mtls: str = "DISABLE"
) -> World:
    """Return the world `plain`: before, with clients that do not use mTLS.

    mtls: of its servers, DISABLE or PERMISSIVE.
    """
    return World("plain", "before", WITHOUT_MTLS[mtls], workloads, services, mtls, "DISABLE")


def posted(workloads: tuple[str, ...], services: tuple[Service, ...]) -> World:
    """Return the world `posted`: during, under the two rules of the parameters POLICY."""
    return World("posted", "during", AS_POSTED, workloads, services, "{mtls}", "{rule}")


def permissive(
    phase: Phase,
    workloads: tuple[str, ...],
    services: tuple[Service, ...],
    rule: str = "",
) -> World:
    """Return the world `permissive`: its servers accept both plaintext and mTLS."""
    about = "the post's rule, and a server that accepts both" if rule else "both accepted"
    return World("permissive", phase, about, workloads, services, "PERMISSIVE", rule)
