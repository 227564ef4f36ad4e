"""`make check` refuses a planted import against the layers, and a planted circle."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lab.model import store

LINT = Path(sys.executable).with_name("lint-imports")
CIRCLE = "No circle between packages, nor between files of one BROKEN"
CODE = shutil.ignore_patterns("__pycache__", "templates")


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("layers")
    for name in ("lab", "clusters"):
        shutil.copytree(store.ROOT / name, folder / name, ignore=CODE)
    shutil.copy(store.ROOT / "pyproject.toml", folder)
    return folder


def lint(folder: Path) -> tuple[int, str]:
    argv = [str(LINT), "--no-cache", "--no-logo"]
    done = subprocess.run(argv, cwd=folder, capture_output=True, text=True, env={"COLUMNS": "200"})
    return done.returncode, re.sub(r"\x1b\[[0-9;]*m", "", done.stdout + done.stderr)


def test_make_check_lints_imports() -> None:
    makefile = (store.ROOT / "Makefile").read_text()
    check = re.search(r"^check:.*\n((?:\t.*\n)+)", makefile, re.MULTILINE)
    assert check
    assert "lint-imports" in check[1]


@pytest.mark.parametrize(
    ("file", "planted", "told"),
    [
        ("lab/judge/checks/packets.py", "from lab.render import wording", "lab.judge is not allowed"),
        ("lab/planes/stats.py", "from clusters import KINDS", "lab.planes is not allowed"),
        ("clusters/mesh.py", "from lab.model import store", "clusters is not allowed"),
        ("lab/common/clock.py", "from lab.workloads import catalogue", "lab.common is not allowed"),
        ("clusters/kube.py", "from clusters.api import ApiCluster", CIRCLE),
        ("clusters/stacks/cache.py", "from clusters.stacks import binaries", CIRCLE),
    ],
)
def test_a_planted_import_is_refused(file: str, planted: str, told: str, copy: Path) -> None:
    path = copy / file
    text = path.read_text()
    # Inside a function too: an import that is late is an import.
    path.write_text(f"{text}\n\ndef planted() -> None:\n    {planted}\n")
    try:
        code, said = lint(copy)
    finally:
        path.write_text(text)
    assert code == 1, said
    assert told in said
