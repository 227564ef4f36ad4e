"""Keeps one container of a pod running: start, probe, restart, stop."""

from __future__ import annotations

import signal
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from clusters.embedded.kubelet import probes
from clusters.embedded.kubelet.container import Container, Plan
from clusters.embedded.kubelet.logs import LogTimes
from clusters.embedded.kubelet.pod_status import now
from clusters.kube import Obj

BACKOFF = (0.0, 10.0, 20.0, 40.0, 80.0, 160.0, 300.0)


class Runner:
    """One container of one pod, over all its restarts."""

    def __init__(
        self,
        spec: Obj,
        plan: Callable[[], Plan],
        logs: Path,
        times: LogTimes,
        restarts: str,
        changed: Callable[[], None],
        pod_ip: str,
        grace: float,
    ) -> None:
        """Prepare it; changed is called when its status may differ.

        grace: seconds between SIGTERM and SIGKILL where a probe ends it.
        """
        self.spec, self._plan, self._policy = spec, plan, restarts
        self._logs, self._times = logs, times
        self._changed, self._ip, self._grace = changed, pod_ip, grace
        self.container: Container | None = None
        self.restart_count = 0
        self.started = self.ready = False
        self.finished = False
        """Whether it ended and will not be started again."""
        self.state: Obj = {"waiting": {"reason": "PodInitializing"}}
        self.last_state: Obj = {}
        self.exit_code: int | None = None
        self._stop = threading.Event()
        self._round = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        self._thread.start()

    @property
    def name(self) -> str:
        return str(self.spec["name"])

    @property
    def running(self) -> bool:
        return "running" in self.state

    @property
    def waiting(self) -> Obj | None:
        """Return why it does not run (again) yet."""
        found: Obj | None = self.state.get("waiting")
        return found

    def log_path(self, previous: bool = False) -> Path:
        """Return where its output is. previous: of the container that ended last."""
        earlier = int(previous and self.waiting is None)
        return self._logs / f"{self.name}.{self.restart_count - earlier}.log"

    def wait_for_output(self, path: Path, offset: int) -> bool:
        """Wait until a log grows beyond `offset`; True when it will not grow any more."""
        while path.exists():
            over = not self.running or path != self.log_path()
            try:
                if path.stat().st_size > offset:
                    return False
            except FileNotFoundError:
                break
            if over:
                break
            self._round.wait(0.03)
        return True

    def _set(self, **fields: Any) -> None:
        for name, value in fields.items():
            setattr(self, name, value)
        self._changed()

    def _run(self) -> None:
        self._keep_running()
        self._set(finished=self.exit_code is not None)

    def _keep_running(self) -> None:
        while not self._stop.is_set():
            code = self._once()
            if self._stop.is_set() or self._policy == "Never":
                return
            if self._policy == "OnFailure" and code == 0:
                return
            pause = BACKOFF[min(self.restart_count, len(BACKOFF) - 1)]
            waiting = {"reason": "CrashLoopBackOff", "message": f"back-off {pause:.0f} s"}
            self._set(last_state=self.state, state={"waiting": waiting})
            if self._stop.wait(pause):
                return
            self.restart_count += 1

    def _once(self) -> int:
        began = now()
        self._times.watch(self.log_path())
        try:
            self.container = Container(self._plan(), self.log_path())
        except OSError as error:
            self.exit_code = 128
            waiting = {"reason": "RunContainerError", "message": str(error)}
            self._set(state={"waiting": waiting})
            return 128
        if self._stop.is_set():
            self.container.kill()  # told to stop while it was being started
        self._round = threading.Event()
        asked = self._probes()
        self._set(
            state={"running": {"startedAt": began}},
            started="startup" not in asked,
            ready=not asked.keys() & {"startup", "readiness"},
        )
        if asked:  # only now: what they tell is later than what was just set
            target = (asked, self._round, self.container)
            threading.Thread(target=self._probe, args=target, daemon=True).start()
        code = self.container.wait()
        self._round.set()
        ended = {
            "exitCode": code,
            "reason": "Completed" if code == 0 else "Error",
            "startedAt": began,
            "finishedAt": now(),
        }
        self.exit_code = code
        self._set(state={"terminated": ended}, started=False, ready=False)
        return code

    def _probes(self) -> dict[probes.Kind, probes.Probe]:
        return {
            kind: probes.Probe(kind, self.spec[key], self.spec, self._ip, self._exec)
            for kind, key in probes.FIELDS.items()
            if self.spec.get(key)
        }

    def _probe(
        self,
        asked: dict[probes.Kind, probes.Probe],
        over: threading.Event,
        container: Container,
    ) -> None:
        """Run the startup probe; once it has succeeded, readiness and liveness."""
        startup = asked.pop("startup", None)
        if startup:
            probes.keep_asking(startup, over, self._teller("startup", container))
            if over.is_set():
                return
        if "readiness" not in asked:
            self._set(ready=True)
        for kind, probe in asked.items():
            tell = self._teller(kind, container)
            threading.Thread(
                target=probes.keep_asking, args=(probe, over, tell), daemon=True
            ).start()

    def _teller(self, kind: probes.Kind, container: Container) -> Callable[[bool], None]:
        return lambda ok: self._answer(kind, ok, container)

    def _answer(self, kind: probes.Kind, ok: bool, container: Container) -> None:
        if kind == "readiness" and ok != self.ready:
            self._set(ready=ok)
        elif kind == "startup" and ok:
            self._set(started=True)
        elif kind != "readiness" and not ok:
            grace = self.spec[probes.FIELDS[kind]].get("terminationGracePeriodSeconds")
            self._end(container, self._grace if grace is None else float(grace))

    def _exec(self, argv: list[str], timeout: float) -> int:
        if self.container is None:
            return 1
        try:
            return subprocess.run(
                [*self.container.inside.enter, *argv],
                env=self.container.plan.env,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=timeout,
            ).returncode
        except subprocess.TimeoutExpired:
            return 1

    def stop(self, grace: float) -> None:
        """End it for good, with `grace` seconds to do so by itself."""
        self._stop.set()
        if self.container is not None and self.container.process.poll() is None:
            self._end(self.container, grace)
        if self._thread.ident is not None:
            self._thread.join(5)

    def _end(self, container: Container, grace: float) -> None:
        """Run preStop, then send SIGTERM, and SIGKILL after `grace` seconds; wait for its end."""
        deadline = time.monotonic() + grace
        hook = (self.spec.get("lifecycle") or {}).get("preStop", {}).get("exec")
        if hook and grace > 0:
            self._exec(hook["command"], grace)
        container.signal(signal.SIGTERM)
        try:
            container.process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            container.kill()
        container.process.wait()

    def status(self) -> Obj:
        """Return its entry of `status.containerStatuses`."""
        return {
            "name": self.name,
            "image": self.spec["image"],
            "imageID": self.spec["image"],
            "containerID": f"lab://{self.container.inner_pid}" if self.container else "",
            "state": self.state,
            "lastState": self.last_state if "terminated" in self.last_state else {},
            "ready": self.ready,
            "started": self.started,
            "restartCount": self.restart_count,
        }
