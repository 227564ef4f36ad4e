"""The lab's own images: one content for all workloads, and a start for each."""

from __future__ import annotations

import re
import sys
import tarfile
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

from clusters.kind.archive import Image, Layer, layer
from lab.common import places, shell
from lab.workloads.catalogue import CATALOGUE

TOOLS = Path(__file__).parents[2] / "lab" / "workloads" / "tools"
LOCK = places.ROOT / "requirements.lock"
IN_PODS = ("tcp-echo", "istio-echo", "istio-echo-client", "grpcbin", "grpcurl", "lab-capture")
IN_PYTHON = ("httpbin", "gunicorn", "h2")
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def workloads(pod: Layer, bin_of: Callable[[str], Path], work: Path) -> list[Image]:
    """Return the lab's own images: one content, a start for each name in the catalogue."""
    site = _site_packages(_python_of(pod.path), work / "site")
    start = "#!/usr/bin/python3\nfrom gunicorn.app.wsgiapp import run\n\nrun()\n"
    script = work / "gunicorn"
    script.write_text(start)
    script.chmod(0o755)
    files: dict[str, Path | str | bytes] = {
        "/opt/lab/tools": TOOLS,
        "/opt/lab/site": site,
        "/opt/lab/bin/gunicorn": script,
        **{f"/opt/lab/bin/{name}": bin_of(name) for name in IN_PODS},
    }
    own = layer(files, work / "lab.layer.tar")
    env = {"PATH": f"/opt/lab/tools:/opt/lab/bin:{PATH}", "PYTHONPATH": "/opt/lab/site"}
    return [
        Image(
            f"docker.io/{image.name}:1",
            (pod, own),
            image.command,
            str(image.uid),
            {**env, **image.env},
        )
        for image in CATALOGUE.values()
    ]


def _site_packages(python: str, into: Path) -> Path:
    """Install what the workloads need for the image's Python, by the lock's versions and hashes."""
    from packaging.requirements import Requirement

    wanted, waiting = set(), [*IN_PYTHON]
    while waiting:
        name = waiting.pop()
        if name in wanted:
            continue
        wanted.add(name)
        needed = map(Requirement, metadata.requires(name) or [])
        here = (n for n in needed if n.marker is None or n.marker.evaluate({"extra": ""}))
        waiting.extend(n.name.lower() for n in here)
    blocks = re.findall(r"^[\w.-]+==(?:.*\\\n)*.*\n", LOCK.read_text(), re.MULTILINE)
    pins = into.with_suffix(".txt")
    pins.write_text("".join(b for b in blocks if b.partition("==")[0].lower() in wanted))
    argv = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--require-hashes"]
    argv += ["--disable-pip-version-check", "--only-binary=:all:", "--target", str(into)]
    argv += ["--python-version", python, "--implementation", "cp", "-r", str(pins)]
    shell.run(argv, cwd=into.parent)
    return into


def _python_of(rootfs: Path) -> str:
    """Return 3.11 where the root file system has usr/bin/python3.11."""
    with tarfile.open(rootfs) as archive:
        for name in archive.getnames():
            if found := re.fullmatch(r"\.?/?usr/bin/python(3\.\d+)", name):
                return found.group(1)
    raise AssertionError("no Python in the pod's root file system")
