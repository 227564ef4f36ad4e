"""What it takes to install the wheel and to audit with it: time, CPU time, disk. See install.json.

`make wheel` first, then `python benchmarks/install.py`. Each round is a new environment, and pip
fetches all packages anew. CPU time says more than time where other work runs beside it: the
machine's load is kept beside each round.
"""

from __future__ import annotations

import json
import os
import platform
import resource
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from datetime import UTC, datetime
from pathlib import Path

from lab.model import store

ROUNDS = 3
KEPT = Path(__file__).with_suffix(".json")
AUDITED = store.RECORDED / "wrong_version_number" / "config"


def timed(argv: list[str], codes: tuple[int, ...] = (0,), **env: str) -> dict[str, float]:
    """Run a command; its seconds, and the CPU time of it and of all that it started."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    done = subprocess.run(argv, env={**os.environ, **env}, stdout=subprocess.DEVNULL)
    assert done.returncode in codes, argv
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"seconds": round(time.monotonic() - began, 1), "cpu_seconds": round(cpu, 1)}


def megabytes(folder: Path) -> float:
    sizes = (path.lstat().st_size for path in folder.rglob("*") if path.is_file())
    return round(sum(sizes) / 1e6, 1)


def installed(wheel: Path, extra: str) -> dict[str, object]:
    """Install into a new environment with pip, and audit a folder of dumps with it."""
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as place:
        environment, dumps = Path(place) / "env", Path(place) / "dumps"
        dumps.mkdir()
        for path in AUDITED.glob("posted-*.json.gz"):
            if "remedies" not in path.name:
                shutil.copy(path, dumps)
        made = timed([sys.executable, "-m", "venv", str(environment)])
        pip = [str(environment / "bin" / "pip"), "install", "-q", "--no-cache-dir"]
        taken = timed([*pip, "--disable-pip-version-check", f"{wheel}{extra}"])
        audit = [str(environment / "bin" / "istio-lab"), "audit", str(dumps)]
        first = timed(audit, (1,), HOME=place)
        packages = len([*environment.glob("lib/*/site-packages/*.dist-info")])
        return {
            "load_before": round(load, 1),
            "venv": made,
            "pip_install": taken,
            "first_audit": first,
            "packages": packages,
            "megabytes": megabytes(environment),
        }


def main() -> None:
    (wheel,) = (store.ROOT / "dist").glob("*.whl")
    parts = zipfile.ZipFile(wheel).infolist()
    evidence = [part for part in parts if part.filename.startswith("lab/shipped/evidence/")]
    found = {
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "machine": f"{os.cpu_count()} cores, Linux {platform.release()}",
        "python": platform.python_version(),
        "wheel_megabytes": round(wheel.stat().st_size / 1e6, 1),
        "wheel_unpacked_megabytes": round(sum(part.file_size for part in parts) / 1e6, 1),
        "of_it_evidence_megabytes": round(sum(part.compress_size for part in evidence) / 1e6, 1),
        "wheel": [installed(wheel, "") for _ in range(ROUNDS)],
        "wheel_with_its_extra": [installed(wheel, "[lab]")],
    }
    KEPT.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
