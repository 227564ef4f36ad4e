"""The node: registered, its lease renewed, and its pods taken from the API."""

from __future__ import annotations

import datetime
import os
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Protocol

from clusters.embedded.kubelet.container import Inside
from clusters.embedded.kubelet.images import Images
from clusters.embedded.kubelet.logs import LogTimes, Wanted
from clusters.embedded.kubelet.pod import Pod
from clusters.embedded.kubelet.program_pod import ANNOTATION, Program, ProgramPod
from clusters.embedded.network import PodNetwork
from clusters.embedded.settings import KUBELET_PORT, NODE_IP, NODE_NAME, Settings
from clusters.kube import MERGE, ApiError, Kube, Obj
from lab.common.errors import ClusterGone, LabError

LEASE_SECONDS = 40


class HostedPod(Protocol):
    """What is asked of any pod of the node."""

    uid: str

    @property
    def network(self) -> Path: ...

    def update(self, obj: Obj) -> None: ...

    def delete(self) -> None: ...

    def inside(self, container: str | None) -> Inside: ...

    def log(self, container: str, wanted: Wanted) -> Iterator[bytes]: ...

    def close_stdin(self, container: str) -> None: ...


class Kubelet:
    """Watches pods bound to this node, and gives each a `Pod`, or a program that runs already."""

    def __init__(
        self, kube: Kube, settings: Settings, folder: Path, programs: Mapping[str, Program]
    ) -> None:
        """Prepare it. programs: by their names, as pods' annotations have them."""
        self._kube, self._settings, self._folder = kube, settings, folder
        self._network, self._images, self._log_times = PodNetwork(), Images(settings), LogTimes()
        self._programs = programs
        self._pods: dict[str, HostedPod] = {}
        self._names: dict[tuple[str, str], str] = {}
        self._lock = threading.Lock()
        self._stop = threading.Event()

    def start(self) -> None:
        """Register the node; then work in the background."""
        self._register()
        for target in (self._renew, self._watch):
            threading.Thread(target=target, daemon=True, name=target.__name__).start()

    def find(self, namespace: str, name: str) -> HostedPod:
        """Return a pod of this node, by name. Raises LabError when there is none."""
        with self._lock:
            uid = self._names.get((namespace, name), "")
            if uid in self._pods:
                return self._pods[uid]
        raise LabError(f"no pod {name!r} in namespace {namespace!r} runs on this node")

    def _register(self) -> None:
        # Requests are booked, never enforced: a small machine must not leave pods Pending.
        capacity = {"cpu": "64", "memory": "64Gi", "pods": "110", "ephemeral-storage": "64Gi"}
        now = _now()
        conditions = [
            {"type": "Ready", "status": "True", "reason": "KubeletReady", "lastHeartbeatTime": now},
            *(
                {"type": kind, "status": "False", "lastHeartbeatTime": now}
                for kind in ("MemoryPressure", "DiskPressure", "PIDPressure")
            ),
        ]
        status = {
            "addresses": [
                {"type": "InternalIP", "address": NODE_IP},
                {"type": "Hostname", "address": NODE_NAME},
                # Where the API server asks the kubelet: it listens at no address of pods.
                {"type": "InternalDNS", "address": "localhost"},
            ],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": KUBELET_PORT}},
            "nodeInfo": self._node_info(),
            "capacity": capacity,
            "allocatable": capacity,
            "conditions": conditions,
        }
        labels = {"kubernetes.io/hostname": NODE_NAME, "kubernetes.io/os": "linux"}
        node = {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": NODE_NAME, "labels": labels},
        }
        self._kube.request("POST", "/api/v1/nodes", node)
        path = f"/api/v1/nodes/{NODE_NAME}/status"
        self._kube.request("PATCH", path, {"status": status}, content_type=MERGE)

    def _node_info(self) -> Obj:
        machine = os.uname()
        return {
            # istiod asks this: from 1.33 on it injects native sidecars.
            "kubeletVersion": self._settings.kubernetes,
            "kubeProxyVersion": "",
            "kernelVersion": machine.release,
            "osImage": "the lab's embedded node",
            "operatingSystem": "linux",
            "architecture": {"x86_64": "amd64", "aarch64": "arm64"}.get(machine.machine, ""),
            "containerRuntimeVersion": "lab://1",
            "machineID": "",
            "systemUUID": "",
            "bootID": "",
        }

    def _renew(self) -> None:
        """Renew the node's lease, or the node controller takes its pods out of Services."""
        leases = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
        while True:
            spec = {
                "holderIdentity": NODE_NAME,
                "leaseDurationSeconds": LEASE_SECONDS,
                "renewTime": _now(micro=True),
            }
            body = {
                "apiVersion": "coordination.k8s.io/v1",
                "kind": "Lease",
                "metadata": {"name": NODE_NAME},
                "spec": spec,
            }
            try:
                path = f"{leases}/{NODE_NAME}"
                self._kube.request("PATCH", path, {"spec": spec}, content_type=MERGE)
            except ApiError as refused:
                if refused.status == 404:
                    self._create_lease(leases, body)
            except ClusterGone:
                pass
            if self._stop.wait(LEASE_SECONDS / 4):
                return

    def _create_lease(self, path: str, body: Obj) -> None:
        try:
            self._kube.request("POST", path, body)
        except ApiError:
            pass  # its namespace is made by the API server a moment later: next round

    def _watch(self) -> None:
        query = {"fieldSelector": f"spec.nodeName={NODE_NAME}"}
        while not self._stop.is_set():
            try:
                listed = self._kube.request("GET", "/api/v1/pods", query=query)
                self._listed(listed["items"])
                version = listed["metadata"]["resourceVersion"]
                for kind, obj in self._kube.watch(
                    "/api/v1/pods", {**query, "resourceVersion": version}
                ):
                    if kind == "ERROR":
                        break
                    self._seen(kind, obj)
            except (ApiError, ClusterGone):
                if self._stop.wait(0.2):
                    return

    def _listed(self, items: list[Obj]) -> None:
        present = {obj["metadata"]["uid"] for obj in items}
        for obj in items:
            self._seen("MODIFIED", obj)
        with self._lock:
            gone = [uid for uid in self._pods if uid not in present]
        for uid in gone:
            self._pods.pop(uid).delete()

    def _seen(self, kind: str, obj: Obj) -> None:
        uid = str(obj["metadata"]["uid"])
        with self._lock:
            pod = self._pods.get(uid)
            if kind == "DELETED":
                self._pods.pop(uid, None)
                self._names = {name: one for name, one in self._names.items() if one != uid}
            elif pod is None:
                pod = self._pods[uid] = self._host(obj)
        if kind == "DELETED":
            if pod:
                pod.delete()
        elif pod:
            pod.update(obj)

    def _host(self, obj: Obj) -> HostedPod:
        meta = obj["metadata"]
        name = (str(meta["namespace"]), str(meta["name"]))
        self._names[name] = str(meta["uid"])
        program = self._programs.get(meta.get("annotations", {}).get(ANNOTATION, ""))
        if program:
            return ProgramPod(obj, program, self._kube, self._log_times, self._settings.bin)
        renew_at = self._settings.token_renew_at
        args = (self._network, self._images, self._folder, self._log_times, renew_at)
        return Pod(obj, self._kube, *args)


def _now(*, micro: bool = False) -> str:
    form = "%Y-%m-%dT%H:%M:%S.%fZ" if micro else "%Y-%m-%dT%H:%M:%SZ"
    return datetime.datetime.now(datetime.UTC).strftime(form)
