"""Committed evidence in a cluster's place: it is judged again, and nothing runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from clusters.entries.entry import ClusterKind
from clusters.entries.unmade import refuse_stack
from lab.common.errors import BadArguments

if TYPE_CHECKING:
    from clusters.base import OwnCluster


class RecordedKind(ClusterKind):
    """Entry of recorded evidence, which needs no cluster."""

    name = "recorded"
    summary = "no cluster: the evidence in evidence/ is judged again"
    made_by_lab = False
    replayed = True
    needs_linux = False

    def open(self, word: str, name: str, nodes: int) -> OwnCluster:
        raise BadArguments(
            "recorded evidence needs no cluster, so there is none to open",
            hint="istio-lab run --cluster recorded",
        )

    def check_stack(self, word: str, chosen: Mapping[str, str]) -> None:
        refuse_stack(word, chosen)

    def runs_here(self, lacking: Sequence[str]) -> str:
        return "yes, always"
