"""The consoles that Kiali's project published, fetched at first use and checked by their hash."""

from __future__ import annotations

import base64
import hashlib
import tarfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from clusters.stacks import cache
from lab.common import shell
from lab.common.errors import BadArguments, LabError
from lab.planes.kiali import BEFORE_TCP, WITH_TCP, Generation

PACKAGE = "@kiali/kiali-ui"
"""Apache-2.0; a build of the console, and no server."""


@dataclass(frozen=True)
class Console:
    """One published console, and the rules by which its server filled the graph."""

    version: str
    integrity: str
    """SHA-512 of the archive, in base64, as npm has it."""
    rules: Generation
    options: str
    """Of the graph's address: no labels of rates, nothing that is idle."""
    settings: str
    """The element that opens the graph's display settings."""
    security: str
    """The check box of its Security display."""
    closed: str
    """The character of its closed lock."""
    open: str
    """The character of its open lock."""

    @property
    def caption(self) -> str:
        return f"Kiali's real console {self.version}, modelled backend ({self.rules.name})"


_THEN = "edges=noEdgeLabels&injectServiceNodes=false&pi=0&unusedNodes=false"
_LATER = "edges=noLabel&injectServiceNodes=false&refresh=0&idleEdges=false&idleNodes=false"
CONSOLES: Mapping[str, Console] = {
    "1.0": Console(
        "1.0.7",
        "e3GwncftsqBp1ROTYHPZT9Ikvdomm0+LvzSr/4wlV5A/LlYRdG0BK07146mlPdlis5Mx8Dy8DoUHuLJPuDYL8w==",
        BEFORE_TCP,
        _THEN,
        "#graph_settings",
        "#filterSecurity input, input#filterSecurity",
        "\ue923",
        "\uf09c",
    ),
    "1.6": Console(
        "1.6.0",
        "MMAwhK4PmIxwywoIs9JEtLdLyucLGybq/C0AfSmy+KontR9RQEYw4u7FZVekP0mYbcDvEn2xk2lWHyMlJ3oLhQ==",
        WITH_TCP,
        _THEN,
        "#graph_settings",
        "#filterSecurity input, input#filterSecurity",
        "\ue923",
        "\uf09c",
    ),
    "1.31": Console(
        "1.31.0",
        "D3MKdvDhaHItaMzbx8EeqXO1FDFWklhk5xJdb0ztcEEsZ7kNcv2tmK14LLiX3JfqE8qc908or9Z2PX+qR3DIDg==",
        WITH_TCP,
        _LATER,
        "#display-settings",
        "#filterSecurity",
        "\ue02a",
        "\ue065",
    ),
}
"""By the generation that a person names. The lock rule of 1.0.7, whose graph code is that of 1.0.0
of June 2019, is that of 0.20, which the post's Istio came with; no console of that one was
published. 1.31.0 asks for locks as 1.6.0 does."""


def named(generation: str) -> Console:
    """Return a console. Raises BadArguments for a generation that there is none of."""
    if generation not in CONSOLES:
        raise BadArguments(
            f"no generation {generation!r} of Kiali's console", hint=f"known: {', '.join(CONSOLES)}"
        )
    return CONSOLES[generation]


def obtain(console: Console, progress: Callable[[str], None]) -> Path:
    """Return the folder of a console's files; fetch and check them at first use.

    Raises NeedsUnmet where there is no npm, CommandFailed where it cannot fetch, LabError where the
    archive is not the one that is pinned.
    """
    folder = cache.root() / f"kiali-console-{console.version}"
    cache.obtain(folder, lambda place: _fetch(console, place), progress)
    return folder / "package" / "build"


def _fetch(console: Console, place: Path) -> None:
    argv = ["npm", "pack", f"{PACKAGE}@{console.version}", "--silent"]
    shell.run(argv, cwd=place, hint="npm fetches Kiali's console; on Debian: apt-get install npm")
    archive = next(place.glob("*.tgz"))
    found = base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
    if found != console.integrity:
        raise LabError(f"{archive.name} is not the archive that the lab pins: its hash is {found}")
    with tarfile.open(archive) as packed:
        wanted = [one for one in packed if not one.name.endswith(".map")]
        packed.extractall(place, wanted, filter="data")
    archive.unlink()
