"""Where the lab runs: one small protocol, one folder or file for each kind of cluster."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from clusters.embedded.cluster import Embedded

KINDS = ("embedded",)


def open_cluster(kind: str = "auto", name: str | None = None) -> Embedded:
    """The cluster of this kind and name, running or not.

    kind: `auto` is LAB_CLUSTER, else `embedded`. name: else LAB_CLUSTER_NAME, else the
    standing one. Raises BadArguments for a kind that the lab does not have.
    """
    from lab.errors import BadArguments

    wanted = os.environ.get("LAB_CLUSTER") or "embedded" if kind == "auto" else kind
    if wanted not in KINDS:
        raise BadArguments(f"no cluster {wanted!r}; there is: {', '.join(KINDS)}")
    from clusters.embedded.cluster import STANDING, Embedded

    return Embedded(name or os.environ.get("LAB_CLUSTER_NAME") or STANDING)
