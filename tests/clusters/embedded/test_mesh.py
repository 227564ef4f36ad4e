"""Istio on the embedded cluster: injection, redirection, gateways, and what a stock Envoy lacks."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator

import pytest
from kubectl import Kubectl

from clusters.embedded.channel import completed
from clusters.embedded.cluster import Embedded
from lab.common.wait import until

pytestmark = pytest.mark.cluster

NAMES = {"http-x": 8001, "grpc-x": 8002, "http2-x": 8003, "": 8004, "foo-x": 8005}
# A port of the container for each: of Services that share one, Istio takes the oldest's protocol.
BACKENDS = {"web": 80, "rpc": 70}
OUTBOUND = "-A ISTIO_REDIRECT -p tcp -j REDIRECT --to-ports 15001"
INBOUND = "-A ISTIO_IN_REDIRECT -p tcp -j REDIRECT --to-ports 15006"


def workload(name: str, image: str, args: list[str] | None = None, **pod: object) -> dict:
    container: dict[str, object] = {"name": name, "image": image}
    if args:
        container["args"] = args
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}, **pod.pop("metadata", {})},
                "spec": {"containers": [container], "terminationGracePeriodSeconds": 1, **pod},
            },
        },
    }


def service(name: str, port_name: str, port: int, target: int) -> dict:
    entry: dict[str, object] = {"port": port, "targetPort": target}
    if port_name:
        entry["name"] = port_name
    spec = {"selector": {"app": "echo"}, "ports": [entry]}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}


def host_of(port_name: str, backend: str) -> str:
    return f"{port_name.partition('-')[0] or 'unnamed'}-{backend}"


@pytest.fixture(scope="module")
def meshed(cluster: Embedded, kubectl: Kubectl) -> Iterator[str]:
    """A namespace with an echo server behind every port name, and a client."""
    name = "mesh-matrix"
    targets = {
        (port_name, backend): 100 * first + at
        for backend, first in BACKENDS.items()
        for at, port_name in enumerate(NAMES)
    }
    kubectl("create", "namespace", name)
    kubectl("label", "namespace", name, "istio-injection=enabled")
    echo = [
        f"{'--port' if backend == 'web' else '--grpc'}={target}"
        for (_, backend), target in targets.items()
    ]
    objects = [workload("echo", "lab/istio-echo", echo), workload("client", "lab/client")]
    objects += [
        service(host_of(port_name, backend), port_name, NAMES[port_name], target)
        for (port_name, backend), target in targets.items()
    ]
    cluster.kube.apply(objects, name)
    for app in ("echo", "client"):
        kubectl("rollout", "status", f"deployment/{app}", "-n", name, "--timeout=60s")
    yield name
    kubectl("delete", "namespace", name, "--wait=false")


def pod_of(kubectl: Kubectl, namespace: str, app: str) -> dict:
    found = kubectl("get", "pods", "-n", namespace, "-l", f"app={app}", "-o", "json")
    pod: dict = json.loads(found)["items"][0]
    return pod


def test_the_webhook_injects_a_native_sidecar_and_init_container(
    kubectl: Kubectl, meshed: str
) -> None:
    spec = pod_of(kubectl, meshed, "client")["spec"]
    names = [container["name"] for container in spec["initContainers"]]
    assert names == ["istio-init", "istio-proxy"]
    assert spec["initContainers"][1]["restartPolicy"] == "Always"
    assert spec["initContainers"][1]["startupProbe"]


def test_istios_own_rules_redirect_all_but_the_proxys_traffic(
    cluster: Embedded, kubectl: Kubectl, meshed: str, in_pod: Callable[..., str]
) -> None:
    pods = {app: pod_of(kubectl, meshed, app)["metadata"]["name"] for app in ("client", "echo")}

    def nat(app: str) -> dict[str, int]:
        """The rules in the pod's own table, and how often each was met."""
        request = {"op": "netns", "namespace": meshed, "pod": pods[app]}
        argv = ["iptables-save", "-c", "-t", "nat"]
        done = completed(cluster._channel, {**request, "argv": argv}, b"", 10)
        found = re.findall(r"^\[(\d+):\d+\] (-A .*)", done.stdout.decode(), re.MULTILINE)
        return {rule.strip(): int(packets) for packets, rule in found}

    before = {app: nat(app) for app in pods}
    for rules in before.values():
        assert {INBOUND, OUTBOUND, "-A PREROUTING -p tcp -j ISTIO_INBOUND"} <= set(rules)
        assert any(re.match("-A OUTPUT.* -j ISTIO_OUTPUT", rule) for rule in rules)
        spared = [rule for rule in rules if "ISTIO_OUTPUT -m owner --uid-owner 1337" in rule]
        assert spared[-1].endswith("-j RETURN")
    until(
        lambda: "URL=/" in in_pod(meshed, pods["client"], "curl", "-s", "http://http-web:8001/"),
        "an answer",
        timeout=10,
        every=0.2,
    )
    assert nat("client")[OUTBOUND] > before["client"][OUTBOUND]
    assert nat("echo")[INBOUND] > before["echo"][INBOUND]


