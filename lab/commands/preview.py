"""`istio-lab preview`: what a first start costs. Only the standard library."""

from __future__ import annotations

import argparse

from clusters import first_start
from clusters.stacks import cache
from lab import failures
from lab.commands import show
from lab.commands.arguments import add_cluster
from lab.common import places
from lab.common.text import terminal_width


def add(parser: argparse.ArgumentParser) -> None:
    """Take `--cluster`."""
    add_cluster(parser, several=True)


def run(options: argparse.Namespace) -> int:
    """Print the preview, or nothing where nothing is to be built."""
    told = preview(terminal_width(), options.cluster)
    if told:
        print(told)
    return 0


def preview(width: int, clusters: str = "auto") -> str:
    """Return what a run will first build, at what cost, and the recorded table for the meantime.

    clusters: what follows `--cluster`. Returns nothing where nothing is to be built.
    """
    cost = first_start.cost(clusters)
    if not cost:
        return ""
    undone = "remove that folder" if places.INSTALLED else "make clean, and remove that folder"
    building = [kind for kind in first_start.kinds(clusters) if kind.missing()]
    return "\n".join(
        [
            *(f"This first start builds {kind.builds}." for kind in building),
            f"It takes about {cost['minutes']:.0f} minutes on two cores, "
            f"{cost['gigabytes_needed']:.0f} GB of disk while it builds, and "
            f"{cost['gigabytes_kept']:.1f} GB kept in {cache.root()}.",
            *(line for kind in building if (line := kind.spared())),
            f"To undo it: {undone}. Meanwhile, this was recorded before:",
            "",
            show.table(failures.names(), width),
            "",
        ]
    )
