"""A cluster that the lab did not create, by a context of the user's own kubeconfig.

Everything that a run needs is checked before it writes anything; what it writes lies in
namespaces that carry the run's label. Nothing else is written, ever.
"""

from __future__ import annotations

import os
import shutil
from functools import cached_property
from pathlib import Path
from typing import Literal
from urllib.parse import quote

import yaml

from clusters import forward, kubeconfig, mesh, rights
from clusters.api import ApiCluster
from clusters.base import (
    BY_LABEL,
    CONTEXT,
    RUN_LABEL,
    Capture,
    PodRef,
    Progress,
    Stack,
    Status,
    me,
)
from clusters.ephemeral import EphemeralCapture
from clusters.kube import ApiError
from lab.common import scratch
from lab.common.errors import LabError, NeedsUnmet
from lab.common.files import write_text
from lab.common.wait import until
from lab.workloads.catalogue import reference

NAMESPACES = "/api/v1/namespaces"
ADMIN_PORT = 15000
AT_A_TIME = 40
"""Pods of the lab's; `PODS=` says otherwise."""
"""Of each proxy, at its pod's loopback."""
WayToProxies = Literal["exec", "portforward", ""]
WAYS: tuple[WayToProxies, ...] = ("exec", "portforward")
MINE = f"{RUN_LABEL},{BY_LABEL}={me()}"


