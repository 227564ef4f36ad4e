"""A process of the node that the API shows as a pod.

istiod runs on the node itself. Tools such as istioctl look for its pod, read its log, run commands
in it and forward to its ports. So it has a Deployment like any istiod, and the pod of that is given
the process that runs already.
"""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from clusters.embedded.kubelet.container import Inside
from clusters.embedded.kubelet.logs import LogTimes, Wanted, read
from clusters.embedded.kubelet.pod_status import pod_status, time_text
from clusters.embedded.settings import NODE_IP, private_path
from clusters.kube import MERGE, ApiError, Kube, Obj
from lab.common.errors import ClusterGone, LabError
from lab.common.wait import until

ANNOTATION = "lab/program"
"""On a pod: which program of the node it stands for."""


@dataclass(frozen=True)
class Program:
    """A process that runs on the node, and ends with the cluster."""

    pid: int
    started: float
    """Unix time, seconds."""
    log: Path
    folder: Path
    """In which it runs, and commands that are run beside it too."""


@dataclass(frozen=True)
class _Runner:
    """Reports a program as the one container of its pod."""

    spec: Obj
    program: Program

    started = True
    finished = False
    exit_code: int | None = None

    def status(self) -> Obj:
        return {
            "name": self.spec["name"],
            "image": self.spec["image"],
            "imageID": self.spec["image"],
            "containerID": f"lab://{self.program.pid}",
            "state": {"running": {"startedAt": time_text(self.program.started)}},
            "lastState": {},
            "ready": True,
            "started": True,
            "restartCount": 0,
        }


class ProgramPod:
    """The pod of one program. Whoever deletes it ends what is shown; the program goes on."""

    def __init__(
        self, obj: Obj, program: Program, kube: Kube, log_times: LogTimes, bin_: str
    ) -> None:
        self._obj, self._program, self._kube, self._log_times = obj, program, kube, log_times
        self.uid = str(obj["metadata"]["uid"])
        self.network = Path(f"/proc/{program.pid}/ns/net")
        self._search_path = os.pathsep.join([bin_, private_path()])
        log_times.watch(program.log)
        threading.Thread(target=self._report, daemon=True).start()

    @property
    def _container(self) -> Obj:
        found: Obj = self._obj["spec"]["containers"][0]
        return found

    @property
    def _api_path(self) -> str:
        meta = self._obj["metadata"]
        return f"/api/v1/namespaces/{meta['namespace']}/pods/{meta['name']}"

    def _report(self) -> None:
        container, started = self._container, self._program.started
        status = pod_status(
            self._obj["spec"],
            {container["name"]: _Runner(container, self._program)},
            waiting={},
            ip=NODE_IP,
            started=time_text(started),
            deleted=False,
        )
        self._ask("PATCH", f"{self._api_path}/status", {"status": status})

    def _ask(self, method: str, path: str, body: Obj) -> None:
        try:
            form = MERGE if method == "PATCH" else "application/json"
            self._kube.request(method, path, body, content_type=form)
        except (ApiError, ClusterGone):
            pass  # it was deleted meanwhile

    def update(self, obj: Obj) -> None:
        """Take a newer version from the API: one that is being deleted goes at once."""
        if "deletionTimestamp" in obj["metadata"]:
            options = {"gracePeriodSeconds": 0, "preconditions": {"uid": self.uid}}
            self._ask("DELETE", self._api_path, options)

    def delete(self) -> None:
        """Do nothing: it has gone from the API, and the program goes on."""

    def inside(self, container: str | None) -> Inside:
        """Return how its program is reached: on the node, with the stack's programs on PATH."""
        self._require(container)
        pid = self._program.pid
        nsenter = shutil.which("nsenter", path=private_path()) or "nsenter"
        enter = [nsenter, f"--target={pid}", "--net", f"--wd={self._program.folder}", "--"]
        host = str(self._obj["metadata"]["name"])
        return Inside(enter, {"PATH": self._search_path, "HOSTNAME": host}, pid, 0)

    def log(self, container: str, wanted: Wanted) -> Iterator[bytes]:
        """Return its output. Raises LabError in a kubelet's words when there is none."""
        self._require(container)
        if wanted.previous:
            where = f'container "{container}" in pod "{self._obj["metadata"]["name"]}"'
            raise LabError(f"previous terminated {where} not found")
        path = self._program.log
        return read(path, wanted, self._log_times, lambda size: _grown(path, size))

    def close_stdin(self, container: str) -> None:
        """Do nothing: it reads nothing."""

    def _require(self, container: str | None) -> None:
        if container not in (None, "", self._container["name"]):
            name = self._obj["metadata"]["name"]
            raise LabError(f"container {container!r} of pod {name!r} does not run")


def _grown(path: Path, size: int) -> bool:
    """Wait until a log that never ends is longer."""
    until(lambda: path.stat().st_size > size, f"{path.name} to grow", timeout=float("inf"))
    return False
