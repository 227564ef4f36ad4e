"""How large a bundle may be. What would not be read again is not written either."""

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
"""Bytes that may come out of any bundle, however small it is."""
DEPTH = 8
"""Names of a path."""
NAME = re.compile(r"(?!\.)[\w.,+@=-]{1,100}", re.ASCII)
"""A file's or folder's name that every system can hold, and sha256sum needs no escape for."""


def most(packed: int) -> int:
    """Bytes that may come out of an archive of that size."""
    return min(TOTAL, max(ALWAYS, RATIO * packed))
