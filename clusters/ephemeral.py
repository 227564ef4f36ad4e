"""Packets at a pod's own interfaces through an ephemeral container, where that is allowed.

The container shares the pod's network namespace and changes nothing else of the pod; it stays,
idle, until the pod is gone. Each capture is one `lab-capture` in it, its pcap streamed out.
https://kubernetes.io/docs/concepts/workloads/pods/ephemeral-containers/
"""

from __future__ import annotations

import re
from pathlib import Path

from clusters.base import CaptureStats, PodRef, ports_of
from clusters.embedded.channel import count
from clusters.kube import ApiError, Kube, Obj
from clusters.remote import Remote
from lab.common.errors import CaptureRefused, LabError
from lab.common.wait import until

NAME = "lab-capture"
MERGE = "application/strategic-merge-patch+json"
SECURITY = {
    # A packet socket takes CAP_NET_RAW, which a container has in effect only as root.
    "runAsUser": 0,
    "runAsNonRoot": False,
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"], "add": ["NET_RAW"]},
}


class EphemeralCapture:
    """One interface of a pod being recorded; listening when it is made."""

    def __init__(
        self, kube: Kube, remote: Remote, pod: PodRef, image: str, interface: str, bpf: str
    ) -> None:
        self._kube, self._remote, self._pod = kube, remote, pod
        self._image, self._interface = image, interface
        self._ports = ",".join(map(str, ports_of(bpf)))

    def start(self, into: Path) -> EphemeralCapture:
        """Start to listen. Raises CaptureRefused with the words of what refused it."""
        self._contain()
        argv = [NAME, f"-i={self._interface}", f"-ports={self._ports}"]
        self._running = running = self._remote.start(self._pod, NAME, argv, into)
        until(
            lambda: "listening on" in running.said or running.ended,
            f"lab-capture on {self._interface}",
            timeout=20,
            last_seen=lambda: running.said,
        )
        if "listening on" not in running.said:
            raise CaptureRefused(f"{self._pod.name}: {running.said.strip()}")
        return self

    def stop(self) -> CaptureStats:
        """Let it write what is waiting, and read its counters."""
        code = self._running.end(20)
        text = self._running.said
        if code:
            raise LabError(f"lab-capture on {self._interface} ended with {code}: {text.strip()}")
        return CaptureStats(count(text, "captured"), count(text, "dropped by kernel"))

    def _contain(self) -> None:
        """Add the pod's capturing container; where it is there, the same patch changes nothing."""
        path = f"/api/v1/namespaces/{self._pod.namespace}/pods/{self._pod.name}"
        container = {"name": NAME, "image": self._image, "securityContext": SECURITY}
        body = {"spec": {"ephemeralContainers": [container]}}
        try:
            self._kube.request("PATCH", f"{path}/ephemeralcontainers", body, content_type=MERGE)
        except ApiError as refused:
            if refused.status == 404:
                raise
            raise CaptureRefused(_without_the_pod(refused.message)) from None
        until(
            lambda: "running" in self._state(path),
            f"container {NAME} in pod {self._pod.name}",
            timeout=60,
            every=0.1,
            last_seen=lambda: str(self._state(path)),
        )

    def _state(self, path: str) -> Obj:
        status = self._kube.request("GET", path)["status"]
        for container in status.get("ephemeralContainerStatuses", []):
            if container["name"] == NAME:
                state: Obj = container["state"]
                return state
        return {}


def _without_the_pod(message: str) -> str:
    """Return the API's words after `pods "..." is forbidden`, which are the same for every pod."""
    return re.sub(r'^pods "[^"]+" is ', "an ephemeral container is ", message)