class Existing(ApiCluster):
    """Somebody's cluster, with somebody's Istio."""

    kind = "existing"

    def __init__(self, context: str) -> None:
        """Choose the context. Raises BadArguments where it is not there or would run a program."""
        kubeconfig.require(context)
        self.context = self.name = context
        self._ways: dict[str, WayToProxies] = {}

    @property
    def kubeconfig(self) -> Path:
        """Return the user's own files, as KUBECONFIG has them, after one that chooses the context.

        That one is the lab's, and names no more than the context: credentials are not copied.
        """
        chosen = scratch.states() / f"{self._file}.yaml"
        config = {"apiVersion": "v1", "kind": "Config", "current-context": self.name}
        write_text(chosen, yaml.safe_dump(config))  # whole: notebooks read it side by side
        return Path(os.pathsep.join(map(str, [chosen, *kubeconfig.files()])))

    @property
    def bin(self) -> Path:
        """Return where the user's kubectl lies. Raises NeedsUnmet without one."""
        found = shutil.which("kubectl")
        if found is None:
            raise NeedsUnmet("kubectl is not on PATH")
        return Path(found).parent

    @cached_property
    def stack(self) -> Stack:
        """Return the API's versions; a run learns the proxies' from its own pods (lab/record)."""
        version = str(self.kube.request("GET", "/version")["gitVersion"])
        return Stack(version, mesh.istio_version(self.kube), "", "", "as found there")

    @property
    def lock(self) -> Path:
        """Return a lock on this machine: it does not exclude other people's runs."""
        return scratch.states() / f"{self._file}.lock"

    @property
    def _file(self) -> str:
        return quote(CONTEXT + self.name, safe="")

    def offers(self) -> frozenset[str]:
        """Offer no change of the whole mesh. Captures may be refused pod by pod."""
        return frozenset({"sidecar", "capture"})

    def running(self) -> bool:
        """Tell whether its API answers."""
        try:
            return bool(self.kube.request("GET", "/version", timeout=5))
        except LabError:
            return False

    def room(self) -> int:
        """Return how many pods somebody's cluster is given at a time; what fits is not known.

        Of a hundred, a node of two cores was seen to lose many: each sidecar takes two or three
        inotify instances, of which a kernel allows a user 128.
        """
        return AT_A_TIME

    def fits(self) -> bool:
        """Return True: neither its stack nor its nodes can be chosen."""
        return True

    def sweep(self) -> None:
        """Remove nothing: namespaces of runs that died stay until `down`; others may use them."""

    def trouble(self) -> str:
        """Return nothing: its nodes are not the lab's to examine."""
        return ""

    def status(self) -> Status:
        if not self.running():
            return Status(False, f"the API of context {self.name!r} does not answer")
        mine = self._namespaces(MINE)
        others = [name for name in self._namespaces(RUN_LABEL) if name not in mine]
        left = f"yours {', '.join(mine) or 'none'}, others' {', '.join(others) or 'none'}"
        told = f"Kubernetes {self.stack.kubernetes}, Istio {self.stack.istio or 'not found'}"
        return Status(True, f"context {self.name!r}: {told}; namespaces made by the lab: {left}")

    def prepare(self, progress: Progress) -> None:
        """Do nothing: the lab does not make it."""

    def up(self, progress: Progress, *, owned: bool = False) -> None:  # noqa: ARG002  (its docstring)
        """Check everything that a run needs; nothing is written.

        owned changes nothing: the cluster was there before, and stays. Raises ClusterGone when
        the API does not answer, NeedsUnmet with all that is missing.
        """
        progress(f"checking context {self.name!r}")
        self.kube.request("GET", "/version")
        self._must_inject()
        lacking = rights.missing(self.kube)
        if lacking:
            raise NeedsUnmet(
                f"context {self.name!r} lacks {len(lacking)} rights: {', '.join(lacking)}",
                hint="an administrator can grant them: kubectl apply -f clusters/existing.yaml",
            )
        progress(
            f"Kubernetes {self.stack.kubernetes}, Istio {self.stack.istio}: nothing is missing"
        )

    def _must_inject(self) -> None:
        try:
            label = mesh.injecting_label(self.kube)
        except ApiError as refused:
            if refused.status == 403:
                return  # that is a missing right, and named with the others
            raise
        if not label:
            raise NeedsUnmet(
                f"context {self.name!r} has no Istio that injects sidecars: none of its "
                "webhooks selects namespaces by the label `istio-injection` or `istio.io/rev`",
                hint="istioctl install; for a revision: istioctl tag set default --revision REV",
            )

    def down(self) -> None:
        """Remove the namespaces of this user's runs from this machine, and wait for their end.

        Other people's stay: they may be in use. `status` names all.
        """
        for name in self._namespaces(MINE):
            try:
                self.kube.request("DELETE", f"{NAMESPACES}/{name}")
            except ApiError as refused:
                if refused.status not in (404, 409):  # gone, or going
                    raise
        until(lambda: not self._namespaces(MINE), "the lab's namespaces to be gone", timeout=300)

    def _namespaces(self, selector: str) -> list[str]:
        found = self.kube.items(NAMESPACES, {"labelSelector": selector})
        return [str(namespace["metadata"]["name"]) for namespace in found]

    def way_to_proxies(self, namespace: str) -> WayToProxies:
        """Return how this account may read what a namespace's proxies hold; empty: not at all.

        namespace: empty for all of them.
        """
        if namespace not in self._ways:
            asked = {"resource": "pods", "verb": "create", "namespace": namespace}
            allowed = (
                way for way in WAYS if rights.allowed(self.kube, {**asked, "subresource": way})
            )
            self._ways[namespace] = next(allowed, "")
        return self._ways[namespace]

    def proxy_admin(self, pod: PodRef, path: str) -> bytes:
        """Ask the admin interface of a pod's Envoy, by exec or, without that right, by its port."""
        if self.way_to_proxies(pod.namespace) == "portforward":
            return forward.get(self.kubeconfig, self.context, pod, ADMIN_PORT, path)
        return super().proxy_admin(pod, path)

    def firewall(self, pod: PodRef) -> str:
        """Raise NeedsUnmet: it takes the node, which is not the lab's to enter."""
        raise NeedsUnmet(
            f"the firewall rules of pod {pod.name} can be read only on its node, "
            "which the lab does not enter"
        )

    def capture(
        self,
        pod: PodRef,
        interface: str,
        bpf: str,
        into: Path,
        *,
        kept: int = 0,  # noqa: ARG002  its buffer holds packets as they are
    ) -> Capture:
        image = reference("lab/client")
        return EphemeralCapture(self.kube, self.remote, pod, image, interface, bpf).start(into)
