"""How TLS ends at a proxy: who breaks a handshake off, why, and what is inside the connection."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lab.envoy.first_bytes import HELLO, FirstBytes
from lab.envoy.matching import Unreadable
from lab.envoy.mesh import Mesh, Workload
from lab.envoy.upstream import AUTHORITY, WORKLOAD, Tls, authority_of, certificates_of
from lab.envoy.way import Wire

Part = Mapping[str, Any]
REQUIRED, UNTRUSTED = "tls_client_certificate_required", "tls_untrusted_issuer"


def hello(wire: Wire) -> FirstBytes:
    """Return the first bytes as the proxy sees them to which a connection comes."""
    if wire.tls is None:
        return wire.sent
    return FirstBytes(HELLO, wire.tls.server_name, wire.tls.alpn)


def end(
    mesh: Mesh, context: Part, wire: Wire, pod: Workload, *, client: str, server: str
) -> tuple[str, str, Wire]:
    """Return who breaks a handshake off and why, or nothing, and what is inside the connection.

    context: the TLS context of the pod's proxy. client, server: what the proxies at the two ends
    are called. Raises Unreadable where that hangs on something that is not known.
    """
    if wire.tls is not None:
        by, why = _with_proxy(mesh, context, wire, wire.tls, pod)
        return {"client": client, "server": server, "": ""}[by], why, wire._replace(tls=None)
    if not wire.sent.tls:
        return server, "the connection is not TLS", wire
    if why := _refused(mesh, context, wire.sent):
        return server, why, wire
    return "", "", wire._replace(sent=_inside(wire.sent), identity="")


def _with_proxy(mesh: Mesh, context: Part, wire: Wire, tls: Tls, pod: Workload) -> tuple[str, str]:
    """Return which side breaks off the TLS of a caller's proxy, and why."""
    demands = context.get("require_client_certificate") is True
    if WORKLOAD not in certificates_of(_common(context)) and (tls.verifies or demands):
        raise Unreadable("whether a proxy trusts a certificate that is not the mesh's is not known")
    if _distrusts(mesh, tls, pod):
        return "client", "CERTIFICATE_VERIFY_FAILED"
    if demands and not tls.certificates:
        return "server", REQUIRED
    if tls.certificates and not wire.identity:
        raise Unreadable("whether a certificate that is not the mesh's is trusted is not known")
    return "", ""


def _distrusts(mesh: Mesh, tls: Tls, pod: Workload) -> bool:
    """Return whether the caller's proxy refuses the certificate of the workload.

    Trust domains are not compared: a mesh can have aliases of its own.
    """
    if tls.verifies and tls.authority in mesh.foreign_authorities:
        return True
    if tls.verifies and not tls.trusts_mesh:
        raise Unreadable("whether the client's authorities vouch for the mesh's is not known")
    wanted = {name.partition("/ns/")[2] for name in tls.names}
    return bool(wanted) and pod.identity.partition("/ns/")[2] not in wanted


def _refused(mesh: Mesh, context: Part, sent: FirstBytes) -> str:
    """Return why the TLS of an application's own is refused; empty: it is not."""
    authority = authority_of(_common(context))
    if not sent.certificate:
        return REQUIRED if context.get("require_client_certificate") is True else ""
    if not authority or authority in mesh.client_authorities:
        return ""
    if authority == AUTHORITY:
        return UNTRUSTED
    raise Unreadable(f"whether {authority} vouches for the client's certificate is not known")


def agreed(context: Part, wire: Wire) -> str:
    """Return the protocol that ALPN ends in: of those that both know, the first of the server's.

    Empty: they know none in common, and the first bytes tell it.
    """
    known = _common(context).get("alpn_protocols") or ()
    return next((str(one) for one in known if one in hello(wire).alpn), "")


def _inside(sent: FirstBytes) -> FirstBytes:
    """Return what the application sends inside its TLS, which ends here."""
    if sent.inside is None:
        raise Unreadable("what a client of its own TLS sends inside is not known")
    return sent.inside


def _common(context: Part) -> Part:
    found: Part = context.get("common_tls_context") or {}
    return found
