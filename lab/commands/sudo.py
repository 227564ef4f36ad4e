"""Under sudo: what was made belongs to the person, not to root."""

from __future__ import annotations

import os
from pathlib import Path

from lab.model import store


def give_back() -> None:
    """Give runs/ and .venv to the user who called sudo; do nothing without sudo."""
    uid, gid = os.environ.get("SUDO_UID"), os.environ.get("SUDO_GID")
    if os.getuid() or not uid:
        return
    for top in (store.runs(), store.ROOT / ".venv"):
        for folder, _, files in os.walk(top):
            for path in [Path(folder), *(Path(folder) / name for name in files)]:
                os.chown(path, int(uid), int(gid or uid), follow_symlinks=False)
