"""What a kubelet does, asked by plain kubectl from the host."""

from __future__ import annotations

import base64
import datetime
import json
import os
import re
import subprocess
from collections.abc import Callable

import pytest
from kubectl import Kubectl

from clusters.embedded import host
from clusters.embedded.cluster import Embedded
from lab.common.wait import until

pytestmark = pytest.mark.cluster

LEASE = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/lab"


def age(moment: str) -> float:
    """How many seconds ago that was."""
    at = datetime.datetime.fromisoformat(moment)
    return (datetime.datetime.now(datetime.UTC) - at).total_seconds()


@pytest.fixture(scope="module")
def renewals() -> set[str]:
    """When the node's lease was renewed, as the tests of this file have seen it."""
    return set()


@pytest.fixture(autouse=True)
def lease(cluster: Embedded, renewals: set[str]) -> Callable[[], set[str]]:
    """Looks at the lease before every test, so that the last one need not wait long."""

    def look() -> set[str]:
        spec = cluster.kube.request("GET", LEASE)["spec"]
        assert age(spec["renewTime"]) < spec["leaseDurationSeconds"] / 2
        renewals.add(spec["renewTime"])
        return renewals

    look()
    return look


def deployment(name: str, image: str = "lab/httpbin", replicas: int = 1, **pod: object) -> str:
    container: dict[str, object] = {"name": name, "image": image}
    container |= pod.pop("container", {})
    return json.dumps(
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": name},
            "spec": {
                "replicas": replicas,
                "selector": {"matchLabels": {"app": name}},
                "template": {
                    "metadata": {"labels": {"app": name}},
                    "spec": {"containers": [container], "terminationGracePeriodSeconds": 1, **pod},
                },
            },
        }
    )


def pod_of(kubectl: Kubectl, namespace: str, app: str) -> str:
    path = "jsonpath={.items[0].metadata.name}"
    return kubectl("get", "pod", "-n", namespace, "-l", f"app={app}", "-o", path)


def ready(kubectl: Kubectl, namespace: str, app: str) -> str:
    kubectl("rollout", "status", f"deployment/{app}", "-n", namespace, "--timeout=60s")
    return pod_of(kubectl, namespace, app)


def test_a_deployment_that_the_lab_does_not_know_scales_from_one_to_three_to_none(
    kubectl: Kubectl, namespace: str
) -> None:
    kubectl("apply", "-n", namespace, "-f", "-", stdin=deployment("unknown"))
    ready(kubectl, namespace, "unknown")
    for wanted in ("3", "0"):
        kubectl("scale", "deployment/unknown", "-n", namespace, f"--replicas={wanted}")
        kubectl("rollout", "status", "deployment/unknown", "-n", namespace, "--timeout=60s")
        state = "jsonpath={.status.readyReplicas}"
        seen = kubectl("get", "deployment/unknown", "-n", namespace, "-o", state)
        assert seen == wanted.replace("0", "")
    kubectl.eventually("No resources found", "get", "pods", "-n", namespace)


def test_services_resolve_in_a_pod_that_is_older_than_they_are(
    kubectl: Kubectl, namespace: str, in_pod: Callable[..., str]
) -> None:
    kubectl("apply", "-n", namespace, "-f", "-", stdin=deployment("client", "lab/client"))
    kubectl("apply", "-n", namespace, "-f", "-", stdin=deployment("web"))
    client = ready(kubectl, namespace, "client")
    ready(kubectl, namespace, "web")
    kubectl("expose", "deployment/web", "-n", namespace, "--port=80", "--target-port=8080")
    kubectl("expose", "deployment/web", "-n", namespace, "--name=headless", "--port=8080",
            "--cluster-ip=None")  # fmt: skip
    ip = kubectl("get", "pod", "-n", namespace, "-l", "app=web", "-o",
                 "jsonpath={.items[0].status.podIP}")  # fmt: skip
    for name in ("web", "headless:8080"):
        code = ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", f"http://{name}/status/204"]
        until(lambda c=code: in_pod(namespace, client, *c) == "204", name, timeout=15, every=0.1)
    assert ip in in_pod(namespace, client, "getent", "hosts", "headless")


def test_a_name_that_does_not_exist_is_answered_at_once(
    kubectl: Kubectl, namespace: str, in_pod: Callable[..., str]
) -> None:
    kubectl("apply", "-n", namespace, "-f", "-", stdin=deployment("client", "lab/client"))
    client = ready(kubectl, namespace, "client")
    said = in_pod(namespace, client, "curl", "-sS", "-m", "3", "http://nowhere.example/")
    assert "Could not resolve host" in said


