"""Limits of a bundle's size: a run beyond them is not packed, since it would not be unpacked."""

from __future__ import annotations

import re

FILES = 2000
"""Of all four failures, with captures, logs and configurations, 300 were seen."""
TOTAL = 128 << 20
"""Bytes of all files together; 3 MB were seen."""
PACKED = 64 << 20
"""Bytes of the archive."""
RATIO = 100
"""How many times larger a bundle may become when it is unpacked; 7 were seen."""
ALWAYS = 1 << 20
"""Bytes that every bundle may unpack to, however small it is."""
DEPTH = 8
"""Names of a path."""
NAME = re.compile(r"(?!\.)[\w.,+@=-]{1,100}", re.ASCII)
"""A file's or folder's name that every system can hold, and sha256sum needs no escape for."""


def most(packed: int) -> int:
    """Return how many bytes an archive of a size may unpack to."""
    return min(TOTAL, max(ALWAYS, RATIO * packed))
