"""The kind cluster as the lab uses it: `clusters.base.Cluster` on a Docker engine."""

from __future__ import annotations

import dataclasses
import fcntl
import json
import os
import shutil
import subprocess
import sys
import threading
from functools import cached_property
from pathlib import Path
from typing import Any

from clusters.api import ApiCluster
from clusters.base import (
    ADMIN_PORT,
    Capture,
    PodRef,
    Progress,
    Stack,
    Status,
    admin_answer,
    ports_of,
)
from clusters.doctor import sidecars
from clusters.kind import engine as engines
from clusters.kind import istio, network, official, trouble
from clusters.kind.engine import Engine
from clusters.kind.node_helper import NodeHelper
from clusters.kind.nodes import counted, definition
from clusters.kind.preload import NodeImage
from clusters.stacks.assembly import DEFAULT
from lab.common import locks, places, scratch, shell
from lab.common.errors import ClusterGone, CommandFailed, LabError
from lab.common.wait import until

STANDING = "lab"
PREFIX = "istio-failure-lab-"
"""Begins the name of every kind cluster of the lab's, and of no other."""
RUNS = "run-"
"""Begins the name of a run's own cluster, which is to end with the run."""
LOCK = ".kind-lock"
OWNER = "owner"
"""A file whose lock is held as long as the process lives that the cluster is to end with."""
FIREWALL = """set -e
process=$(grep -ls "pod$1" /proc/[0-9]*/cgroup | head -n 1 | cut -d/ -f3)
exec nsenter --target "$process" --net iptables-save
"""
"""Run on a node, with a pod's uid as its control group's name has it."""


