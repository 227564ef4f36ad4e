"""A cluster that is there already, by a context of the user's kubeconfig."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from clusters.base import CONTEXT
from clusters.entries.entry import ClusterKind
from clusters.entries.unmade import refuse_stack

if TYPE_CHECKING:
    from clusters.base import OwnCluster


class ExistingKind(ClusterKind):
    """Entry of clusters that the lab did not create."""

    name = "existing"
    summary = "a cluster of yours that has Istio, by your kubeconfig"
    made_by_lab = False
    needs_linux = False

    @property
    def written(self) -> str:
        return f"{CONTEXT}NAME"

    def is_meant_by(self, word: str) -> bool:
        return word.startswith(CONTEXT)

    def open(self, word: str, name: str, nodes: int) -> OwnCluster:
        from clusters.existing import Existing

        return Existing(word.removeprefix(CONTEXT))

    def check_stack(self, word: str, chosen: Mapping[str, str]) -> None:
        refuse_stack(word, chosen)

    def runs_here(self, lacking: Sequence[str]) -> str:
        return "yes, where your kubeconfig reaches a cluster that has Istio"
