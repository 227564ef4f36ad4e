"""A container's life, as a kubelet leads it: probes, restarts, farewell, and what is told of it."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from kubectl import Kubectl

from clusters.embedded.cluster import Embedded
from clusters.embedded.kubelet import volumes
from clusters.embedded.settings import Settings
from clusters.kube import Obj
from lab.common.wait import until

FOREVER = "while :; do sleep 0.1; done"


def pod(script: str, *, name: str = "one", grace: int = 1, **container: object) -> Obj:
    """A pod that runs a shell script, with a folder /v that outlives its containers."""
    init = container.pop("init", None)
    made = {"name": name, "image": "lab/client", "command": ["sh", "-c", script], **container}
    made["volumeMounts"] = [{"name": "v", "mountPath": "/v"}]
    spec = {"containers": [made], "terminationGracePeriodSeconds": grace}
    spec["volumes"] = [{"name": "v", "emptyDir": {}}]
    if init:
        spec["initContainers"] = [{**made, "name": "init", "command": ["sh", "-c", init]}]
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}


class Watched:
    """One pod, with everything that the API ever said of it."""

    def __init__(self, cluster: Embedded, namespace: str, obj: Obj) -> None:
        self._kube = cluster.kube
        self._all = f"/api/v1/namespaces/{namespace}/pods"
        self._name = obj["metadata"]["name"]
        made = self._kube.request("POST", self._all, obj)
        self._version = made["metadata"]["resourceVersion"]

    def now(self) -> Obj:
        found = self._kube.get(f"{self._all}/{self._name}")
        assert found, "the pod has gone"
        return found

    def until(self, holds: Callable[[Obj], object], what: str) -> Obj:
        """Wait for its first container's status to be so."""

        def look() -> Obj | None:
            found = status(self.now())
            return found if found and holds(found) else None

        return until(look, what, timeout=20, every=0.05, last_seen=lambda: str(status(self.now())))

    def history(self, last: Callable[[str, Obj], object]) -> list[Obj]:
        """Every version of it from its making to the one where `last` holds."""
        query = {"resourceVersion": self._version, "fieldSelector": f"metadata.name={self._name}"}
        seen = []
        for kind, obj in self._kube.watch(self._all, query, timeout=20):
            seen.append(obj)
            if last(kind, obj):
                return seen
        raise AssertionError(f"it never was so: {seen[-1]['status']}")


def status(obj: Obj) -> Obj:
    """Its first container's status, empty before there is one."""
    found: list[Obj] = obj["status"].get("containerStatuses", [{}])
    return found[0]


@pytest.mark.cluster
def test_a_container_is_not_ready_before_its_probe_has_succeeded(
    cluster: Embedded, kubectl: Kubectl, namespace: str, in_pod: Callable[..., str]
) -> None:
    probe = {"exec": {"command": ["test", "-e", "/v/go"]}, "periodSeconds": 1}
    watched = Watched(cluster, namespace, pod(FOREVER, readinessProbe=probe))
    watched.until(lambda found: "running" in found["state"], "the container to run")
    kubectl("annotate", "pod", "one", "-n", namespace, "probe=allowed")
    in_pod(namespace, "one", "touch", "/v/go")
    watched.until(lambda found: found["ready"], "the container to be ready")
    before = [
        obj
        for obj in watched.history(lambda _kind, obj: status(obj).get("ready"))
        if "annotations" not in obj["metadata"]
    ]
    assert "running" in status(before[-1])["state"]
    assert not any(status(obj).get("ready") for obj in before)
    ready = [c["status"] for c in before[-1]["status"]["conditions"] if c["type"] == "Ready"]
    assert ready == ["False"]


@pytest.mark.cluster
@pytest.mark.parametrize("kind", ["livenessProbe", "startupProbe"])
def test_a_probe_that_fails_has_the_container_ended_and_another_started(
    kind: str, cluster: Embedded, kubectl: Kubectl, namespace: str
) -> None:
    # What the first container leaves behind makes the second one's probe succeed.
    trap = "trap 'touch /v/mended; echo told to end; exit 7' TERM"
    probe = {"exec": {"command": ["test", "-e", "/v/mended"]}, "periodSeconds": 1}
    first = pod(f"{trap}; {FOREVER}", grace=20, **{kind: {**probe, "failureThreshold": 2}})
    watched = Watched(cluster, namespace, first)
    found = watched.until(
        lambda found: found["restartCount"] == 1 and found["started"], "a second container"
    )
    assert found["lastState"]["terminated"]["exitCode"] == 7, "told to end, not killed"
    assert "told to end" in kubectl("logs", "--previous", "one", "-n", namespace)


