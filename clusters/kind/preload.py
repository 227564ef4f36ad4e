"""A node image that holds all other images: wherever they come from, no node ever pulls one.

Two cached steps: archives of images, which are files, and the node image in the engine's store.
Both are named by what goes into them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path

from clusters.base import Progress, Stack
from clusters.kind.engine import Engine
from clusters.stacks import cache
from lab.common.wait import until

REPOSITORY = "istio-failure-lab/node"


class NodeImage(ABC):
    """What a kind cluster is made of, whoever made it."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    @property
    @abstractmethod
    def folder(self) -> Path:
        """Return where the archives are kept: `node.tar`, and images in `images*.tar`."""

    @property
    @abstractmethod
    def stack(self) -> Stack:
        """Return what the images are of; `ensure` comes first."""

    @property
    @abstractmethod
    def bin(self) -> Path:
        """Return the folder of a kubectl that fits."""

    @abstractmethod
    def program(self, name: str) -> Path:
        """Return where `kind`, `istioctl` or `lab-capture` lies."""

    @abstractmethod
    def _make(self, folder: Path) -> None:
        """Write the archives. The node's is named `node`, with `-base` behind it."""

    @property
    def node(self) -> str:
        """Return the node image's name in the engine's store."""
        return f"{REPOSITORY}:{self.folder.name.partition('-')[2]}"

    def ensure(self, engine: Engine) -> str:
        """Load the node image into the engine's store, and return its name."""
        cache.obtain(self.folder, self._make, self._progress)
        if not engine.has(self.node):
            self._progress("putting the images into the node image")
            self._preload(engine)
            if engine.own:
                _drop_forgotten(engine)
        return self.node

    def _preload(self, engine: Engine) -> None:
        """Import all images into the node's own containerd store, and keep that as the image."""
        engine.load(self.folder / "node.tar")
        base = f"{self.node}-base"
        made = engine.docker(
            *("run", "--detach", "--privileged", "--network=none", "--entrypoint=sleep"),
            base,
            "600",
        ).strip()
        try:
            capture = self.program("lab-capture")
            engine.docker("cp", str(capture), f"{made}:/usr/local/bin/lab-capture")
            engine.docker("exec", "--detach", made, "containerd", "--log-level=warn")
            ready = ["exec", made, "ctr", "version"]
            until(lambda: engine.succeeds(*ready), "containerd in the node image", timeout=60)
            unpacked = ["ctr", "-n", "k8s.io", "images", "import", "--all-platforms"]
            unpacked += ["--no-unpack", "--digests", "-"]
            for path in sorted(self.folder.glob("images*.tar")):
                with path.open("rb") as archive:
                    engine.docker("exec", "-i", made, *unpacked, stdin=archive)
            ended = "kill $(pidof containerd); while pidof containerd; do sleep 0.1; done; "
            engine.docker("exec", made, "sh", "-c", ended + "rm -rf /run/containerd /tmp/*")
            entry = 'ENTRYPOINT ["/usr/local/bin/entrypoint","/sbin/init"]'
            engine.docker("commit", f"--change={entry}", made, self.node)
        finally:
            engine.docker("rm", "--force", "--volumes", made)


def _drop_forgotten(engine: Engine) -> None:
    """Remove node images whose archives are no longer in the cache."""
    form = "{{.Repository}}:{{.Tag}} {{.Tag}}"
    for line in engine.docker("images", "--format", form, REPOSITORY).splitlines():
        name, tag = line.split()
        if not list(cache.root().glob(f"*-{tag.removesuffix('-base')}")):
            engine.run("rmi", name)