class Kind(ApiCluster):
    """Real Kubernetes in containers, real Istio in pods."""

    kind = "kind"

    def __init__(self, name: str = STANDING, *, stack: str = DEFAULT, nodes: int = 0) -> None:
        """Name it. nodes: how many it is to have; 0: as many as it has, or one when it is made."""
        self.name, self._stack_name, self._nodes = name, stack, nodes
        self._owner = -1
        self._images: NodeImage | None = None
        self._stand_in: subprocess.Popen[bytes] | None = None
        self._helpers: dict[str, NodeHelper] = {}
        self._starting = threading.Lock()
        self.state = scratch.states() / f"kind-{name}"

    @property
    def stack(self) -> Stack:
        return Stack(**self._facts()["stack"])

    @property
    def bin(self) -> Path:
        """Return where this cluster's kubectl lies."""
        return Path(self._facts()["bin"])

    @property
    def kubeconfig(self) -> Path:
        """Return the lab's own kubeconfig; the user's is never touched."""
        return self.state / "kubeconfig"

    @property
    def lock(self) -> Path:
        return self.state / "mesh.lock"

    def require(self) -> None:
        self._facts()

    @cached_property
    def _engine(self) -> Engine:
        return Engine(**self._facts()["engine"])

    def _facts(self) -> dict[str, Any]:
        try:
            facts: dict[str, Any] = json.loads((self.state / "facts.json").read_text())
        except OSError:
            raise ClusterGone(
                f"no kind cluster {self.name!r} is up", hint="istio-lab up --cluster kind"
            ) from None
        return facts

    @property
    def _count(self) -> int:
        """Return how many nodes it has."""
        return int(self._facts()["nodes"])

    def offers(self) -> frozenset[str]:
        apart = {"several-nodes"} if self._count > 1 else set()
        return frozenset({"sidecar", "capture", "mesh-scope", *apart})

    def running(self) -> bool:
        """Tell whether it is up and answers."""
        if not (self.state / "ready").exists():
            return False
        try:
            return bool(self.kube.request("GET", "/version", timeout=5))
        except LabError:
            return False

    def room(self) -> int:
        there = self.kube.items("/api/v1/pods") if self.running() else []
        return sidecars.room(sidecars.PODS_OF_NODE * max(1, self._nodes) - len(there))

    def fits(self) -> bool:
        """Tell whether it has the Istio and as many nodes as were asked for."""
        istio = os.environ.get("LAB_ISTIO") or self.stack.istio
        return self._nodes in (0, self._count) and istio == self.stack.istio

    def trouble(self) -> str:
        """Return a node, its disk, or istiod, where one of them fails; or nothing."""
        if not (self.state / "ready").exists():
            return ""
        try:
            nodes = trouble.of_nodes(self._engine, PREFIX + self.name, self._count)
            return nodes or trouble.of_istiod(self.kube)
        except ClusterGone as gone:
            return str(gone)

    def status(self) -> Status:
        told = self.trouble()
        if told:
            return Status(False, f"kind cluster {self.name!r} cannot be used: {told}")
        if self.running():
            told = f"{counted(self._count)}, {self.stack}"
            return Status(True, f"kind cluster {self.name!r} is up: {told}")
        return Status(False, f"kind cluster {self.name!r} is not up")

    def prepare(self, progress: Progress) -> None:
        try:
            with engines.lease():
                self._prepared(progress)
        except BaseException:
            self._leave()
            raise

    def _prepared(self, progress: Progress) -> tuple[NodeImage, Engine, str]:
        """Return images, an engine, and the node image's name in it, all made or started now."""
        places.require_extra()
        images = self._images = self._images or official.choose(self._stack_name, progress)
        engine = engines.obtain(progress)
        return images, engine, images.ensure(engine)

    def up(self, progress: Progress, *, owned: bool = False) -> None:
        """Bring it up, or find it up; one that is of no use any more is made anew.

        owned: where the calling process ends without `down`, the next command of the lab ends it.
        """
        with locks.held(self._lock_file):
            if self._found(progress):
                return
            try:
                with engines.lease():
                    self._make(*self._prepared(progress), owned, progress)
            except BaseException:
                self._leave()
                raise

    @property
    def _lock_file(self) -> Path:
        return self.state.with_name(f"{self.state.name}{LOCK}")

    def _found(self, progress: Progress) -> bool:
        told = self.trouble()
        if told:
            progress(f"{told}; making a new cluster")
        if told or not self.running():
            return False
        if not self.fits():
            there, wanted = counted(self._count), counted(self._nodes or self._count)
            istio = os.environ.get("LAB_ISTIO") or self.stack.istio
            raise LabError(
                f"kind cluster {self.name!r} is up with {there}, Istio {self.stack.istio}; "
                f"{wanted}, Istio {istio} are asked for",
                hint="run istio-lab down --cluster kind, then repeat the command",
            )
        progress("already up")
        return True

    def _make(
        self, images: NodeImage, engine: Engine, image: str, owned: bool, progress: Progress
    ) -> None:
        self._end(engine)
        self.sweep()
        self.state.mkdir(mode=0o700)
        try:
            if owned:
                self._owner = os.open(self.state / OWNER, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC)
                fcntl.flock(self._owner, fcntl.LOCK_EX)
            self._create(images, engine, image, progress)
            self._install(images, progress)
        except BaseException:
            self._end(engine)
            raise
        (self.state / "ready").touch()

    def _create(self, images: NodeImage, engine: Engine, image: str, progress: Progress) -> None:
        progress("creating the nodes")
        facts = {
            "stack": dataclasses.asdict(images.stack),
            "bin": str(images.bin),
            "engine": dataclasses.asdict(engine),
            "nodes": self._nodes or 1,
        }
        (self.state / "facts.json").write_text(json.dumps(facts))
        config = self.state / "kind.json"
        config.write_text(json.dumps(definition(self._nodes or 1, image)))
        argv = [str(images.program("kind")), "create", "cluster", f"--name={PREFIX}{self.name}"]
        argv += [f"--config={config}", f"--kubeconfig={self.kubeconfig}", "--wait=0s"]
        with network.noted(engine):
            shell.run(argv, cwd=self.state, env=engine.environment)
        self.kubeconfig.chmod(0o600)

    def _install(self, images: NodeImage, progress: Progress) -> None:
        progress("installing Istio")
        istio.install(images, self.kubeconfig, self.state)
        until(self._nodes_ready, "every node to be ready", timeout=120, every=0.2)
        if images.stack.flavour == "stock":
            self._start_stand_in()

    def _nodes_ready(self) -> bool:
        """Tell whether every node is ready."""
        listed = (node["status"]["conditions"] for node in self.kube.items("/api/v1/nodes"))
        told = [(one["type"], one["status"]) for conditions in listed for one in conditions]
        return told.count(("Ready", "True")) == self._count

    def _start_stand_in(self) -> None:
        """Start what does the work of Istio's ALPN filter, which a stock Envoy lacks."""
        with (self.state / "alpn.log").open("wb") as log:
            self._stand_in = subprocess.Popen(
                [sys.executable, "-m", "clusters.kind.alpn", str(self.kubeconfig)],
                cwd=Path(__file__).parents[2],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def down(self) -> None:
        """End it and everything it made: its containers, its network, its engine if it is ours."""
        with locks.held(self._lock_file), engines.lease():
            engine = engines.find()
            if engine:
                self._end(engine)
            shutil.rmtree(self.state, ignore_errors=True)
            self._lock_file.unlink()
        self.sweep()
        self._leave()

    def sweep(self) -> None:
        """End clusters of runs that were killed, and them only; remove locks of none."""
        for lock in scratch.states().glob(f"kind-*{LOCK}"):
            with locks.tried(lock) as alone:
                if alone and not lock.with_suffix("").exists():
                    lock.unlink()
                elif alone:
                    Kind(lock.stem.removeprefix("kind-"))._end_if_dead(lock)

    def _end_if_dead(self, lock: Path) -> None:
        owner = self.state / OWNER
        if not self.name.startswith(RUNS) or not owner.exists():
            return
        with locks.tried(owner) as ended:
            engine = engines.find()
            if ended and engine:
                self._end(engine)
                lock.unlink()

    def _end(self, engine: Engine) -> None:
        """End its containers and its process, and remove its folder."""
        own = f"label=io.x-k8s.kind.cluster={PREFIX}{self.name}"
        nodes = engine.docker("ps", "--all", "--quiet", f"--filter={own}").split()
        if nodes:
            engine.docker("rm", "--force", "--volumes", *nodes)
        shutil.rmtree(self.state, ignore_errors=True)
        for known in ("kube", "remote", "_engine"):  # of the one that is ended
            self.__dict__.pop(known, None)
        if self._owner >= 0:
            os.close(self._owner)
            self._owner = -1
        while self._helpers:
            self._helpers.popitem()[1].close()
        if self._stand_in:
            self._stand_in.wait(10)  # it ends with the folder
            self._stand_in = None

    def _leave(self) -> None:
        """End the network and the engine with the last cluster, as far as the lab made them."""
        with engines.unused() as free:
            engine = engines.find()
            if free and engine:
                network.remove(engine)
        engines.stop()

    def firewall(self, pod: PodRef) -> str:
        """Return what `iptables-save` says in a pod's network namespace."""
        node, uid = self._place(pod)
        return self._engine.docker("exec", node, "sh", "-c", FIREWALL, "sh", uid.replace("-", "_"))

    def capture(
        self,
        pod: PodRef,
        interface: str,
        bpf: str,
        into: Path,
        *,
        kept: int = 0,  # noqa: ARG002  its buffer holds packets as they are
    ) -> Capture:
        node, uid = self._place(pod)
        return self._helper(node).capture(uid, interface, ports_of(bpf), into)

    def proxy_admin(self, pod: PodRef, path: str) -> bytes:
        node, uid = self._place(pod)
        try:
            status, body = self._helper(node).get(uid, ADMIN_PORT, path)
        except ClusterGone:
            raise
        except LabError as problem:
            told = f"Envoy of pod {pod.name} did not answer {path}: {problem}"
            raise CommandFailed(told) from None
        return admin_answer(pod, path, status, body)

    def _helper(self, node: str) -> NodeHelper:
        """Return the helper on a node, started anew where it has ended."""
        with self._starting:
            helper = self._helpers.get(node)
            if helper and not helper.running:
                helper.close()
                helper = None
            if helper is None:
                helper = self._helpers[node] = NodeHelper(self._engine, node)
            return helper

    def _place(self, pod: PodRef) -> tuple[str, str]:
        """Return the node that runs it, and its uid."""
        if pod.uid:
            return pod.node, pod.uid
        found = self.kube.request("GET", f"/api/v1/namespaces/{pod.namespace}/pods/{pod.name}")
        return found["spec"]["nodeName"], found["metadata"]["uid"]