def test_an_endpoint_added_later_is_reached_and_one_that_is_not_ready_is_left_out(
    kubectl: Kubectl, namespace: str, in_pod: Callable[..., str]
) -> None:
    probe = {"httpGet": {"path": "/status/200", "port": 8080}, "periodSeconds": 1}
    web = deployment("web", container={"readinessProbe": probe})
    kubectl("apply", "-n", namespace, "-f", "-", stdin=web)
    kubectl("apply", "-n", namespace, "-f", "-", stdin=deployment("client", "lab/client"))
    kubectl("expose", "deployment/web", "-n", namespace, "--port=80", "--target-port=8080")
    ready(kubectl, namespace, "web")
    client = ready(kubectl, namespace, "client")
    kubectl("scale", "deployment/web", "-n", namespace, "--replicas=2")
    ready(kubectl, namespace, "web")
    names = "jsonpath={.items[*].status.podIP}"
    ips = set(kubectl("get", "pod", "-n", namespace, "-l", "app=web", "-o", names).split())
    assert len(ips) == 2

    def endpoints() -> set[str]:
        path = "jsonpath={.items[*].endpoints[?(@.conditions.ready==true)].addresses[0]}"
        where = ["get", "endpointslice", "-n", namespace, "-l", "kubernetes.io/service-name=web"]
        return set(kubectl(*where, "-o", path).split())

    until(lambda: endpoints() == ips, "both endpoints", timeout=15, every=0.2)
    logs = ["logs", "-n", namespace, "-l", "app=web", "--prefix", "--tail=-1"]

    def reached() -> int:
        in_pod(namespace, client, "curl", "-s", "http://web/anything/later")
        lines = [line for line in kubectl(*logs).splitlines() if "/anything/later" in line]
        return len({line.split("]")[0] for line in lines})

    until(lambda: reached() == 2, "both pods to be reached", timeout=20, every=0.05)
    broken = {"httpGet": {"path": "/status/500", "port": 8080}, "periodSeconds": 1}
    patch = {"spec": {"strategy": {"type": "RollingUpdate"}, "template": {"spec": {"containers": [
        {"name": "web", "readinessProbe": {**broken, "failureThreshold": 1}}]}}}}  # fmt: skip
    kubectl("patch", "deployment/web", "-n", namespace, "-p", json.dumps(patch))
    kubectl.eventually("0/1", "get", "pods", "-n", namespace, "-l", "app=web")
    assert endpoints() <= ips


def test_a_ready_pod_whose_probe_begins_to_fail_leaves_the_service(
    kubectl: Kubectl, namespace: str, in_pod: Callable[..., str]
) -> None:
    probe = {"exec": {"command": ["test", "!", "-e", "/tmp/broken"]}, "periodSeconds": 1}
    once = {"readinessProbe": {**probe, "failureThreshold": 1}}
    kubectl("apply", "-n", namespace, "-f", "-", stdin=deployment("web", container=once))
    kubectl("expose", "deployment/web", "-n", namespace, "--port=80", "--target-port=8080")
    pod = ready(kubectl, namespace, "web")
    state = ["get", "endpointslice", "-n", namespace, "-o",
             "jsonpath={.items[*].endpoints[*].conditions.ready}"]  # fmt: skip
    kubectl.eventually("true", *state)
    in_pod(namespace, pod, "touch", "/tmp/broken")
    kubectl.eventually("false", *state)
    in_pod(namespace, pod, "rm", "/tmp/broken")
    kubectl.eventually("true", *state)


def test_an_image_that_is_not_offered_waits_and_names_those_that_are(
    kubectl: Kubectl, namespace: str
) -> None:
    kubectl("run", "foreign", "-n", namespace, "--image=nginx:1.27")
    path = "jsonpath={.status.containerStatuses[0].state.waiting}"
    said = kubectl.eventually(
        "ImageNotOffered", "get", "pod", "foreign", "-n", namespace, "-o", path
    )
    assert "lab/httpbin" in said
    assert "proxyv2" in said


def test_a_volume_of_another_kind_is_refused_the_same_way(kubectl: Kubectl, namespace: str) -> None:
    volumes = [{"name": "host", "hostPath": {"path": "/etc"}}]
    kubectl("apply", "-n", namespace, "-f", "-", stdin=deployment("grabby", volumes=volumes))
    path = "jsonpath={.items[0].status.containerStatuses[0].state.waiting}"
    said = kubectl.eventually("VolumeNotOffered", "get", "pods", "-n", namespace, "-o", path)
    assert "emptyDir" in said


