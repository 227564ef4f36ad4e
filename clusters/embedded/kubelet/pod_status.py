"""What a kubelet reports of a pod: its status, and events."""

from __future__ import annotations

import datetime
import time
from collections.abc import Mapping
from typing import Protocol

from clusters.embedded.settings import NODE_IP
from clusters.kube import Obj


class Running(Protocol):
    """What runs a container."""

    @property
    def started(self) -> object: ...

    @property
    def finished(self) -> bool: ...

    @property
    def exit_code(self) -> int | None: ...

    def status(self) -> Obj: ...


Runners = Mapping[str, Running]
"""Those that have begun, by their containers' names."""


def time_text(moment: float) -> str:
    """Return Unix time, in seconds, as the API writes it."""
    return datetime.datetime.fromtimestamp(moment, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def now() -> str:
    """Return the time as the API writes it."""
    return time_text(time.time())


def pod_status(
    spec: Obj, runners: Runners, *, waiting: Obj, ip: str, started: str, deleted: bool
) -> Obj:
    """Return a pod's `status` as a kubelet would report it now.

    waiting: the state of containers that have not begun. ip: empty before there is one. started:
    when the pod was first seen, as the API writes times.
    """
    init_specs, app_specs = spec.get("initContainers", []), spec["containers"]
    init, apps = (
        [_container_status(one, runners, waiting) for one in specs]
        for specs in (init_specs, app_specs)
    )
    # A container that somebody adds for a look inside counts for nothing.
    added = [
        _container_status(one, runners, waiting) for one in spec.get("ephemeralContainers", [])
    ]
    for found, one in zip(init, init_specs, strict=True):
        if not is_sidecar(one):  # such a container is ready when it has done its work
            found["ready"] = found["state"].get("terminated", {}).get("exitCode") == 0
    initialised = all(_init_done(one, runners) for one in init_specs)
    sidecars = [s for s, one in zip(init, init_specs, strict=True) if is_sidecar(one)]
    ready = initialised and all(s["ready"] for s in [*apps, *sidecars]) and not deleted
    return {
        "phase": _phase(apps, sidecars, runners, initialised),
        "startTime": started,
        "hostIP": NODE_IP,
        "hostIPs": [{"ip": NODE_IP}],
        **({"podIP": ip, "podIPs": [{"ip": ip}]} if ip else {}),
        "conditions": [
            {"type": "PodScheduled", "status": "True", "lastTransitionTime": started},
            _condition("PodReadyToStartContainers", bool(ip)),
            _condition("Initialized", initialised),
            _condition("ContainersReady", ready),
            _condition("Ready", ready),
        ],
        "initContainerStatuses": init,
        "containerStatuses": apps,
        **({"ephemeralContainerStatuses": added} if added else {}),
    }


def is_sidecar(spec: Obj) -> bool:
    """Tell whether an init container goes on beside the applications."""
    return spec.get("restartPolicy") == "Always"


def _init_done(spec: Obj, runners: Runners) -> bool:
    runner = runners.get(spec["name"])
    if runner is None:
        return False
    return bool(runner.started) if is_sidecar(spec) else runner.exit_code == 0


def _container_status(spec: Obj, runners: Runners, waiting: Obj) -> Obj:
    runner = runners.get(spec["name"])
    if runner:
        return runner.status()
    return {
        "name": spec["name"],
        "image": spec["image"],
        "imageID": "",
        "state": {"waiting": waiting},
        "lastState": {},
        "ready": False,
        "started": False,
        "restartCount": 0,
    }


def _phase(apps: list[Obj], sidecars: list[Obj], runners: Runners, initialised: bool) -> str:
    begun = [runners[s["name"]] for s in apps if s["name"] in runners]
    beside = [runners[s["name"]] for s in sidecars if s["name"] in runners]
    if len(begun) == len(apps) and all(runner.finished for runner in [*begun, *beside]):
        good = all(runner.exit_code == 0 for runner in begun)
        return "Succeeded" if good else "Failed"
    return "Running" if initialised and begun else "Pending"


def _condition(kind: str, holds: bool) -> Obj:
    return {"type": kind, "status": "True" if holds else "False"}


def pod_event(meta: Obj, kind: str, reason: str, message: str) -> Obj:
    """Return an Event about a pod. meta: the pod's metadata. kind: Normal or Warning."""
    moment = now()
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"generateName": f"{meta['name']}-", "namespace": meta["namespace"]},
        "involvedObject": {
            "apiVersion": "v1",
            "kind": "Pod",
            "name": meta["name"],
            "namespace": meta["namespace"],
            "uid": str(meta["uid"]),
        },
        "type": kind,
        "reason": reason,
        "message": message,
        "source": {"component": "kubelet", "host": NODE_IP},
        "firstTimestamp": moment,
        "lastTimestamp": moment,
        "count": 1,
    }
