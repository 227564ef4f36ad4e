"""Services, and the worlds that failures share."""

from __future__ import annotations

from dataclasses import replace

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
    more: tuple[Port, ...] = (),
) -> Service:
    """Return a Service. Without a target the workload listens at the port itself.

    more: its ports beside the first, which calls ask unless they name another.
    """
    ports = (Port(port_name, port, target or port), *more)
    return Service(name, workload or name, ports)


def headless(name: str, port: int, port_name: str = "http", *, workload: str = "") -> Service:
    """Return a Service without an address: its name resolves to those of its workload's pods."""
    return replace(service(name, port, port_name, workload=workload), headless=True)


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

    Most worlds are one of `plain`, `posted`, `permissive` and `strict`.

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


def posted(
    about: str,
    workloads: tuple[str | Variant, ...],
    services: tuple[Service, ...],
    mtls: str = "",
    rule: str = "",
    *,
    objects: str = "",
    others: tuple[Namespace, ...] = (),
) -> World:
    """Return the world `posted`: during, as the report has it. What it takes: see `world`."""
    own = (about, workloads, services, mtls, rule)
    return world("posted", "during", *own, objects=objects, others=others)


def under_policy(workloads: tuple[str, ...], services: tuple[Service, ...]) -> World:
    """Return the world `posted`, under the two rules of the parameters POLICY."""
    return posted(AS_POSTED, workloads, services, "{mtls}", "{rule}")


def permissive(
    phase: Phase,
    workloads: tuple[str, ...],
    services: tuple[Service, ...],
    rule: str = "",
) -> World:
    """Return the world `permissive`: its servers accept both plaintext and mTLS."""
    about = "the post's rule, and a server that accepts both" if rule else "both accepted"
    return World("permissive", phase, about, workloads, services, "PERMISSIVE", rule)


def strict(
    workloads: tuple[str | Variant, ...],
    services: tuple[Service, ...],
    mtls: str = "STRICT",
    *,
    same: str = "",
    objects: str = "",
    others: tuple[Namespace, ...] = (),
) -> World:
    """Return the world `strict`: after, with servers that demand mTLS.

    mtls: another mode, where a parameter gives it. same: what it shares with the world `posted`, as
    in "the same DENY, and mTLS is demanded". objects, others: see `world`.
    """
    about = f"the same {same}, and mTLS is demanded" if same else "mTLS is demanded"
    return world(
        "strict", "after", about, workloads, services, mtls, objects=objects, others=others
    )
