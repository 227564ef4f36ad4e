"""The kind cluster: Kubernetes in containers of a Docker engine."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from clusters.entries.entry import ClusterKind
from clusters.stacks.cost import Cost
from lab.common.errors import BadArguments, NeedsUnmet

if TYPE_CHECKING:
    from clusters.base import OwnCluster
    from clusters.doctor.requirement import Requirement
    from clusters.kind.images import Built
    from clusters.kind.official import Official

IMAGES = Cost(minutes=2.5, gigabytes_needed=4.0, gigabytes_kept=3.4)
"""Of the built images, as archives and in the engine; measured, see benchmarks/."""


class KindKind(ClusterKind):
    """Entry of the kind cluster."""

    name = "kind"
    summary = "Kubernetes in containers, by kind, on a Docker engine"
    builds = "what is not here yet of Kubernetes, Istio, kind and its images"

    def open(self, word: str, name: str, nodes: int) -> OwnCluster:
        from clusters.kind import official
        from clusters.kind.cluster import Kind

        official.asked()
        return Kind(name, nodes=nodes)

    def check_stack(self, word: str, chosen: Mapping[str, str]) -> None:
        from clusters.kind import official
        from clusters.stacks import assembly

        if "LAB_ENVOY" in chosen:
            raise BadArguments(
                f"ENVOY={chosen['LAB_ENVOY']} can be chosen for the embedded cluster only: "
                "kind's sidecars come with Istio's proxy image"
            )
        official.check(assembly.DEFAULT)

    def programs(self) -> Mapping[str, str]:
        from clusters.kind import requirements

        return requirements.programs()

    def examine(self) -> list[Requirement]:
        from clusters.embedded import requirements as embedded
        from clusters.kind import requirements

        machine = embedded.examine()
        return [*machine, *requirements.examine(), embedded.binaries(self.missing)]

    def runs_here(self, lacking: Sequence[str]) -> str:
        if os.name != "posix":  # where its modules cannot be imported
            return "no: on Windows it runs only in WSL 2, which is a Linux"
        from clusters.kind import requirements

        return requirements.runs_here()

    def examined_before_run(self) -> bool:
        return True

    def tested_here(self) -> bool:
        from clusters.kind import requirements

        return requirements.may_have_engine()

    def folders(self) -> list[Path]:
        """Name both sets of images where it is left to a registry which of them is used."""
        from clusters.kind import images
        from clusters.stacks import assembly

        wanted = os.environ.get("LAB_IMAGES", "")
        fetched = [] if wanted == "built" else [_fetched().folder]
        if wanted == "official":
            return fetched
        sources = images.sources(assembly.DEFAULT)
        return [*fetched, *(source.target for source in sources), _built().folder]

    def missing(self) -> Mapping[Path, Cost]:
        from clusters.kind import images
        from clusters.stacks import assembly

        if _images_are_fetched():
            return {}
        sources = [one for one in images.sources(assembly.DEFAULT) if not one.built]
        missing: dict[Path, Cost] = {one.target: one.spec["build"] for one in sources}
        kept = _kept_images()
        return missing if kept.exists() else {**missing, kept: IMAGES}

    def spared(self) -> str:
        if os.environ.get("LAB_IMAGES"):
            return ""
        return "Where a registry answers, official images are fetched instead, and little is built."


def _built() -> Built:
    from clusters.kind.images import Built, Programs
    from clusters.stacks import assembly

    return Built(Programs.located(assembly.DEFAULT), _ignore)


def _fetched() -> Official:
    from clusters.kind.official import Official
    from clusters.stacks import assembly

    return Official(assembly.DEFAULT, _ignore)


def _images_are_fetched() -> bool:
    try:
        there = _fetched().folder.exists()
    except NeedsUnmet:
        there = False
    return there or os.environ.get("LAB_IMAGES") == "official"


def _kept_images() -> Path:
    """Return where built images are kept; nowhere yet, where apt knows no packages."""
    from clusters.stacks import cache

    try:
        return _built().folder
    except NeedsUnmet:
        return cache.root() / "images-none"


def _ignore(_line: str) -> None:
    """Take a line of progress, and show it to nobody."""