def test_a_gateway_pod_is_injected_from_istios_gateway_template(
    kubectl: Kubectl, namespace: str
) -> None:
    metadata = {
        "labels": {"app": "gateway", "istio": "gateway", "sidecar.istio.io/inject": "true"},
        "annotations": {"inject.istio.io/templates": "gateway"},
    }
    gateway = workload("istio-proxy", "auto", metadata=metadata)
    gateway["metadata"]["name"] = "gateway"
    gateway["spec"]["selector"]["matchLabels"] = {"app": "gateway"}
    kubectl("apply", "-n", namespace, "-f", "-", stdin=json.dumps(gateway))
    kubectl("rollout", "status", "deployment/gateway", "-n", namespace, "--timeout=60s")
    pod = pod_of(kubectl, namespace, "gateway")
    assert "router" in pod["spec"]["containers"][0]["args"]


def asks(protocol: str, port_name: str) -> tuple[str, list[str]]:
    """(what the answer must hold, the command) for a protocol and a port's name."""
    backend = "rpc" if protocol == "gRPC" else "web"
    address = f"{host_of(port_name, backend)}:{NAMES[port_name]}"
    if protocol == "gRPC":
        return "StatusCode=200", ["istio-echo-client", f"grpc://{address}", "--timeout=5s"]
    flags = ["--http2-prior-knowledge"] if protocol == "HTTP/2" else ["--http1.1"]
    return "URL=/", ["curl", "-s", "-m", "5", *flags, f"http://{address}/"]


# gRPC needs HTTP/2 to its server, which a port declared as HTTP/1.1 does not carry.
REFUSED = {("gRPC", "http-x")}


@pytest.mark.parametrize("mode", ["PERMISSIVE", "STRICT"])
def test_every_protocol_works_on_every_port_name_as_with_istios_own_envoy(
    mode: str, cluster: Embedded, kubectl: Kubectl, meshed: str, in_pod: Callable[..., str]
) -> None:
    policy = {
        "apiVersion": "security.istio.io/v1",
        "kind": "PeerAuthentication",
        "metadata": {"name": "default"},
        "spec": {"mtls": {"mode": mode}},
    }
    cluster.kube.apply([policy], meshed)
    client = pod_of(kubectl, meshed, "client")["metadata"]["name"]
    wrong = []
    for protocol in ("HTTP/1.1", "HTTP/2", "gRPC"):
        for port_name in NAMES:
            wanted, argv = asks(protocol, port_name)
            works = (protocol, port_name) not in REFUSED

            def look(argv: list[str] = argv, wanted: str = wanted) -> bool:
                return wanted in in_pod(meshed, client, *argv)

            try:
                until(look, "an answer", timeout=8 if works else 1, every=0.2)
                answered = True
            except Exception:
                answered = False
            if answered != works:
                wrong.append((mode, protocol, port_name, in_pod(meshed, client, *argv)[-300:]))
    assert not wrong


@pytest.mark.parametrize("protocol", ["HTTP/1.1", "HTTP/2", "gRPC"])
@pytest.mark.parametrize("port_name", ["", "foo-x"])
def test_on_a_detected_port_the_server_sees_the_request_and_not_just_bytes(
    protocol: str, port_name: str, kubectl: Kubectl, meshed: str, in_pod: Callable[..., str]
) -> None:
    client = pod_of(kubectl, meshed, "client")["metadata"]["name"]
    echo = pod_of(kubectl, meshed, "echo")["metadata"]["name"]
    _, argv = asks(protocol, port_name)
    before = len(_inbound(kubectl, meshed, echo, protocol))
    in_pod(meshed, client, *argv)
    until(
        lambda: len(_inbound(kubectl, meshed, echo, protocol)) > before,
        f"a line with protocol {protocol} in the server's sidecar",
        timeout=10,
        every=0.1,
    )


