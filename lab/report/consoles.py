"""Pictures of a run's graph by Kiali's console, as the page has them: within it, nothing beside."""

from __future__ import annotations

import base64
from dataclasses import dataclass


@dataclass(frozen=True)
class ConsolePicture:
    """One console's picture of a run's graph."""

    png: bytes
    caption: str
    locks: str
    """What can be seen in it, in words: `client -> httpbin: closed lock; ...`."""

    @property
    def address(self) -> str:
        """Return it as the address of an image."""
        return f"data:image/png;base64,{base64.b64encode(self.png).decode()}"
