"""What an Envoy is, from the program itself: whose build, and of which version."""

from __future__ import annotations

import mmap
import re
import subprocess
from pathlib import Path

from lab.common.errors import NeedsUnmet

OWN_FILTER = b"istio.envoy.config.filter.http.alpn.v2alpha1"
"""The type of Istio's ALPN filter: an Envoy with the filter holds its descriptor."""


def flavour(envoy: Path) -> str:
    """Return `istio` for an Envoy with Istio's own filters, `stock` for one without."""
    with envoy.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return "istio" if content.find(OWN_FILTER) >= 0 else "stock"


def version(envoy: Path) -> str:
    """Return what it says of itself: `1.38.3`. Raises NeedsUnmet where it does not run."""
    try:
        done = subprocess.run([envoy, "--version"], capture_output=True, text=True, timeout=30)
    except OSError as error:
        raise NeedsUnmet(f"the image's Envoy does not run on this machine: {error}") from None
    found = re.search(r"version: [0-9a-f]+/([^/]+)/", done.stdout)
    if found is None:
        said = (done.stderr or done.stdout).strip()
        raise NeedsUnmet(f"the image's Envoy does not run on this machine: {said}")
    return found.group(1)
