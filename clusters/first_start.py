"""What a first start of each kind of cluster makes and keeps: where, under which key, at what cost.

Only the standard library: a CI job asks before anything is set up.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from clusters import CONTEXT, KINDS, RECORDED
from clusters.kind import images
from clusters.kind import official as on_kind
from clusters.stacks import assembly, cache, official
from lab.common.errors import BadArguments, NeedsUnmet

STACK = assembly.DEFAULT
"""Of kind's images, and of what has no official one."""
IMAGES = {"minutes": 2.5, "gigabytes_needed": 4.0, "gigabytes_kept": 3.4}
"""Of kind's built images, as archives and in the engine; measured, see benchmarks/."""


def folders(cluster: str) -> list[Path]:
    """What a first start leaves for the next; of several kinds: `embedded,kind`.

    Where it is left to a registry whether kind's images are fetched or built, all are named.
    Raises BadArguments for a cluster that nothing is built for, NeedsUnmet for kind's built
    images where apt knows no packages.
    """
    named: dict[Path, None] = {}
    for kind in kinds(cluster):
        if kind not in KINDS:
            nothing = kind == RECORDED or kind.startswith(CONTEXT)
            why = "nothing is built for it" if nothing else f"there is {', '.join(KINDS)}"
            raise BadArguments(f"cluster {kind!r} has no cache: {why}")
        named |= dict.fromkeys(_of_kind() if kind == "kind" else _of_embedded())
    return list(named)


def key(cluster: str) -> str:
    """A name that is another one exactly when something else would be built: for a CI's cache."""
    names = [folder.name.encode() for folder in folders(cluster)]
    return f"istio-failure-lab-{cache.key(*names)}"


def cost(cluster: str) -> dict[str, float]:
    """Minutes on two cores, and gigabytes, of what is still to be built; empty where nothing is.

    One set is built after the other: the largest alone decides how much room it takes.
    """
    missing: dict[Path, Mapping[str, Any]] = {}
    for kind in kinds(cluster):
        missing |= _missing(kind)
    if not missing:
        return {}
    total = {name: sum(one[name] for one in missing.values()) for name in IMAGES}
    return total | {"gigabytes_needed": max(one["gigabytes_needed"] for one in missing.values())}


def kinds(cluster: str) -> list[str]:
    """What `--cluster` names; `auto` is LAB_CLUSTER, else embedded."""
    auto = os.environ.get("LAB_CLUSTER") or "embedded"
    return [auto if word == "auto" else word for word in cluster.split(",")]


def _of_embedded() -> list[Path]:
    if official.chosen():
        return [official.target(STACK)]
    every = assembly.all_chosen()
    return [folder for stack in every for folder in (*stack.parts, stack.folder)]


def _of_kind() -> list[Path]:
    wanted = os.environ.get("LAB_IMAGES", "")
    fetched = [] if wanted == "built" else [_fetched().folder]
    if wanted == "official":
        return fetched
    return [*fetched, *(source.target for source in images.sources(STACK)), _built().folder]


def _built() -> images.Built:
    return images.Built(images.Programs.of(STACK), _silent)


def _fetched() -> on_kind.Official:
    return on_kind.Official(STACK, _silent)


def _missing(kind: str) -> dict[Path, Mapping[str, Any]]:
    """Where something is still to be built, and what it costs. What is fetched costs little."""
    if kind == "embedded" and os.environ.get("LAB_BINARIES") != "official":
        wanted = [stack for stack in assembly.all_chosen() if not stack.built]
        sources = [one for stack in wanted for one in stack.sets]
    elif kind == "kind" and not _images_are_fetched():
        sources = images.sources(STACK)
    else:
        return {}
    missing = {one.target: one.spec["build"] for one in sources if not one.built}
    pictures = _kept_images() if kind == "kind" else None
    return missing | ({pictures: IMAGES} if pictures and not pictures.exists() else {})


def _images_are_fetched() -> bool:
    try:
        there = _fetched().folder.exists()
    except NeedsUnmet:
        there = False
    return there or os.environ.get("LAB_IMAGES") == "official"


def _kept_images() -> Path:
    """Where kind's built images are kept; nowhere yet, where apt knows no packages."""
    try:
        return _built().folder
    except NeedsUnmet:
        return cache.root() / "images-none"


def _silent(_line: str) -> None:
    pass
