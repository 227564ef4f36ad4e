"""A proxy's configuration as it was read at one moment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lab.planes import config


@dataclass(frozen=True)
class Configuration:
    """What istiod sent to a proxy."""

    view: config.View
    """The part that concerns a world's Services: what is waited for."""
    dump: Mapping[str, Any]
    """All of it."""