def test_limits_are_accepted_and_an_event_says_that_they_are_not_enforced(
    kubectl: Kubectl, namespace: str
) -> None:
    limits = {"resources": {"limits": {"cpu": "100m", "memory": "64Mi"}}}
    kubectl("apply", "-n", namespace, "-f", "-", stdin=deployment("web", container=limits))
    ready(kubectl, namespace, "web")
    kubectl.eventually("LimitsNotEnforced", "get", "events", "-n", namespace)


def test_logs_are_followed_while_a_container_writes(
    cluster: Embedded, kubectl: Kubectl, namespace: str, in_pod: Callable[..., str]
) -> None:
    kubectl("apply", "-n", namespace, "-f", "-", stdin=deployment("web"))
    pod = ready(kubectl, namespace, "web")
    argv = [cluster.bin / "kubectl", f"--kubeconfig={cluster.kubeconfig}", "logs", "-f", pod]
    follow = subprocess.Popen([*argv, "-n", namespace], stdout=subprocess.PIPE)
    assert follow.stdout is not None
    os.set_blocking(follow.stdout.fileno(), False)
    seen = b""
    try:
        for word in ("first", "second"):

            def followed(word: str = word) -> bool:
                nonlocal seen
                in_pod(namespace, pod, "curl", "-s", f"http://localhost:8080/anything/{word}")
                seen += follow.stdout.read() or b""
                return f"/anything/{word}".encode() in seen

            until(followed, word, timeout=15, every=0.2)
        assert follow.poll() is None, "it follows until it is told to stop"
    finally:
        follow.kill()
        follow.communicate()


def test_a_crashed_container_is_restarted_and_its_earlier_log_kept(
    kubectl: Kubectl, namespace: str
) -> None:
    command = {"command": ["sh", "-c", "echo once $$; sleep 1; exit 7"]}
    web = deployment("crash", "lab/client", container=command)
    kubectl("apply", "-n", namespace, "-f", "-", stdin=web)
    path = "jsonpath={.items[0].status.containerStatuses[0]}"
    said = kubectl.eventually('"exitCode":7', "get", "pods", "-n", namespace, "-o", path)
    kubectl.eventually('"restartCount":1', "get", "pods", "-n", namespace, "-o", path)
    assert "Error" in said
    pod = pod_of(kubectl, namespace, "crash")
    kubectl.eventually("once", "logs", "--previous", pod, "-n", namespace)


def test_deleting_a_pod_lets_it_end_by_itself_and_another_take_its_place(
    kubectl: Kubectl, namespace: str
) -> None:
    kubectl("apply", "-n", namespace, "-f", "-", stdin=deployment("web"))
    first = ready(kubectl, namespace, "web")
    kubectl("delete", "pod", first, "-n", namespace, "--wait=true", "--timeout=20s")
    assert ready(kubectl, namespace, "web") != first


@pytest.mark.parametrize(
    ("native", "phase", "goes_on"), [(True, "Succeeded", False), (False, "Running", True)]
)
def test_a_pod_ends_its_native_sidecars_after_its_applications(
    native: bool, phase: str, goes_on: bool, kubectl: Kubectl, namespace: str
) -> None:
    """Its phase is told once they have ended; an ordinary container is left alone."""
    application = {"name": "app", "image": "lab/client", "command": ["sleep", "0.1"]}
    beside = {"name": "beside", "image": "lab/client", "command": ["sleep", "infinity"]}
    spec = (
        {"initContainers": [{**beside, "restartPolicy": "Always"}], "containers": [application]}
        if native
        else {"containers": [application, beside]}
    )
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "job"},
        "spec": {"restartPolicy": "Never", "terminationGracePeriodSeconds": 1, **spec},
    }
    kubectl("apply", "-n", namespace, "-f", "-", stdin=json.dumps(pod))

    def look() -> dict[str, dict[str, object]]:
        status = json.loads(kubectl("get", "pod", "job", "-n", namespace, "-o", "json"))["status"]
        every = [*status.get("containerStatuses", []), *status.get("initContainerStatuses", [])]
        told = {one["name"]: one["state"] for one in every}
        over = "terminated" in told.get("app", {}) and status["phase"] == phase
        return told if over else {}

    states = until(look, f"a pod that is {phase}", timeout=20, every=0.1)
    assert ("running" in states["beside"]) is goes_on