def _inbound(kubectl: Kubectl, namespace: str, pod: str, protocol: str) -> list[str]:
    """The server's sidecar's lines of requests that it read as this protocol."""
    version = "HTTP/1.1" if protocol == "HTTP/1.1" else "HTTP/2"
    said = kubectl("logs", pod, "-n", namespace, "-c", "istio-proxy")
    lines = [line for line in said.splitlines() if '"upstream_cluster":"inbound|' in line]
    return [line for line in lines if json.loads(line)["protocol"] == version]


def test_a_subset_of_a_detected_port_is_detected_too(
    cluster: Embedded, kubectl: Kubectl, meshed: str, in_pod: Callable[..., str]
) -> None:
    kind = {"apiVersion": "networking.istio.io/v1"}
    host = f"unnamed-web.{meshed}.svc.cluster.local"
    subset = {"name": "all", "labels": {"app": "echo"}}
    rule = {"host": host, "subsets": [subset]}
    route = {
        "hosts": [host],
        "http": [{"route": [{"destination": {"host": host, "subset": "all"}}]}],
    }
    objects = [
        {**kind, "kind": "DestinationRule", "metadata": {"name": "subset"}, "spec": rule},
        {**kind, "kind": "VirtualService", "metadata": {"name": "subset"}, "spec": route},
    ]
    cluster.kube.apply(objects, meshed)
    client = pod_of(kubectl, meshed, "client")["metadata"]["name"]
    echo = pod_of(kubectl, meshed, "echo")["metadata"]["name"]

    def through_the_subset() -> bool:
        in_pod(meshed, client, "curl", "-s", "-m", "5", "http://unnamed-web:8004/")
        said = kubectl("logs", client, "-n", meshed, "-c", "istio-proxy", "--tail=1")
        return '"upstream_cluster":"outbound|8004|all|' in said

    before = len(_inbound(kubectl, meshed, echo, "HTTP/1.1"))
    until(through_the_subset, "a request through the subset", timeout=10, every=0.2)
    until(
        lambda: len(_inbound(kubectl, meshed, echo, "HTTP/1.1")) > before,
        "HTTP in the server's sidecar",
        timeout=5,
        every=0.2,
    )
    cluster.kube.delete(objects, meshed)


def test_tls_that_a_rule_originates_to_an_https_backend_is_left_alone(
    cluster: Embedded, kubectl: Kubectl, meshed: str, in_pod: Callable[..., str]
) -> None:
    import datetime

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.datetime.now(datetime.UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "tls-echo")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(minutes=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    plain = serialization.NoEncryption()
    form = serialization.PrivateFormat.TraditionalOpenSSL
    data = {
        "key": key.private_bytes(serialization.Encoding.PEM, form, plain).decode(),
        "crt": certificate.public_bytes(serialization.Encoding.PEM).decode(),
    }
    flags = ["--port=8443", "--grpc=7071", "--tcp=9091", "--tls=8443", "--crt=/tls/crt"]
    backend = workload(
        "tls-echo",
        "lab/istio-echo",
        [*flags, "--key=/tls/key"],
        metadata={"labels": {"app": "tls-echo", "sidecar.istio.io/inject": "false"}},
        volumes=[{"name": "tls", "configMap": {"name": "tls-echo"}}],
    )
    mounts = [{"name": "tls", "mountPath": "/tls"}]
    backend["spec"]["template"]["spec"]["containers"][0]["volumeMounts"] = mounts
    own = service("tls-echo", "", 8006, 8443)
    own["spec"]["selector"] = {"app": "tls-echo"}
    rule = {
        "apiVersion": "networking.istio.io/v1",
        "kind": "DestinationRule",
        "metadata": {"name": "tls-echo"},
        "spec": {
            "host": f"tls-echo.{meshed}.svc.cluster.local",
            "trafficPolicy": {"tls": {"mode": "SIMPLE", "insecureSkipVerify": True}},
        },
    }
    config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "tls-echo"}}
    cluster.kube.apply([{**config, "data": data}, backend, own, rule], meshed)
    kubectl("rollout", "status", "deployment/tls-echo", "-n", meshed, "--timeout=60s")
    client = pod_of(kubectl, meshed, "client")["metadata"]["name"]
    argv = ["curl", "-s", "-m", "5", "http://tls-echo:8006/"]
    until(
        lambda: "URL=/" in in_pod(meshed, client, *argv),
        "an answer over originated TLS",
        timeout=15,
        every=0.3,
        last_seen=lambda: in_pod(meshed, client, *argv)[-300:],
    )
