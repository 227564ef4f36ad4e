"""A container runtime that asks for less: runc, but for one capability that this host lacks.

Docker before 20.10.10 asks for every capability the kernel knows when a container is privileged,
and runc fails where the host's bounding set lacks one (https://github.com/moby/moby/issues/42906).
Started by the engine in runc's place, this takes that capability out of what is asked for.
"""

from __future__ import annotations

import itertools
import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

LACKING = "CAP_SYS_RESOURCE"


def main(argv: list[str]) -> None:
    """Strip the capability from a bundle's or an exec's specification; then become runc."""
    options = dict(itertools.pairwise(argv))
    if "exec" in argv:
        wanted = options.get("--process") or options.get("-p")
    else:
        bundle = options.get("--bundle") or options.get("-b")
        wanted = f"{bundle}/config.json" if bundle else None
    if wanted and {"create", "run", "exec"} & set(argv):
        path = Path(wanted)
        spec = json.loads(path.read_text())
        _strip(spec if "capabilities" in spec else spec.get("process", {}))
        path.write_text(json.dumps(spec))
    runc = shutil.which("runc") or "/usr/sbin/runc"
    os.execv(runc, ["runc", *argv])  # noqa: S606  (runc takes this process over)


def _strip(process: dict[str, Any]) -> None:
    for names in (process.get("capabilities") or {}).values():
        if LACKING in names:
            names.remove(LACKING)


if __name__ == "__main__":
    main(sys.argv[1:])
