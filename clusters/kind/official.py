"""The official images: kind's node, Istio's own, and workloads', fetched from their registries.

Everything else is as with built images. The lab's own probes have no official image: theirs is
built here. So is grpcbin's: moul/grpcbin serves plaintext at one port, and the lab asks for six.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path

from clusters.base import Progress, Stack
from clusters.kind import debian, images, workload_images
from clusters.kind.archive import Image, Layer, save
from clusters.kind.images import HUB, Built, Programs
from clusters.kind.preload import NodeImage
from clusters.stacks import binaries, cache, official, registry
from lab.common.errors import BadArguments, NeedsUnmet
from lab.common.suggest import meant

NODE = "docker.io/kindest/node:v1.36.4"
HTTPBIN = "docker.io/kennethreitz/httpbin:latest"
WORKLOADS: Mapping[str, str] = {  # by the lab's name
    "docker.io/lab/httpbin:1": HTTPBIN,
    "docker.io/lab/tcp-echo:1": "docker.io/istio/tcp-echo-server:1.3",
}
# Tags that move. The node is of the pinned Kubernetes minor, as the notes of this kind's release
# name it: https://github.com/kubernetes-sigs/kind/releases/tag/v0.33.0
DIGESTS: Mapping[str, str] = {
    NODE: "sha256:099e049362a1526b2db71494e1947aae99bd16290d7c895f2b7ea312e3cbfaed",
    HTTPBIN: "sha256:599fe5e5073102dbb0ee3dbb65f049dab44fa9fc251f6835c9990f8fb196a72b",
}
ISTIO = ("pilot", "proxyv2", "install-cni")
KIND_PROGRAMS = ("kind", "lab-capture")


def asked() -> str:
    """Return which images LAB_IMAGES names, or nothing. Raises BadArguments for others."""
    wanted = os.environ.get("LAB_IMAGES", "")
    if wanted not in ("", *official.CHOICES):
        near = meant(wanted, official.CHOICES)
        raise BadArguments(f"no IMAGES={wanted}: {near}there is {', '.join(official.CHOICES)}")
    return wanted


def choose(stack: str, progress: Progress) -> NodeImage:
    """Return the images of a new cluster: LAB_IMAGES, else official ones where a registry answers.

    Raises BadArguments for a choice that there is not, NeedsUnmet for an Istio release that
    only a registry has where none answers.
    """
    wanted, why = asked(), ""
    theirs = Official(stack, progress)
    if not wanted:
        wanted, why = _automatic(theirs)
    progress(f"images: {wanted}{why}")
    if wanted == "official":
        return theirs
    _refuse_other_istio(stack)
    return Built(Programs.ensure(stack, progress), progress)


def check(stack: str) -> None:
    """Refuse, before anything is begun, what is certain to be refused by `choose`."""
    istio, images = official.istio(), os.environ.get("LAB_IMAGES")
    if images == "built" or (not images and istio in binaries.names()):
        _refuse_other_istio(stack)


def _refuse_other_istio(stack: str) -> None:
    if os.environ.get("LAB_ISTIO") not in (None, "", stack):
        raise NeedsUnmet(
            f"kind's images are built here with Istio {stack}; "
            f"ISTIO={official.istio()} needs official images",
            hint="for any release: IMAGES=official ISTIO=1.30.3, with a registry "
            "in reach or REGISTRY=HOST:PORT. The embedded cluster can be built with Istio "
            + ", ".join(binaries.names()),
        )


def _automatic(theirs: Official) -> tuple[str, str]:
    """Return what is chosen where nobody chose, and why."""
    if official.istio() in binaries.names():
        return "built", f", since ISTIO={official.istio()} names what is built and no release"
    if theirs.folder.exists():
        return "official", ", since they were fetched before"
    if shutil.which("skopeo") is None:
        return "built", ", since there is no skopeo to ask a registry with"
    if registry.answers(_pinned(NODE)):
        return "official", ", since a registry answers"
    return "built", ", since no registry answers"


class Official(NodeImage):
    """The images of one Istio release, by the names and digests of their makers."""

    def __init__(self, stack: str, progress: Progress) -> None:
        super().__init__(progress)
        self._stack = stack

    @cached_property
    def folder(self) -> Path:
        """Return where the archives are kept: named by the images, and by all that is built."""
        parts = [registry.mirror(), official.istio(), *WORKLOADS.values(), *DIGESTS.values()]
        parts += [
            binaries.source(name).target.name for name in (self._stack, f"{self._stack}-kind")
        ]
        inputs = [path.read_bytes() for path in (Path(__file__), *images.INPUTS)]
        key = cache.key(json.dumps([parts, debian.sources()]).encode(), official.OWN, *inputs)
        return cache.root() / f"official-{key}"

    @property
    def stack(self) -> Stack:
        return official.facts(self.folder)

    @property
    def bin(self) -> Path:
        return self.folder / "bin"

    def program(self, name: str) -> Path:
        return self.bin / name

    def _make(self, folder: Path) -> None:
        programs, work = folder / "bin", folder / "work"
        programs.mkdir()
        work.mkdir()
        with ThreadPoolExecutor(4) as pool:
            listed = self._listed(folder, work)
            place = registry.mirror() or "their registries"
            self._progress(f"fetching {len(listed)} images from {place}")
            fetching = [pool.submit(registry.fetch, *one) for one in listed]
            save(self._own(programs, work), folder / "images-lab.tar")
            fetched = [one.result() for one in fetching]
        node = {"bin/kubectl": programs / "kubectl", "kind/version": work / "version"}
        registry.take(folder / "node.tar", node)
        registry.take(work / "istioctl.tar", {"istioctl": programs / "istioctl"})
        registry.take(folder / "images-proxyv2.tar", {"envoy": work / "envoy"})
        for program in (*programs.iterdir(), work / "envoy"):
            program.chmod(0o755)
        kubernetes = (work / "version").read_text().strip()
        origin = f"official images: {', '.join(fetched)}; the lab's own are built"
        official.write_facts(folder, kubernetes, work / "envoy", origin)
        shutil.rmtree(work)

    def _listed(self, folder: Path, work: Path) -> list[tuple[str, Path, str]]:
        """Return each image, where its archive goes, and its name in there."""
        listed = [(_pinned(NODE), folder / "node.tar", f"{self.node}-base")]
        for name in ISTIO:
            image = f"{HUB}/{name}:{official.istio()}"
            listed.append((image, folder / f"images-{name}.tar", image))
        for number, (name, image) in enumerate(WORKLOADS.items()):
            listed.append((_pinned(image), folder / f"images-workload-{number}.tar", name))
        return [*listed, (f"{HUB}/istioctl:{official.istio()}", work / "istioctl.tar", "")]

    def _own(self, programs: Path, work: Path) -> list[Image]:
        """Return images of the lab's own programs; write kind and lab-capture to `programs`."""
        few = {
            f"{self._stack}-kind": KIND_PROGRAMS,
            self._stack: [name for name in workload_images.IN_PODS if name not in KIND_PROGRAMS],
        }
        built: dict[str, Path] = {}
        for stack, names in few.items():
            folder = binaries.build(binaries.few(stack, names), self._progress)
            built |= {name: folder / "bin" / name for name in names}
        for name in KIND_PROGRAMS:
            shutil.copy2(built[name], programs)
        debian.rootfs(images.POD_PACKAGES, work / "pod.tar")
        made = workload_images.workloads(Layer.from_file(work / "pod.tar"), built.__getitem__, work)
        return [image for image in made if image.name not in WORKLOADS]


def _pinned(image: str) -> str:
    return f"{image}@{DIGESTS[image]}" if image in DIGESTS else image
