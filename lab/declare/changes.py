"""Manifests of Istio's that remedies apply."""

from __future__ import annotations

import textwrap

from lab.model.scenario import Service

MANAGER = "envoy.filters.network.http_connection_manager"
MANAGER_TYPE = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"


def peer_authentication(mode: str, namespace: str = "") -> str:
    """Return the PeerAuthentication `default` of a namespace; without one, of the world's own."""
    place = f", namespace: {namespace}" if namespace else ""
    return f"""\
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {{name: default{place}}}
spec: {{mtls: {{mode: {mode}}}}}
"""


def port_mtls(
    workload: str, ports: int | str | tuple[int, ...], port_mode: str, *, mode: str = ""
) -> str:
    """Return the PeerAuthentication of some ports (of the workload, not of a Service).

    mode: of the workload's other ports; empty: that of the namespace.
    """
    rest = f"  mtls: {{mode: {mode}}}\n" if mode else ""
    each = ports if isinstance(ports, tuple) else (ports,)
    listed = ", ".join(f"{port}: {{mode: {port_mode}}}" for port in each)
    return f"""\
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {{name: {workload}}}
spec:
  selector: {{matchLabels: {{app: {workload}}}}}
{rest}  portLevelMtls: {{{listed}}}
"""


def destination_rule(service: str, policy: str) -> str:
    """Return the DestinationRule of one Service. policy: its `trafficPolicy`, as YAML."""
    block = "\n" + textwrap.indent(policy.rstrip(), 4 * " ")
    filled = block if "\n" in policy else f" {policy}"
    return f"""\
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: {service}}}
spec:
  host: {service}.{{namespace}}.svc.cluster.local
  trafficPolicy:{filled}
"""


def without_tls(service: str, port: int = 0) -> str:
    """Return the DestinationRule by which clients speak plaintext to a Service.

    port: to this port only, and mTLS to its others.
    """
    if not port:
        return destination_rule(service, "{tls: {mode: DISABLE}}")
    exception = f"portLevelSettings: [{{port: {{number: {port}}}, tls: {{mode: DISABLE}}}}]"
    return destination_rule(service, f"tls: {{mode: ISTIO_MUTUAL}}\n{exception}")


def originate_tls(service: str, files: str, name: str) -> str:
    """Return the DestinationRule by which the client's sidecar speaks TLS to a Service.

    files: the folder in the sidecar with ca.pem, cert.pem and key.pem. name: the server's.
    """
    return destination_rule(
        service,
        f"""\
tls:
  mode: MUTUAL
  caCertificates: {files}/ca.pem
  clientCertificate: {files}/cert.pem
  privateKey: {files}/key.pem
  sni: {name}
  subjectAltNames: [{name}]
""",
    )


def tcp_gateway(name: str, port: int, to: Service, *, tls: str = "") -> str:
    """Return a Gateway with one server, and the VirtualService that hands its port on.

    to: the Service whose first port is behind it. tls: the server's mode; empty: plain TCP.
    """
    protocol = "tls" if tls else "tcp"
    server = f"port: {{number: {port}, name: {protocol}, protocol: {protocol.upper()}}}"
    server += f", tls: {{mode: {tls}}}" if tls else ""
    host = f"{to.name}.{{namespace}}.svc.cluster.local"
    number = to.ports[0].number
    return f"""\
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {{name: {name}}}
spec:
  selector: {{app: gateway}}
  servers: [{{hosts: ["*"], {server}}}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: {name}}}
spec:
  hosts: ["*"]
  gateways: [{name}]
  tcp:
  - match: [{{port: {port}}}]
    route:
    - destination: {{host: {host}, port: {{number: {number}}}}}
"""


def http2_gateway(port: int, to: Service) -> str:
    """Return a Gateway with one HTTP/2 server, and the VirtualService that routes it to a Service.

    port: of the gateway; it names both. to: the Service whose first port is behind it.
    """
    host = f"{to.name}.{{namespace}}.svc.cluster.local"
    number = to.ports[0].number
    return f"""\
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {{name: http2-{port}}}
spec:
  selector: {{app: gateway}}
  servers: [{{hosts: ["*"], port: {{number: {port}, name: http2-{port}, protocol: HTTP2}}}}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: http2-{port}}}
spec:
  hosts: ["*"]
  gateways: [http2-{port}]
  http: [{{route: [{{destination: {{host: {host}, port: {{number: {number}}}}}}}]}}]
"""


def together(*manifests: str) -> str:
    """Return several manifests as one."""
    return "---\n".join(manifests)


def envoy_filter(name: str, setting: str, *, outbound: int = 0, inbound: int = 0) -> str:
    """Return an EnvoyFilter that merges a setting into the HTTP connection manager.

    outbound: the Service port at clients' sidecars. inbound: the server's own port at its sidecar.
    """
    manager = f"filter: {{name: {MANAGER}}}"
    out = f"{{portNumber: {outbound}, filterChain: {{{manager}}}}}"
    into = f"{{filterChain: {{destinationPort: {inbound}, {manager}}}}}"
    places = [f"context: SIDECAR_OUTBOUND, listener: {out}"] if outbound else []
    places += [f"context: SIDECAR_INBOUND, listener: {into}"] if inbound else []
    lines = [
        "apiVersion: networking.istio.io/v1alpha3",
        "kind: EnvoyFilter",
        f"metadata: {{name: {name}}}",
        "spec:",
        "  configPatches:",
    ]
    for place in places:
        lines += [
            "  - applyTo: NETWORK_FILTER",
            f"    match: {{{place}}}",
            "    patch:",
            "      operation: MERGE",
            "      value:",
            "        typed_config:",
            f'          "@type": type.googleapis.com/{MANAGER_TYPE}',
            f"          {setting}",
        ]
    return "\n".join(lines) + "\n"