def test_tokens_carry_audience_and_pod_and_are_replaced_in_time(
    cluster: Embedded, kubectl: Kubectl, namespace: str, in_pod: Callable[..., str]
) -> None:
    token = {"path": "token", "audience": "istio-ca", "expirationSeconds": 600}
    volume = {"name": "token", "projected": {"sources": [{"serviceAccountToken": token}]}}
    mounts = {"volumeMounts": [{"name": "token", "mountPath": "/var/run/own"}]}
    web = deployment("web", "lab/client", volumes=[volume], container=mounts)
    kubectl("apply", "-n", namespace, "-f", "-", stdin=web)
    pod = ready(kubectl, namespace, "web")

    def read() -> str:
        return in_pod(namespace, pod, "cat", "/var/run/own/token")

    first = read()
    claims = json.loads(base64.urlsafe_b64decode(first.split(".")[1] + "=="))
    assert claims["aud"] == ["istio-ca"]
    assert claims["kubernetes.io"]["pod"]["name"] == pod
    until(lambda: read() != first, "a new token", timeout=20, every=0.3)
    review = cluster.kube.request(
        "POST",
        "/apis/authentication.k8s.io/v1/tokenreviews",
        {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenReview",
            "spec": {"token": read(), "audiences": ["istio-ca"]},
        },
    )
    assert review["status"]["authenticated"]
    extra = review["status"]["user"]["extra"]
    assert extra["authentication.kubernetes.io/pod-name"] == [pod]


def test_volumes_hold_what_the_api_holds(
    kubectl: Kubectl, namespace: str, in_pod: Callable[..., str]
) -> None:
    kubectl("create", "configmap", "settings", "-n", namespace, "--from-literal=colour=green")
    kubectl("create", "secret", "generic", "hidden", "-n", namespace, "--from-literal=word=open")
    item = {"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}
    volumes = [
        {"name": "settings", "configMap": {"name": "settings"}},
        {"name": "hidden", "secret": {"secretName": "hidden"}},
        {"name": "about", "downwardAPI": {"items": [item]}},
        {"name": "room", "emptyDir": {}},
    ]
    mounts = [{"name": v["name"], "mountPath": f"/v/{v['name']}"} for v in volumes]
    web = deployment("web", "lab/client", volumes=volumes, container={"volumeMounts": mounts})
    kubectl("apply", "-n", namespace, "-f", "-", stdin=web)
    pod = ready(kubectl, namespace, "web")
    assert in_pod(namespace, pod, "cat", "/v/settings/colour") == "green"
    assert in_pod(namespace, pod, "cat", "/v/hidden/word") == "open"
    assert 'app="web"' in in_pod(namespace, pod, "cat", "/v/about/labels")
    in_pod(namespace, pod, "touch", "/v/room/mine")
    assert "mine" in in_pod(namespace, pod, "ls", "/v/room")


def test_a_pod_has_a_network_namespace_of_its_own(
    cluster: Embedded, kubectl: Kubectl, namespace: str, in_pod: Callable[..., str]
) -> None:
    kubectl("apply", "-n", namespace, "-f", "-", stdin=deployment("client", "lab/client", 2))
    ready(kubectl, namespace, "client")
    names = "jsonpath={.items[*].metadata.name}"
    pods = kubectl("get", "pods", "-n", namespace, "-l", "app=client", "-o", names).split()
    first = host.first_pid(cluster.state)
    assert first
    places = {
        "ours": os.readlink("/proc/self/ns/net"),
        "the node's": os.readlink(f"/proc/{first}/ns/net"),
        **{pod: in_pod(namespace, pod, "readlink", "/proc/self/ns/net").strip() for pod in pods},
    }
    assert len(set(places.values())) == 4, places
    for pod in pods:
        table = in_pod(namespace, pod, "cat", "/proc/net/dev")
        assert sorted(re.findall(r"^ *([^ :]+):", table, re.MULTILINE)) == ["eth0", "lo"]


def test_a_pod_runs_under_its_own_name_and_user_with_no_capability(
    kubectl: Kubectl, namespace: str, in_pod: Callable[..., str]
) -> None:
    import sys

    kubectl("apply", "-n", namespace, "-f", "-", stdin=deployment("client", "lab/client"))
    pod = ready(kubectl, namespace, "client")
    assert in_pod(namespace, pod, "hostname").strip() == pod
    assert "uid=1000" in in_pod(namespace, pod, "id")
    assert "CapEff:\t0000000000000000" in in_pod(namespace, pod, "cat", "/proc/self/status")
    prefix = in_pod(namespace, pod, "python3", "-c", "import sys; print(sys.prefix)")
    assert prefix.strip() == sys.prefix


def test_the_node_stays_ready_because_its_lease_is_renewed_again_and_again(
    kubectl: Kubectl, lease: Callable[[], set[str]]
) -> None:
    until(lambda: len(lease()) >= 3, "the lease to be renewed twice", timeout=30, every=0.5)
    ready_now = "jsonpath={.status.conditions[?(@.type=='Ready')].status}"
    assert kubectl("get", "node", "lab", "-o", ready_now) == "True"
    lost = kubectl("get", "events", "-A", "--field-selector", "reason=NodeNotReady", "-o", "name")
    assert not lost
