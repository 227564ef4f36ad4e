"""What `image:` means here: a name in the lab's catalogue, or one of Istio's own."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path

from clusters.embedded.settings import PROXY_UID, Settings
from lab.workloads.catalogue import CATALOGUE

TOOLS = "/opt/lab/tools"
BINARIES = "/opt/lab/bin"
PROGRAMS = "/opt/lab/programs"
"""Of a module set that is built at first use."""


@dataclass(frozen=True)
class Rootfs:
    """What an image puts into a container, and runs."""

    entrypoint: tuple[str, ...]
    uid: int
    binds: tuple[tuple[str, str], ...]
    """(path outside, path inside), read-only."""
    env: dict[str, str] = field(default_factory=dict)


class Images:
    """The images that this cluster offers."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._python = _python_binds()

    def names(self) -> list[str]:
        return sorted([*CATALOGUE, "proxyv2"])

    def find(self, image: str) -> Rootfs | None:
        """Return the content of an image name, its tag or digest aside; None when not offered."""
        name = image.partition("@")[0]
        name = name.rsplit(":", 1)[0] if ":" in name.rsplit("/", 1)[-1] else name
        if name.rsplit("/", 1)[-1] == "proxyv2":
            return self._proxy()
        known = CATALOGUE.get(name)
        if known is None:
            return None
        venv_bin = str(Path(sys.prefix) / "bin")
        tools = Path(__file__).parents[3] / "lab" / "workloads" / "tools"
        path = f"{TOOLS}:{venv_bin}:{BINARIES}:/usr/sbin:/usr/bin:/sbin:/bin"
        binds = [*self._python, (str(tools), TOOLS), (self._settings.bin, BINARIES)]
        programs = self._settings.module_sets.get(known.programs, "")
        if programs and Path(programs).exists():
            path = f"{PROGRAMS}:{path}"
            binds.append((programs, PROGRAMS))
        return Rootfs(known.command, known.uid, tuple(binds), {"PATH": path, **known.env})

    def _proxy(self) -> Rootfs:
        template = "/var/lib/istio/envoy/envoy_bootstrap_tmpl.json"
        bootstrap = str(next(Path(self._settings.share).rglob("envoy_bootstrap.json")))
        return Rootfs(
            ("/usr/local/bin/pilot-agent",),
            PROXY_UID,
            # Istio's image has its two programs here, and the default binaryPath says so.
            ((self._settings.bin, "/usr/local/bin"), (bootstrap, template)),
            {"PATH": "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "ISTIO_BOOTSTRAP": template},
        )

    def refused(self, image: str) -> str:
        """Return the message of a container that waits with reason ImageNotOffered."""
        return (
            f"image {image!r} is not offered by the embedded cluster, which has no registry; "
            f"it offers {', '.join(self.names())} (any tag)"
        )


def _python_binds() -> tuple[tuple[str, str], ...]:
    """Return the venv and its base interpreter at their own paths: a venv knows its own by path."""
    prefixes = dict.fromkeys([sys.base_prefix, sys.prefix])
    return tuple((path, path) for path in prefixes if not path.startswith("/usr"))