@pytest.mark.cluster
def test_a_deleted_pod_is_told_to_end_and_ends_by_itself(
    cluster: Embedded, kubectl: Kubectl, namespace: str
) -> None:
    farewell = "echo told to end; sleep 1; echo farewell; exit 3"
    watched = Watched(cluster, namespace, pod(f"trap '{farewell}' TERM; {FOREVER}", grace=60))
    watched.until(lambda found: "running" in found["state"], "the container to run")
    argv = [cluster.bin / "kubectl", f"--kubeconfig={cluster.kubeconfig}", "logs", "-f", "one"]
    with subprocess.Popen([*argv, "-n", namespace], stdout=subprocess.PIPE, text=True) as follow:
        assert follow.stdout
        kubectl("delete", "pod", "one", "-n", namespace, "--wait=false")
        assert follow.stdout.readline() == "told to end\n"
        assert follow.stdout.readline() == "farewell\n"
        assert follow.wait(20) == 0
    last = watched.history(lambda kind, _obj: kind == "DELETED")[-1]
    assert status(last)["state"]["terminated"]["exitCode"] == 3


@pytest.mark.cluster
def test_a_deleted_pod_that_does_not_end_is_killed_after_its_grace_period(
    cluster: Embedded, kubectl: Kubectl, namespace: str
) -> None:
    watched = Watched(cluster, namespace, pod(f"trap 'echo no' TERM; {FOREVER}", grace=1))
    watched.until(lambda found: "running" in found["state"], "the container to run")
    kubectl("delete", "pod", "one", "-n", namespace, "--wait=true", "--timeout=30s")
    last = watched.history(lambda kind, _obj: kind == "DELETED")[-1]
    assert status(last)["state"]["terminated"]["exitCode"] == 137


@pytest.mark.cluster
def test_an_init_container_that_has_done_its_work_is_ready_and_the_next_is_waited_for(
    cluster: Embedded, kubectl: Kubectl, namespace: str, in_pod: Callable[..., str]
) -> None:
    waits = "until test -e /v/go; do sleep 0.1; done; echo prepared"
    watched = Watched(cluster, namespace, pod(f"cat /v/go; {FOREVER}", init=waits))
    path = "jsonpath={.status.initContainerStatuses[0].state}"
    kubectl.eventually("running", "get", "pod", "one", "-n", namespace, "-o", path)
    assert not watched.now()["status"]["initContainerStatuses"][0]["ready"]
    code, said = kubectl.run("logs", "one", "-c", "one", "-n", namespace)
    assert code != 0
    assert 'container "one" in pod "one" is waiting to start: PodInitializing' in said
    in_pod(namespace, "one", "touch", "/v/go", container="init")
    watched.until(lambda found: "running" in found["state"], "the container to run")
    initial = watched.now()["status"]["initContainerStatuses"][0]
    assert initial["ready"]
    assert initial["state"]["terminated"]["exitCode"] == 0
    assert kubectl("logs", "one", "-c", "init", "-n", namespace) == "prepared\n"
    code, said = kubectl.run("logs", "--previous", "one", "-n", namespace)
    assert code != 0
    assert 'previous terminated container "one" in pod "one" not found' in said


class Tokens:
    """An API that counts the tokens it was asked for."""

    def __init__(self) -> None:
        self.asked = 0

    def request(self, method: str, path: str, body: Obj) -> Obj:
        self.asked += 1
        return {"status": {"token": f"token {self.asked}"}}


@pytest.mark.parametrize("default", ["the cluster's", "the node's"])
def test_a_token_is_renewed_after_four_fifths_of_its_life_as_by_a_kubelet(
    default: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    share = Embedded("unborn")._renew_at if "cluster" in default else Settings.token_renew_at
    token = {"path": "token", "audience": "istio-ca", "expirationSeconds": 1000}
    source = {"name": "own", "projected": {"sources": [{"serviceAccountToken": token}]}}
    meta = {"name": "one", "namespace": "own", "uid": "1"}
    obj = {"metadata": meta, "spec": {"volumes": [source]}}
    own = volumes.Volumes(Tokens(), obj, tmp_path, share)
    begin = 5000.0
    for age, wanted in ((0, "token 1"), (790, "token 1"), (810, "token 2"), (1590, "token 2")):
        monkeypatch.setattr(volumes, "time", SimpleNamespace(time=lambda age=age: begin + age))
        own.refresh()
        assert (tmp_path / "own" / "token").read_text() == wanted, f"{age} s of 1000 s old"
