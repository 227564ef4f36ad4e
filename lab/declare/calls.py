"""Calls to a Service: the command that a person types, and who is meant to answer it."""

from __future__ import annotations

from lab.model.scenario import Call, Service

READS_FIRST = "--read-first"
"""The flag of `say` by which it waits for the server's greeting."""


def curl(
    name: str,
    world: str,
    service: Service,
    flags: str = "",
    *,
    path: str = "/{marker}",
    scheme: str = "http",
    shows: str = "-sS",
    source: str = "client",
) -> Call:
    """Return a request for a path, typed in a pod.

    flags: of curl. path: what follows the address. shows: curl's flags for what it prints, before
    all others. source: the workload in whose pod it is typed.
    """
    address = f"{scheme}://{service.name}:{service.ports[0].number}{path}"
    return call(name, world, service, _words("curl", shows, flags, address), source=source)


def say(
    name: str,
    world: str,
    service: Service,
    *,
    port: int = 0,
    gateway: int = 0,
    reads_first: bool = False,
    source: str = "client",
) -> Call:
    """Return a call that sends the marker over TCP.

    port: which of the Service's; without it the first. gateway: the port of the workload `gateway`
    that is called instead, and passes it on. reads_first: it waits for the server's greeting.
    """
    number = port or service.ports[0].number
    asked = f"gateway {gateway}" if gateway else f"{service.name} {number}"
    through = f"gateway:{gateway}" if gateway else ""
    command = _words("say", asked, "{marker}", READS_FIRST if reads_first else "")
    return call(name, world, service, command, port=number, through=through, source=source)


def grpcurl(
    name: str, world: str, service: Service, method: str, body: str, *, source: str = "client"
) -> Call:
    """Return a gRPC call in plaintext. body: JSON that has the marker in it."""
    address = f"{service.name}:{service.ports[0].number}"
    command = f"grpcurl -plaintext -d '{body}' {address} {method}"
    return call(name, world, service, command, source=source)


def tls_probe(name: str, world: str, service: Service, *, sni: str, source: str = "client") -> Call:
    """Return a TLS handshake and no more; the probe reads before it writes."""
    command = f"tls-probe {service.name} {service.ports[0].number} --sni {sni}"
    return call(name, world, service, command, source=source)


def apply(name: str, world: str, to: str, file: str, manifest: str) -> Call:
    """Return `kubectl apply` of a manifest: a call to the API server."""
    return Call(name, world, "api", to, 0, f"kubectl apply -f {file}", manifest)


def job(name: str, world: str, *, native: str) -> Call:
    """Return a Job whose own container ends by itself, made and waited for.

    native: `true` or `false`: whether its sidecar is injected as an init container that goes on
    beside the others, which Kubernetes ends with them, or as an ordinary container.
    https://istio.io/latest/docs/reference/config/annotations/#SidecarNativeSidecar
    """
    typed = f"kubectl apply -f job.yaml && kubectl wait --for=condition=complete job/{name}"
    manifest = f"""\
apiVersion: batch/v1
kind: Job
metadata: {{name: {name}}}
spec:
  backoffLimit: 0
  template:
    metadata:
      labels: {{sidecar.istio.io/inject: "true"}}
      annotations: {{sidecar.istio.io/nativeSidecar: "{native}"}}
    spec:
      restartPolicy: Never
      terminationGracePeriodSeconds: 1
      securityContext: {{runAsNonRoot: true, seccompProfile: {{type: RuntimeDefault}}}}
      containers:
      - name: {name}
        image: "{{image:client}}"
        command: [sleep, "1"]
        securityContext: {{allowPrivilegeEscalation: false, capabilities: {{drop: [ALL]}}}}
"""
    return Call(name, world, "api", name, 0, typed, manifest)


def to_address(
    name: str, world: str, workload: str, port: int, command: str, *, source: str = "client"
) -> Call:
    """Return a call to a pod's own address, past every Service.

    `{ip}` in the command is the address of the workload's pod, `{port}` the port.
    """
    typed = command.replace("{ip}", f"{{ip:{workload}}}").replace("{port}", str(port))
    return Call(name, world, source, workload, port, typed)


def curl_pod(
    name: str,
    world: str,
    workload: str,
    port: int,
    *,
    path: str = "/anything/{marker}",
    source: str = "client",
) -> Call:
    """Return a request to a pod's own address, past every Service; see `curl`.

    path: without one, that which httpbin answers with 200 whatever follows.
    """
    command = f"curl -sS http://{{ip}}:{{port}}{path}"
    return to_address(name, world, workload, port, command, source=source)


def say_pod(
    name: str,
    world: str,
    workload: str,
    port: int,
    *,
    reads_first: bool = False,
    source: str = "client",
) -> Call:
    """Return a call over TCP to a pod's own address, past every Service; see `say`."""
    command = _words("say {ip} {port} {marker}", READS_FIRST if reads_first else "")
    return to_address(name, world, workload, port, command, source=source)


def call(
    name: str,
    world: str,
    service: Service,
    command: str,
    *,
    port: int = 0,
    through: str = "",
    source: str = "client",
) -> Call:
    """Return any command as a call to a Service; without a port, to its first."""
    number = port or service.ports[0].number
    asked = "" if service.name == service.workload or through else service.name
    to = service.workload
    return Call(name, world, source, to, number, command, service=asked, through=through)


def _words(*words: str) -> str:
    return " ".join(filter(None, words))
