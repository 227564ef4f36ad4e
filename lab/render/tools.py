"""Shows what istioctl said of a failure's worlds, where it was asked."""

from __future__ import annotations

from lab.model.evidence import Evidence

SILENT = ("nothing, but for the lab's own Service",)
TITLE = "What istioctl says, on which no verdict rests"


def lines(evidence: Evidence, only: str = "") -> list[str]:
    """Return each command as it was typed, with its answer below; nothing where none was asked.

    only: a world; empty: all of them.
    """
    told = [
        line
        for world in evidence.worlds.values()
        if only in ("", world.name)
        for asked in world.tools
        for line in (f"  $ {asked.typed}", *(f"    {said}" for said in asked.said or SILENT))
    ]
    return [TITLE, *told] if told else []
