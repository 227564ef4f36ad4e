"""Builds the lab's workloads as Kubernetes objects: the same on every kind of cluster."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from lab.workloads.catalogue import CATALOGUE, reference

if TYPE_CHECKING:
    from lab.workloads.certificates import Authority

Obj = dict[str, Any]

# Istio keeps few of Envoy's counters; these show refused handshakes, unmatched
# chains, and connections that wait.
STATS = [
    ".*ssl.*",
    ".*no_filter_chain_match",
    ".*downstream_pre_cx.*",
    "http.*downstream_cx_active",
    ".*upstream_cx.*",
    "listener.*downstream_cx_total",
    ".*update_rejected",
    "server.dynamic_unknown_fields",
]
CERTIFICATES = "/etc/mesh-certificates"
OWN_TLS = "/etc/own-tls"
FORMS: Mapping[str, range] = {
    "server": range(8400, 8412),
    "demand": range(8420, 8432),
    "ask": range(8440, 8452),
}
"""B's three forms, a container each, and the ports at which it listens."""
DATABASES = ("mongodb", "mysql", "redis")
"""The programs of clusters/stacks/databases, each in an image of its own."""
EXCLUDED_PORTS = "traffic.sidecar.istio.io/excludeInboundPorts"
EXCLUDED = 8451
"""The one port of B that is excluded from interception by its sidecar."""
B_NAMES = ("b", *(f"b-{name}" for name in ("server", "demand", "ask", "cost", "https", "tls")))
B_NAMES += tuple(f"b-{name}" for name in ("tcp", "unnamed", "declared", "disabled", "excluded"))
B_NAMES += ("b-originated",)
"""Names of the Services of B: its certificate is valid for each of them."""
# What Pod Security `restricted` demands; no workload here needs more.
ORDINARY: Obj = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
CONFINED: Obj = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
GATEWAYS = frozenset({"gateway"})
CALLERS = frozenset({"client", "stranger", "member", "a"})
SIDE = "lab.istio-failure/side"
"""A label of nodes, `caller` or `callee`, for one side's pods only; a node without it takes all."""


class Setting:
    """What the workloads of one world share: the CA of services with TLS of their own."""

    @cached_property
    def authority(self) -> Authority:
        from lab.workloads.certificates import Authority

        return Authority("the services' own CA")

    @cached_property
    def rsa_authority(self) -> Authority:
        """Return a CA whose keys are as those of Istio's workloads: RSA of 2,048 bits."""
        from lab.workloads.certificates import Authority

        return Authority("the services' own CA", rsa_bits=2048)


def _proxy_config(**metadata: str) -> str:
    # Logs are written every 50 ms, and not once a second.
    config: Obj = {"proxyStatsMatcher": {"inclusionRegexps": STATS}, "fileFlushInterval": "0.05s"}
    if metadata:
        config["proxyMetadata"] = metadata
    return json.dumps(config)


def _apart(name: str) -> Obj:
    """Return an affinity that keeps callers and callees on nodes of different sides."""
    other = "callee" if name in CALLERS else "caller"
    rule = {"key": SIDE, "operator": "NotIn", "values": [other]}
    terms = {"nodeSelectorTerms": [{"matchExpressions": [rule]}]}
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": terms}}


def _workload(
    name: str,
    image: str,
    ports: list[int],
    *,
    args: list[str] | None = None,
    sidecar: bool = True,
    annotations: Mapping[str, str] | None = None,
    container: Mapping[str, Any] | None = None,
) -> list[Obj]:
    labels = {"app": name, "sidecar.istio.io/inject": str(sidecar).lower()}
    notes = {"proxy.istio.io/config": _proxy_config(), **(annotations or {})} if sidecar else {}
    spec: Obj = {"name": name, "image": reference(image), "securityContext": CONFINED}
    spec |= container or {}
    if args:
        spec["args"] = args
    if ports:
        spec["ports"] = [{"containerPort": port} for port in ports]
        spec["readinessProbe"] = readiness(ports[0])
    return [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name}},
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": name, "labels": {"app": name}},
            "spec": {
                "replicas": 1,
                "selector": {"matchLabels": {"app": name}},
                "template": {
                    "metadata": {"labels": labels, "annotations": notes},
                    "spec": {
                        "serviceAccountName": name,
                        "terminationGracePeriodSeconds": 1,
                        "affinity": _apart(name),
                        "securityContext": ORDINARY,
                        "containers": [spec],
                    },
                },
            },
        },
    ]


