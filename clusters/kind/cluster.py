"""The kind cluster as the lab uses it: `clusters.base.Cluster` on a Docker engine."""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from clusters.base import Capture, Completed, PodRef, Progress, Stack, Status
from clusters.embedded import host
from clusters.embedded.node import mesh
from clusters.kind import engine as engines
from clusters.kind import official
from clusters.kind.capture import NodeCapture
from clusters.kind.engine import Engine
from clusters.kind.images import HUB
from clusters.kind.preload import NodeImage
from clusters.kube import Kube, Obj
from clusters.remote import Remote
from lab import shell
from lab.errors import ClusterGone, LabError

STANDING = "lab"
PREFIX = "istio-failure-lab-"
"""Begins the name of every kind cluster of the lab's, and of no other."""
FIREWALL = """set -e
process=$(grep -ls "pod$1" /proc/[0-9]*/cgroup | head -n 1 | cut -d/ -f3)
exec nsenter --target "$process" --net iptables-save
"""
"""Run on a node, with a pod's uid as its control group's name has it."""


class Kind:
    """Real Kubernetes in containers, real Istio in pods."""

    kind = "kind"

    def __init__(self, name: str = STANDING, *, stack: str = "1.31") -> None:
        self.name, self._stack_name = name, stack
        self.state = host.states() / f"kind-{name}"

    @property
    def stack(self) -> Stack:
        return Stack(**self._facts()["stack"])

    @property
    def bin(self) -> Path:
        """Where this cluster's kubectl lies."""
        return Path(self._facts()["bin"])

    @property
    def kubeconfig(self) -> Path:
        """The lab's own; the user's is never touched."""
        return self.state / "kubeconfig"

    @property
    def lock(self) -> Path:
        return self.state / "mesh.lock"

    @cached_property
    def kube(self) -> Kube:
        self._facts()  # a cluster that is not up has its own message
        return Kube.from_kubeconfig(self.kubeconfig)

    @cached_property
    def _remote(self) -> Remote:
        return Remote(self.kubeconfig)

    @cached_property
    def _engine(self) -> Engine:
        return Engine(**self._facts()["engine"])

    def _facts(self) -> dict[str, Any]:
        try:
            facts: dict[str, Any] = json.loads((self.state / "facts.json").read_text())
        except OSError:
            raise ClusterGone(
                f"no kind cluster {self.name!r} is up", hint="python -m lab up --cluster kind"
            ) from None
        return facts

    def offers(self) -> frozenset[str]:
        return frozenset({"sidecar", "capture", "mesh-scope"})

    def running(self) -> bool:
        """Whether it is up and answers."""
        if not (self.state / "ready").exists():
            return False
        try:
            return bool(self.kube.request("GET", "/version", timeout=5))
        except LabError:
            return False

    def status(self) -> Status:
        if self.running():
            return Status(True, f"kind cluster {self.name!r} is up", {})
        return Status(False, f"kind cluster {self.name!r} is not up")

    def up(self, progress: Progress, *, owned: bool = False) -> None:  # noqa: ARG002  (its docstring)
        """Bring it up, or find it up.

        owned changes nothing: containers outlive the caller, which has to call `down`.
        """
        with self._only_one():
            if self.running():
                progress("already up")
                return
            images = official.choose(self._stack_name, progress)
            engine = engines.obtain(progress)
            image = images.ensure(engine)
            self._end(engine)
            self.state.mkdir(mode=0o700)
            try:
                self._create(images, engine, image, progress)
                self._install(images, progress)
            except BaseException:
                self._end(engine)
                engines.stop()
                raise
            (self.state / "ready").touch()

    @contextlib.contextmanager
    def _only_one(self) -> Iterator[None]:
        host.states().mkdir(mode=0o700, parents=True, exist_ok=True)
        with self.state.with_name(f"{self.state.name}.kind-lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _create(self, images: NodeImage, engine: Engine, image: str, progress: Progress) -> None:
        progress("kind cluster")
        facts = {
            "stack": dataclasses.asdict(images.stack),
            "bin": str(images.bin),
            "engine": dataclasses.asdict(engine),
        }
        (self.state / "facts.json").write_text(json.dumps(facts))
        config = self.state / "kind.json"
        config.write_text(json.dumps(self._definition(image)))
        argv = [str(images.program("kind")), "create", "cluster", f"--name={PREFIX}{self.name}"]
        argv += [f"--config={config}", f"--kubeconfig={self.kubeconfig}", "--wait=120s"]
        shell.run(argv, cwd=self.state, env=engine.environment)
        self.kubeconfig.chmod(0o600)

    def _definition(self, image: str) -> Obj:
        kubelet = {
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "failCgroupV1": False,
        }
        return {
            "kind": "Cluster",
            "apiVersion": "kind.x-k8s.io/v1alpha4",
            "networking": {"ipFamily": "ipv4"},
            "nodes": [{"role": "control-plane", "image": image}],
            "kubeadmConfigPatches": [json.dumps(kubelet)],
        }

    def _install(self, images: NodeImage, progress: Progress) -> None:
        progress("Istio")
        import yaml

        wanted = yaml.safe_load(Path(__file__).with_name("istio.yaml").read_text())
        spec = wanted["spec"]
        flavour = images.stack.flavour
        settings = mesh.mesh_config(flavour)
        del settings["rootNamespace"]
        spec |= {"hub": HUB, "tag": images.stack.istio, "meshConfig": settings}
        if flavour == "stock":
            spec["values"]["telemetry"] = {"enabled": False}
            spec["values"]["pilot"] = {"env": mesh.WITHOUT_OWN_FILTERS}
        file = self.state / "istio.json"
        file.write_text(json.dumps(wanted))
        argv = [str(images.program("istioctl")), "install", "-y", f"--filename={file}"]
        argv += [f"--kubeconfig={self.kubeconfig}", "--readiness-timeout=120s"]
        shell.run(argv, cwd=self.state, env={**os.environ, "HOME": str(self.state)})
        if flavour == "stock":
            self._stand_in()

    def _stand_in(self) -> None:
        """Start what does the work of Istio's ALPN filter, which a stock Envoy lacks."""
        # Forked once more: it is nobody's child, and outlives us.
        argv = ["setsid", "--fork", sys.executable, "-m", "clusters.kind.alpn"]
        with (self.state / "alpn.log").open("wb") as log:
            subprocess.run(
                [*argv, str(self.kubeconfig)],
                cwd=Path(__file__).parents[2],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                check=True,
            )

    def down(self) -> None:
        """End it and everything it made: its containers, its network, its engine if it is ours."""
        with self._only_one():
            engine = engines.find()
            if engine:
                self._end(engine)
                engines.stop()
            else:
                shutil.rmtree(self.state, ignore_errors=True)

    def _end(self, engine: Engine) -> None:
        """Containers and folder; the network too, when no kind cluster is left on it."""
        own = f"label=io.x-k8s.kind.cluster={PREFIX}{self.name}"
        nodes = engine.docker("ps", "--all", "--quiet", f"--filter={own}").split()
        if nodes:
            engine.docker("rm", "--force", "--volumes", *nodes)
        shutil.rmtree(self.state, ignore_errors=True)
        others = engine.docker("ps", "--all", "--quiet", "--filter=label=io.x-k8s.kind.cluster")
        if engine.own and not others.strip():
            engine.run("network", "rm", "kind")

    def exec(
        self,
        pod: PodRef,
        argv: Sequence[str],
        *,
        container: str | None = None,
        stdin: bytes = b"",
        timeout: float = 30.0,
    ) -> Completed:
        return self._remote.run(pod, container or pod.containers[0], argv, stdin, timeout)

    def exec_here(self, pod: PodRef, argv: Sequence[str], container: str | None = None) -> int:
        """Run a command with this process's own terminal; returns its code."""
        words = [str(self.bin / "kubectl"), f"--kubeconfig={self.kubeconfig}", "exec", "-i"]
        words += ["-t"] if sys.stdin.isatty() else []
        words += [pod.name, f"--namespace={pod.namespace}"]
        words += [f"--container={container}"] if container else []
        return subprocess.call([*words, "--", *argv])

    def firewall(self, pod: PodRef) -> str:
        """What `iptables-save` says in a pod's network namespace."""
        node, uid = self._place(pod)
        return self._engine.docker("exec", node, "sh", "-c", FIREWALL, "sh", uid.replace("-", "_"))

    def capture(self, pod: PodRef, interface: str, bpf: str, into: Path) -> Capture:
        return NodeCapture(self._engine, *self._place(pod), interface, bpf, into)

    def _place(self, pod: PodRef) -> tuple[str, str]:
        """The node that runs it, and its uid."""
        found = self.kube.request("GET", f"/api/v1/namespaces/{pod.namespace}/pods/{pod.name}")
        return found["spec"]["nodeName"], found["metadata"]["uid"]

    def logs(self, pod: PodRef, container: str) -> str:
        path = f"/api/v1/namespaces/{pod.namespace}/pods/{pod.name}/log"
        return self.kube.text(path, {"container": container})
