"""One pod from binding to removal: what a kubelet does with it."""

from __future__ import annotations

import json
import shutil
import threading
import time
import traceback
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from clusters.embedded.kubelet import volumes
from clusters.embedded.kubelet.container import Inside, Plan, user_of, write_etc
from clusters.embedded.kubelet.environment import MissingKey, environment, expand
from clusters.embedded.kubelet.images import Images, Rootfs
from clusters.embedded.kubelet.logs import LogTimes, Wanted, read
from clusters.embedded.kubelet.pod_status import now, pod_event, pod_status
from clusters.embedded.kubelet.runner import Runner
from clusters.embedded.network import NETNS, PodNetwork
from clusters.embedded.settings import CLUSTER_DOMAIN, DNS_SERVICE_IP
from clusters.kube import MERGE, ApiError, Kube, Obj
from lab.common.errors import ClusterGone, LabError

REFRESH_SECONDS = 10.0
"""How often configMaps, secrets and due tokens are looked at; a kubelet takes a minute."""
MOUNT_LOOKS = (0.05, 0.4)
"""Seconds between the first two looks for what is to be mounted, and at most: they double."""


class Pod:
    """A pod's containers, volumes and status. `deleted` ends it."""

    def __init__(
        self,
        obj: Obj,
        kube: Kube,
        network: PodNetwork,
        images: Images,
        folder: Path,
        log_times: LogTimes,
        renew_at: float,
    ) -> None:
        self.obj, self._kube, self._network, self._images = obj, kube, network, images
        self.uid = str(obj["metadata"]["uid"])
        self.netns = f"pod-{self.uid[-11:]}"
        self._folder, self._log_times = folder / self.uid, log_times
        self.ip = ""
        self._volumes = volumes.Volumes(kube, obj, self._folder / "volumes", renew_at)
        self.runners: dict[str, Runner] = {}
        self._waiting = self._creating()
        self._change = threading.Condition()
        self._dirty = self._deleted = False
        self._grace = 30.0
        self._start_time = now()
        self._sent, self._sending = "", threading.Lock()
        self._gone = threading.Event()
        for target in (self._live, self._report):
            threading.Thread(target=target, daemon=True, name=self.netns).start()

    # What the watch tells

    def update(self, obj: Obj) -> None:
        """Take a newer version of this pod from the API."""
        self.obj = obj
        self._volumes.update(obj)
        self._start_ephemeral()
        if "deletionTimestamp" in obj["metadata"]:
            self._grace = float(obj["metadata"].get("deletionGracePeriodSeconds", 30))
            self.delete()

    def delete(self) -> None:
        with self._change:
            self._deleted = True
            self._change.notify_all()

    @property
    def network(self) -> Path:
        """Return the file of its network namespace."""
        return NETNS / self.netns

    def inside(self, container: str | None) -> Inside:
        """Return how a container that runs is entered. Raises LabError where it does not."""
        runner = self.find(container)
        if runner.container is None or not runner.running:
            raise LabError(f"container {runner.name!r} does not run")
        return runner.container.inside

    def close_stdin(self, container: str) -> None:
        """Let a container's stdin end with the last client that writes to it."""
        running = self.find(container).container
        if running:
            running.streams.close_stdin()

    def find(self, container: str | None) -> Runner:
        """Return a container that runs, by name; without a name the first application container."""
        name = container or str(self.obj["spec"]["containers"][0]["name"])
        runner = self.runners.get(name)
        if runner is None or runner.container is None:
            raise LabError(
                f"container {name!r} of pod {self.obj['metadata']['name']!r} does not run"
            )
        return runner

    def log(self, container: str, wanted: Wanted) -> Iterator[bytes]:
        """Return a container's output. Raises LabError in a kubelet's words when there is none."""
        runner = self.runners.get(container)
        where = f'container "{container}" in pod "{self.obj["metadata"]["name"]}"'
        if runner is None or runner.container is None:
            waiting = (runner.waiting if runner else None) or self._waiting
            why = ": ".join(waiting[key] for key in ("reason", "message") if waiting.get(key))
            raise LabError(f"{where} is waiting to start: {why}")
        path = runner.log_path(wanted.previous)
        if wanted.previous and not path.exists():
            raise LabError(f"previous terminated {where} not found")
        over = partial(runner.wait_for_output, path)
        return read(path, wanted, self._log_times, over)

    # The pod's life

    def _creating(self, **why: str) -> Obj:
        initial = "initContainers" in self.obj["spec"]
        return {"reason": "PodInitializing" if initial else "ContainerCreating", **why}

    def _live(self) -> None:
        try:
            if not self._refused():
                self._set_up()
                if self._wait_applications():
                    self._stop_sidecars(self._spec_grace)
            self._wait_deleted()
            self._tear_down()
        except ClusterGone:
            return
        except Exception:
            traceback.print_exc()

    def _refused(self) -> bool:
        """Say what this cluster does not offer; such a pod waits until it is deleted."""
        problem = volumes.refused(self.obj)
        self._waiting = {"reason": "VolumeNotOffered", "message": problem}
        for spec in [] if problem else self._specs():
            if self._images.find(spec["image"]) is None:
                problem = self._images.refused(spec["image"])
                self._waiting = {"reason": "ImageNotOffered", "message": problem}
                break
        if not problem:
            self._waiting = self._creating()
            return False
        self._event("Warning", str(self._waiting["reason"]), problem)
        self._changed()
        return True

    def _set_up(self) -> None:
        """Make network and volumes, run init containers in order, then start the applications."""
        self.ip = self._network.attach(self.netns)
        self._volumes.pod_ip = self.ip
        self._changed()
        uids = {self._user(spec)[0] for spec in self._specs()}
        write_etc(self._folder / "etc", self.obj, self.ip, DNS_SERVICE_IP, CLUSTER_DOMAIN, uids)
        if not self._mount():
            return
        threading.Thread(target=self._refresh, daemon=True).start()
        if any((s.get("resources") or {}).get("limits") for s in self._specs()):
            message = "resource limits are accepted and not enforced on the embedded cluster"
            threading.Thread(
                target=self._event, args=("Normal", "LimitsNotEnforced", message), daemon=True
            ).start()
        for spec in self.obj["spec"].get("initContainers", []):
            if not self._initialise(spec):
                return
        for spec in self.obj["spec"]["containers"]:
            self._start(spec, self.obj["spec"].get("restartPolicy", "Always"))
        self._start_ephemeral()

    def _mount(self) -> bool:
        pause, longest = MOUNT_LOOKS
        while True:
            try:
                self._volumes.refresh()
                return True
            except (MissingKey, ApiError) as missing:
                self._waiting = self._creating(message=str(missing))
                if self._wait_deleted(pause):
                    return False
                pause = min(2 * pause, longest)

    def _initialise(self, spec: Obj) -> bool:
        """Run one init container to its end, or a sidecar until it has started."""
        sidecar = spec.get("restartPolicy") == "Always"
        policy = self.obj["spec"].get("restartPolicy", "Always")
        runner = self._start(spec, "Always" if sidecar else policy.replace("Always", "OnFailure"))
        with self._change:
            while not self._deleted:
                if (runner.started and runner.running) if sidecar else runner.exit_code == 0:
                    return True
                if not sidecar and runner.finished:
                    return False
                self._change.wait(0.5)
        return False

    def _start(self, spec: Obj, restarts: str) -> Runner:
        runner = Runner(
            spec,
            lambda: self._plan(spec),
            self._logs(),
            self._log_times,
            restarts,
            self._changed,
            self.ip,
            self._spec_grace,
        )
        self.runners[spec["name"]] = runner
        runner.start()
        return runner

    def _start_ephemeral(self) -> None:
        """Start the containers that `kubectl debug` has added, once the applications are started.

        Both who hears of them and who starts the applications comes here; each is started once.
        """
        with self._change:
            if self._deleted or not all(name in self.runners for name in self._applications):
                return
            for spec in self.obj["spec"].get("ephemeralContainers", []):
                if spec["name"] not in self.runners:
                    self._start(spec, "Never")

    def _logs(self) -> Path:
        folder = self._folder / "logs"
        folder.mkdir(exist_ok=True)
        return folder

    def _image(self, spec: Obj) -> Rootfs:
        rootfs = self._images.find(spec["image"])
        if rootfs is None:
            raise OSError(self._images.refused(spec["image"]))
        return rootfs

    def _user(self, spec: Obj) -> tuple[int, int]:
        return user_of(self.obj, spec, self._image(spec))

    def _plan(self, spec: Obj) -> Plan:
        rootfs, (uid, gid) = self._image(spec), self._user(spec)
        try:
            env = rootfs.env | environment(self.obj, spec, self.ip, self._volumes.keyed)
        except MissingKey as missing:
            raise OSError(str(missing)) from missing
        env.setdefault("HOSTNAME", self.obj["metadata"]["name"])
        mounts = tuple(self._mounted(mount, env) for mount in spec.get("volumeMounts", []))
        etc = self._folder / "etc"
        beside = self._process_of(spec.get("targetContainerName", ""))
        return Plan(spec["name"], self.netns, etc, rootfs, spec, uid, gid, env, mounts, beside)

    def _process_of(self, container: str) -> int:
        """Return a process of the container whose processes an ephemeral one is to see; 0: none."""
        if not container:
            return 0
        target = self.find(container).container
        return target.inner_pid if target else 0

    def _mounted(self, mount: Obj, env: dict[str, str]) -> tuple[str, str, bool]:
        sub = mount.get("subPath") or expand(mount.get("subPathExpr", ""), env)
        outside = self._volumes.path(mount["name"]) / sub
        return str(outside), mount["mountPath"], bool(mount.get("readOnly", False))

    def _refresh(self) -> None:
        while not self._wait_deleted(REFRESH_SECONDS):
            try:
                self._volumes.refresh()
            except (MissingKey, ApiError, ClusterGone):
                continue  # what is mounted stays, as with a kubelet

    def _wait_deleted(self, timeout: float | None = None) -> bool:
        with self._change:
            return self._change.wait_for(lambda: self._deleted, timeout)

    def _wait_applications(self) -> bool:
        """Wait until the applications have ended for good; False: the pod is deleted before."""

        def ended() -> bool:
            runners = [self.runners.get(name) for name in self._applications]
            return all(runner is not None and runner.finished for runner in runners)

        with self._change:
            self._change.wait_for(lambda: self._deleted or ended())
            return not self._deleted

    def _stop_sidecars(self, grace: float) -> None:
        """Stop what runs beside the applications, in reverse order. grace: seconds for all."""
        deadline = time.monotonic() + grace
        for name, runner in reversed([*self.runners.items()]):
            if name not in self._applications:
                runner.stop(max(0.0, deadline - time.monotonic()))

    def _tear_down(self) -> None:
        """Stop applications, then sidecars; then remove the pod from the API."""
        deadline = time.monotonic() + self._grace
        stopping = [
            threading.Thread(target=runner.stop, args=(self._grace,))
            for name, runner in self.runners.items()
            if name in self._applications
        ]
        for thread in stopping:
            thread.start()
        for thread in stopping:
            thread.join()
        self._stop_sidecars(max(0.0, deadline - time.monotonic()))
        if self.ip:
            self._network.detach(self.netns)
        self._send()  # how its containers ended, before it goes
        self._gone.set()
        self._changed()
        meta = self.obj["metadata"]
        path = f"/api/v1/namespaces/{meta['namespace']}/pods/{meta['name']}"
        options = {"gracePeriodSeconds": 0, "preconditions": {"uid": self.uid}}
        try:
            self._kube.request("DELETE", path, options)
        except ApiError:
            pass  # already gone
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def _applications(self) -> list[str]:
        return [spec["name"] for spec in self.obj["spec"]["containers"]]

    @property
    def _spec_grace(self) -> float:
        """Return how many seconds its containers have to end by themselves."""
        return float(self.obj["spec"].get("terminationGracePeriodSeconds", 30))

    def _specs(self) -> list[Obj]:
        return [*self.obj["spec"].get("initContainers", []), *self.obj["spec"]["containers"]]

    # What the API is told

    def _changed(self) -> None:
        with self._change:
            self._dirty = True
            self._change.notify_all()

    def _report(self) -> None:
        """Send the status whenever it differs from what was sent last."""
        while not self._gone.is_set():
            with self._change:
                self._change.wait_for(lambda: self._dirty)
                self._dirty = False
            if self._gone.is_set():
                return
            try:
                self._send()
            except ClusterGone:
                return

    def _send(self) -> None:
        with self._sending:
            status = self.status()
            text = json.dumps(status, sort_keys=True)
            if text == self._sent:
                return
            meta = self.obj["metadata"]
            path = f"/api/v1/namespaces/{meta['namespace']}/pods/{meta['name']}/status"
            try:
                self._kube.request("PATCH", path, {"status": status}, content_type=MERGE)
                self._sent = text
            except ApiError as refused:
                if refused.status == 404:
                    self.delete()
                else:
                    print(f"status of {path}: {refused}", flush=True)

    def status(self) -> Obj:
        """Return `status` as a kubelet would report it now."""
        return pod_status(
            self.obj["spec"],
            self.runners,
            waiting=self._waiting,
            ip=self.ip,
            started=self._start_time,
            deleted=self._deleted,
        )

    def _event(self, kind: str, reason: str, message: str) -> None:
        meta = self.obj["metadata"]
        event = pod_event(meta, kind, reason, message)
        try:
            self._kube.request("POST", f"/api/v1/namespaces/{meta['namespace']}/events", event)
        except (ApiError, ClusterGone):
            pass  # events are a courtesy
