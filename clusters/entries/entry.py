"""What the lab asks of a kind of cluster, before and beside opening one.

Only the standard library, and no import of a cluster's code before it is asked for: `istio-lab
doctor`, `preview` and `cache-key` run before any set-up.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lab.common.errors import BadArguments

if TYPE_CHECKING:
    from clusters.base import OwnCluster
    from clusters.doctor.requirement import Requirement
    from clusters.stacks.cost import Cost


class ClusterKind(ABC):
    """A kind of cluster: all that commands, the doctor and a first start know of it."""

    name: str
    """As `Cluster.kind`, evidence and pins write it: `embedded`."""
    summary: str
    """What it is, in a phrase, for help texts."""
    made_by_lab: bool = True
    """Whether the lab starts and ends it. If so, its nodes can be looked at, and compared."""
    replayed: bool = False
    """Whether committed evidence takes the place of a cluster."""
    needs_linux: bool = True
    most_nodes: int | None = None
    """The greatest NODES= that it can have; None: any number."""

    @property
    def written(self) -> str:
        """Return what follows `--cluster`, for texts: `kind`, `context:NAME`."""
        return self.name

    def is_meant_by(self, word: str) -> bool:
        """Tell whether `--cluster word` names this kind."""
        return word == self.name

    @abstractmethod
    def open(self, word: str, name: str, nodes: int) -> OwnCluster:
        """Return the cluster, running or not.

        word: what followed `--cluster`. name: of the cluster, where the lab names it. nodes: how
        many it is to have; 0: not asked for. Raises BadArguments for what cannot be had.
        """

    @abstractmethod
    def check_stack(self, word: str, chosen: Mapping[str, str]) -> None:
        """Refuse a stack that this kind cannot be made of, before anything is started.

        chosen: ISTIO= and ENVOY= as far as they are given, by their variables. Raises
        BadArguments, or NeedsUnmet where only a registry has it.
        """

    def programs(self) -> Mapping[str, str]:
        """Return the system's programs that it runs, each with its Debian package."""
        return {}

    def examine(self) -> list[Requirement]:
        """Return what else this machine must have, each tried or measured."""
        return []

    @abstractmethod
    def runs_here(self, lacking: Sequence[str]) -> str:
        """Return `yes` or `no` and the reason, for the doctor's last lines.

        lacking: the names of the requirements that the doctor found unmet for the default kind.
        """

    def examined_before_run(self) -> bool:
        """Tell whether `make` has the doctor install what is missing before this kind is used."""
        return False

    def tested_here(self) -> bool:
        """Tell whether `make test` runs on it on this machine, and so needs its programs."""
        return False

    def folders(self) -> list[Path]:
        """Return what a first start leaves in the cache for the next one.

        Raises BadArguments where nothing is built, NeedsUnmet where apt knows no packages.
        """
        raise BadArguments(f"--cluster {self.written} keeps nothing in a cache: nothing is built")

    def missing(self) -> Mapping[Path, Cost]:
        """Return what is still to be built, by where it will be kept, with what that costs."""
        return {}

    builds: str = ""
    """What a first start builds, for `preview`."""

    def spared(self) -> str:
        """Return, as a sentence, what can spare most of a first start's building; or nothing."""
        return ""