def readiness(port: int) -> Obj:
    """Return the probe of a container that is ready once it listens at a port."""
    return {"tcpSocket": {"port": port}, "periodSeconds": 5}


def client(_: Setting) -> list[Obj]:
    """Build the caller: a pod with a sidecar, in which commands are typed."""
    return _workload("client", "lab/client", [])


def stranger(_: Setting) -> list[Obj]:
    """Build a caller without a sidecar, which is not part of the mesh."""
    return _workload("stranger", "lab/client", [], sidecar=False)


def member(_: Setting) -> list[Obj]:
    """Build the control of TLS probes: it holds a mesh certificate and is not redirected.

    The agent writes the certificate to a volume (OUTPUT_CERTS, as Istio documents it for
    Prometheus), and only the uid that the agent runs as can read the key.
    """
    annotations = {
        "proxy.istio.io/config": _proxy_config(OUTPUT_CERTS=CERTIFICATES),
        "traffic.sidecar.istio.io/includeOutboundIPRanges": "",
        "sidecar.istio.io/userVolumeMount": json.dumps(
            {"mesh-certificates": {"mountPath": CERTIFICATES}}
        ),
    }
    container = {
        "securityContext": {**CONFINED, "runAsUser": 1337, "runAsGroup": 1337},
        "volumeMounts": [{"name": "mesh-certificates", "mountPath": CERTIFICATES}],
    }
    objects = _workload("member", "lab/client", [], annotations=annotations, container=container)
    pod = objects[1]["spec"]["template"]["spec"]
    pod["volumes"] = [{"name": "mesh-certificates", "emptyDir": {}}]
    return objects


def httpbin(_: Setting) -> list[Obj]:
    """Build httpbin: REST over HTTP/1.1, as in Istio's own sample.

    The command is given, since on kind the image may be httpbin's own, which serves port 80.
    """
    command = [*CATALOGUE["lab/httpbin"].command]
    return _workload("httpbin", "lab/httpbin", [8080], container={"command": command})


def tcp_echo(_: Setting) -> list[Obj]:
    """Build Istio's tcp-echo, which answers a line with the same line."""
    ports = [*range(9000, 9006)]
    listed = ",".join(map(str, ports))
    return _workload("tcp-echo", "lab/tcp-echo", ports, args=[listed, "hello"])


def grpcbin(_: Setting) -> list[Obj]:
    """Build grpcbin, in plaintext, at the post's port and some more."""
    ports = [*range(4200, 4206)]
    return _workload("grpcbin", "lab/grpcbin", ports, args=[",".join(map(str, ports))])


def gateway(_: Setting) -> list[Obj]:
    """Build a gateway pod, injected by Istio's own template; a remedy says what it serves."""
    objects = _workload("gateway", "auto", [])
    template = objects[1]["spec"]["template"]
    template["metadata"]["annotations"]["inject.istio.io/templates"] = "gateway"
    # The template fills in everything else of a container with this name.
    # Without a pull policy, `auto` is taken for `auto:latest`, which is pulled each time.
    container: Obj = {"name": "istio-proxy", "image": "auto", "securityContext": CONFINED}
    container["imagePullPolicy"] = "IfNotPresent"
    template["spec"]["containers"] = [container]
    return objects


def a(setting: Setting) -> list[Obj]:
    """Build service A, which has TLS of its own and calls B."""
    container = _own_tls("server", range(8400, 8401))
    # Its sidecar may use the certificate too, where a rule tells it to originate TLS.
    mount = json.dumps({"own-tls": {"mountPath": OWN_TLS}})
    notes = {"sidecar.istio.io/userVolumeMount": mount}
    objects = _workload("a", "lab/own-tls", [8400], annotations=notes, container=container)
    return _with_own_tls(objects, [], setting.authority, ("a",))


