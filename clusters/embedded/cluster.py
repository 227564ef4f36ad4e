"""The embedded cluster as the lab uses it: `clusters.base.Cluster` for this machine."""

from __future__ import annotations

import dataclasses
import http.client
import socket
import threading
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from clusters.base import (
    ADMIN_PORT,
    Capture,
    Completed,
    PodRef,
    Progress,
    Stack,
    Status,
    admin_answer,
)
from clusters.doctor import sidecars
from clusters.embedded import host, requirements
from clusters.embedded.channel import Channel, TcpdumpCapture, completed
from clusters.embedded.settings import TOKEN_RENEW_AT, Settings
from clusters.kube import ApiError, Kube
from clusters.stacks import assembly, binaries, cache, nginx, official
from lab.common import places, scratch
from lab.common.errors import ClusterGone, CommandFailed, LabError, TimedOut
from lab.common.wait import until

PATIENCE = 20.0
"""Seconds for the API server to answer: a machine with too much to do is no trouble yet."""
ADMIN_PATIENCE = 15.0
"""Seconds in which a sidecar's Envoy answers."""
STANDING = "lab"
"""The cluster that `make up` starts and others find."""


class Embedded:
    """Real Kubernetes and real Istio as plain processes."""

    kind = "embedded"

    def __init__(self, name: str = STANDING, *, token_renew_at: float = TOKEN_RENEW_AT) -> None:
        self.name, self._renew_at = name, token_renew_at
        self.state = scratch.states() / name
        self._channel = Channel(self.state / host.CONTROL)
        self._launched: host.Launched | None = None

    @property
    def stack(self) -> Stack:
        settings = self._settings()
        return Stack(
            kubernetes=settings.kubernetes,
            istio=settings.istio,
            envoy=settings.envoy,
            flavour=settings.flavour,
            origin=settings.origin,
        )

    @cached_property
    def kube(self) -> Kube:
        self._settings()  # a cluster that is not up has its own message
        return Kube.from_kubeconfig(self.kubeconfig, own=self.state)

    @property
    def kubeconfig(self) -> Path:
        """Return a kubeconfig for kubectl on this machine."""
        return self.state / "kubeconfig"

    @property
    def lock(self) -> Path:
        """Return a file whose lock guards changes of the whole mesh."""
        return self.state / "mesh.lock"

    @property
    def bin(self) -> Path:
        """Return where this cluster's kubectl lies."""
        return Path(self._settings().bin)

    def _settings(self) -> Settings:
        try:
            return Settings.load(self.state / "settings.json")
        except OSError:
            raise ClusterGone(
                f"no embedded cluster {self.name!r} is up", hint="istio-lab up"
            ) from None

    def offers(self) -> frozenset[str]:
        return frozenset({"sidecar", "capture", "mesh-scope"})

    def running(self) -> bool:
        """Tell whether it is up and answers."""
        if not host.alive(self.state):
            return False
        try:
            return bool(self._channel.ask({"op": "status"})["ready"])
        except LabError:
            return False

    def room(self) -> int:
        there = self.kube.items("/api/v1/pods") if self.running() else []
        return sidecars.room(sidecars.PODS_OF_NODE - len(there), host.hidden_instances())

    def fits(self) -> bool:
        """Tell whether its stack is the one that ISTIO=, ENVOY= and BINARIES= name, if they do."""
        if official.chosen():
            return official.made(self.stack)
        return not assembly.asked() or self.stack == assembly.chosen().stack

    def trouble(self) -> str:
        """Return which process ended, or that the API does not answer; or nothing."""
        died = self.state / "died"

        def tells() -> bool:
            return died.exists() or not host.alive(self.state) or self._api_answers()

        try:
            if self.kubeconfig.exists():  # else none has come up
                until(tells, "the API server", timeout=PATIENCE, every=0.1)
        except TimedOut:
            return "kube-apiserver runs and does not answer any more"
        if died.exists():
            return died.read_text().strip()
        ended = self.kubeconfig.exists() and not host.alive(self.state)
        return "the cluster's first process was ended" if ended else ""

    def _api_answers(self) -> bool:
        try:
            self.kube.request("GET", "/livez", timeout=PATIENCE)
        except ApiError:
            return True
        except LabError:
            return False
        return True

    def sweep(self) -> None:
        host.sweep()

    def status(self) -> Status:
        if not host.alive(self.state):
            told = self.trouble()
            why = f" ({told})" if told else ""
            return Status(False, f"embedded cluster {self.name!r} is not up{why}")
        try:
            answer = self._channel.ask({"op": "status"})
        except LabError as error:
            return Status(
                False, f"embedded cluster {self.name!r} is starting, or does not answer: {error}"
            )
        details = {name: str(started) for name, started in answer["processes"].items()}
        return Status(True, f"embedded cluster {self.name!r} is up: {self.stack}", details)

    def prepare(self, progress: Progress) -> None:
        self._built(progress)

    def _built(self, progress: Progress) -> binaries.Binaries:
        places.require_extra()
        requirements.require(try_kernel=not self._is_built)  # before it is all built in vain
        if official.chosen():
            built = official.ensure(assembly.DEFAULT, progress)
        else:
            built = assembly.chosen().ensure(progress)
        nginx.ensure(progress)
        return built

    def up(self, progress: Progress, *, owned: bool = False) -> None:
        """Bring it up, or find it up. owned: it ends with the calling process."""
        state = self.state
        with host.locked(state):
            if self._found(progress):
                return
            built = self._built(progress)
            host.end(state)
            state.mkdir(mode=0o700)
            checking = _Verifier(built)
            try:
                self._launched = self._launch(built, progress, owned)
                checking.result()
            except BaseException as problem:
                self._end()
                if isinstance(problem, LabError):
                    checking.result()
                    requirements.require(try_kernel=True)
                raise  # neither an altered program nor this machine is why

    @property
    def _is_built(self) -> bool:
        if official.chosen():
            return (official.target(assembly.DEFAULT) / cache.MANIFEST).exists()
        return assembly.chosen().built

    def _found(self, progress: Progress) -> bool:
        if not self.running():
            return False
        if not self.fits():
            raise LabError(
                f"embedded cluster {self.name!r} is up with another stack than asked for: "
                f"{self.stack}",
                hint="run istio-lab down, then repeat the command",
            )
        progress("already up")
        return True

    def _launch(self, built: binaries.Binaries, progress: Progress, owned: bool) -> host.Launched:
        api = socket.create_server(("127.0.0.1", 0), backlog=128)
        settings = Settings(
            state=str(self.state),
            bin=str(built.bin),
            share=str(built.share),
            **dataclasses.asdict(built.stack),
            api_port=api.getsockname()[1],
            token_renew_at=self._renew_at,
            module_sets={
                "nginx": str(nginx.folder()),
                **{n: str(binaries.source(n).target / "bin") for n in binaries.AT_FIRST_USE},
            },
        )
        return host.launch(self.state, settings, api, progress, owned)

    def down(self) -> None:
        with host.locked(self.state):
            self._end()
        host.sweep()

    def _end(self) -> None:
        host.end(self.state)
        if self._launched:
            self._launched.release()
            self._launched = None

    def exec(
        self,
        pod: PodRef,
        argv: Sequence[str],
        *,
        container: str | None = None,
        stdin: bytes = b"",
        timeout: float = 30.0,
    ) -> Completed:
        return completed(self._channel, _exec_request(pod, argv, container), stdin, timeout)

    def proxy_admin(self, pod: PodRef, path: str) -> bytes:
        request = {"op": "connect", "namespace": pod.namespace, "pod": pod.name, "port": ADMIN_PORT}
        try:
            status, body = _get(self._channel.connect(request), path)
        except ClusterGone:
            raise
        except (OSError, http.client.HTTPException, LabError) as problem:
            told = f"Envoy of pod {pod.name} did not answer {path}: {problem}"
            raise CommandFailed(told) from None
        return admin_answer(pod, path, status, body)

    def exec_here(self, pod: PodRef, argv: Sequence[str], container: str | None = None) -> int:
        """Run a command with this process's own terminal; return its code."""
        return int(self._channel.run(_exec_request(pod, argv, container), 0, 1, 2)["code"])

    def firewall(self, pod: PodRef) -> str:
        """Return what `iptables-save` says in a pod's network namespace."""
        request = {
            "op": "netns",
            "namespace": pod.namespace,
            "pod": pod.name,
            "argv": ["iptables-save"],
        }
        return completed(self._channel, request, b"", 20).stdout.decode()

    def capture(
        self, pod: PodRef, interface: str, bpf: str, into: Path, *, kept: int = 0
    ) -> Capture:
        return TcpdumpCapture(self._channel, pod, interface, bpf, into, kept)

    def logs(self, pod: PodRef, container: str) -> str:
        path = f"/api/v1/namespaces/{pod.namespace}/pods/{pod.name}/log"
        return self.kube.text(path, {"container": container})


def _get(link: socket.socket, path: str) -> tuple[int, bytes]:
    """Ask an HTTP server for `/path`; return status and body."""
    asking = http.client.HTTPConnection("localhost")
    asking.sock = link
    try:
        link.settimeout(ADMIN_PATIENCE)
        asking.request("GET", f"/{path}")
        answer = asking.getresponse()
        return answer.status, answer.read()
    finally:
        asking.close()


def _exec_request(pod: PodRef, argv: Sequence[str], container: str | None) -> dict[str, object]:
    return {
        "op": "exec",
        "namespace": pod.namespace,
        "pod": pod.name,
        "container": container,
        "argv": list(argv),
    }


class _Verifier:
    """Hashes the binaries beside the cluster's start; an altered one ends the attempt."""

    def __init__(self, built: binaries.Binaries) -> None:
        self._error: LabError | None = None
        self._thread = threading.Thread(target=self._run, args=(built,), daemon=True)
        self._thread.start()

    def _run(self, built: binaries.Binaries) -> None:
        try:
            built.verify()
        except LabError as error:
            self._error = error

    def result(self) -> None:
        """Wait for the answer. Raises the LabError that names an altered binary."""
        self._thread.join()
        if self._error:
            raise self._error
