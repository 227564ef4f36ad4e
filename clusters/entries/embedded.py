"""The embedded cluster: Kubernetes and Istio as plain processes of this machine."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from clusters.entries.entry import ClusterKind
from clusters.stacks.cost import Cost

if TYPE_CHECKING:
    from clusters.base import OwnCluster
    from clusters.doctor.requirement import Requirement


class EmbeddedKind(ClusterKind):
    """Entry of the embedded cluster."""

    name = "embedded"
    summary = "Kubernetes and Istio as processes on this Linux machine"
    most_nodes = 1
    builds = "Kubernetes and Istio from their Go modules"

    def open(self, word: str, name: str, nodes: int) -> OwnCluster:
        from clusters.embedded.cluster import Embedded
        from clusters.stacks import official

        official.chosen()
        return Embedded(name)

    def check_stack(self, word: str, chosen: Mapping[str, str]) -> None:
        from clusters.stacks import assembly, official

        if not official.chosen():
            assembly.chosen()

    def programs(self) -> Mapping[str, str]:
        from clusters.embedded import requirements

        return requirements.programs()

    def examine(self) -> list[Requirement]:
        from clusters.embedded import requirements

        return [*requirements.examine(), requirements.binaries(self.missing)]

    def runs_here(self, lacking: Sequence[str]) -> str:
        return f"no: {', '.join(lacking)}" if lacking else "yes"

    def examined_before_run(self) -> bool:
        return os.environ.get("LAB_BINARIES") == "official"  # which needs skopeo

    def folders(self) -> list[Path]:
        from clusters.stacks import assembly, official

        if official.chosen():
            return [official.target(assembly.DEFAULT)]
        every = assembly.all_chosen()
        return [folder for stack in every for folder in (*stack.parts, stack.folder)]

    def missing(self) -> Mapping[Path, Cost]:
        from clusters.stacks import assembly

        if os.environ.get("LAB_BINARIES") == "official":  # fetched, which costs little
            return {}
        wanted = [stack for stack in assembly.all_chosen() if not stack.built]
        sources = [one for stack in wanted for one in stack.sets if not one.built]
        return {one.target: one.spec["build"] for one in sources}