def b(setting: Setting) -> list[Obj]:
    """Build service B: TLS of its own in three forms, a container each, each with its own log."""
    excluded = {EXCLUDED_PORTS: str(EXCLUDED)}
    forms = [*FORMS.items()]
    objects = _workload(
        "b",
        "lab/own-tls",
        [forms[0][1][0]],
        annotations=excluded,
        container=_own_tls(*forms[0]),
    )
    image = {"image": reference("lab/own-tls"), "securityContext": CONFINED}
    rest = [{**image, **_own_tls(*form)} for form in forms[1:]]
    return _with_own_tls(objects, rest, setting.authority, B_NAMES)


def table_server(setting: Setting) -> list[Obj]:
    """Build the truth table's server; a variant of it says at which ports it listens."""
    return with_certificate(_workload("table-server", "lab/table-server", [8080]), setting)


def fortio(setting: Setting) -> list[Obj]:
    """Build a pod of Istio's load generator, which is its server too; a variant says what it runs.

    Its argument is a line of shell.
    """
    mounts = [{"name": "own-tls", "mountPath": OWN_TLS, "readOnly": True}]
    container = {"command": ["sh", "-c"], "volumeMounts": mounts}
    objects = _workload("fortio", "lab/fortio", [], container=container)
    names = ("own-tls", "own-tls-in-mtls")
    return _with_own_tls(objects, [], setting.rsa_authority, names)


def with_certificate(objects: list[Obj], setting: Setting) -> list[Obj]:
    """Return a workload with a certificate of the services' CA, and that CA's, in OWN_TLS."""
    container = objects[1]["spec"]["template"]["spec"]["containers"][0]
    container["volumeMounts"] = [{"name": "own-tls", "mountPath": OWN_TLS, "readOnly": True}]
    return _with_own_tls(objects, [], setting.authority, (objects[0]["metadata"]["name"],))


def server_databases(setting: Setting) -> list[Obj]:
    """Build the truth table's database servers, a container each, named by its program.

    Who deploys it gives each its ports.
    """
    mounts = [{"name": "own-tls", "mountPath": OWN_TLS, "readOnly": True}]
    first, *rest = (
        {
            "name": name,
            "image": reference(f"lab/{name}"),
            "securityContext": CONFINED,
            "volumeMounts": mounts,
        }
        for name in DATABASES
    )
    objects = _workload("server-databases", "", [3306], container=first)
    return _with_own_tls(objects, rest, setting.authority, ("server-databases",))


def _own_tls(form: str, ports: range) -> Obj:
    """Return the container spec of lab/own-tls in one form, which listens at these ports."""
    files = [f"--{flag}={OWN_TLS}/{flag}.pem" for flag in ("cert", "key", "ca")]
    listed = f"--ports={','.join(map(str, ports))}"
    mounts = [{"name": "own-tls", "mountPath": OWN_TLS, "readOnly": True}]
    return {"name": form, "args": [f"--form={form}", listed, *files], "volumeMounts": mounts}


def _with_own_tls(
    objects: list[Obj], more: list[Obj], authority: Authority, names: tuple[str, ...]
) -> list[Obj]:
    """Return a workload with a certificate of the services' CA, and with more containers."""
    name = objects[0]["metadata"]["name"]
    key, certificate = authority.issue(name, dns=names)
    files = {"key": key, "cert": certificate, "ca": authority.certificate_pem}
    data = {f"{file}.pem": content.decode() for file, content in files.items()}
    secret = f"own-tls-{name}"
    pod = objects[1]["spec"]["template"]["spec"]
    pod["containers"] += more
    pod["volumes"] = [{"name": "own-tls", "secret": {"secretName": secret}}]
    meta = {"name": secret}
    return [
        {"apiVersion": "v1", "kind": "Secret", "metadata": meta, "stringData": data},
        *objects,
    ]


WORKLOADS: Mapping[str, Callable[[Setting], list[Obj]]] = {
    "client": client,
    "stranger": stranger,
    "member": member,
    "httpbin": httpbin,
    "tcp-echo": tcp_echo,
    "grpcbin": grpcbin,
    "gateway": gateway,
    "a": a,
    "b": b,
    "table-server": table_server,
    "server-databases": server_databases,
    "fortio": fortio,
}
