"""The wheel, installed where there is no checkout: what it does, and what it refuses."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from importlib import metadata
from pathlib import Path

import pytest

from lab.commands import sbom
from lab.common import places
from lab.model import store

pytestmark = pytest.mark.slow  # it is built, and starts Python for each command

SPARED = shutil.ignore_patterns(".git", ".venv", "runs", "tests", "dist", "__pycache__", ".*_cache")
WATCH = """
import sys
def watch(event, words):
    path = str(words[0]) if event == "open" else ""
    if path.startswith({checkout!r}) and not path.startswith({packages!r}):
        raise RuntimeError(f"a file of the checkout was opened: {{path}}")
sys.addaudithook(watch)
"""
REFUSED_BY_EXTRA = [["up"], ["run"], ["run", "tcp_mtls", "--cluster", "recorded"], ["table", "run"]]


def build(source: Path, into: Path, umask: int = 0o022) -> Path:
    argv = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation"]
    argv += ["--disable-pip-version-check", "-w", str(into), str(source)]
    subprocess.run(argv, check=True, umask=umask)
    (wheel,) = into.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(store.ROOT, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python that has the wheel, and of this environment what the wheel needs and no more."""
    folder = tmp_path_factory.mktemp("installed")
    venv.EnvBuilder(symlinks=True).create(folder)
    site = Path(sysconfig.get_path("purelib", "venv", {"base": str(folder)}))
    for name in sbom.needed(places.DISTRIBUTION, frozenset(), set()):
        found = metadata.distribution(name)
        for top in {file.parts[0] for file in found.files or ()} - {"..", "__pycache__"}:
            (site / top).symlink_to(Path(str(found.locate_file(top))))
    python = folder / "bin" / "python"
    argv = [sys.executable, "-m", "pip", "--python", str(python), "install", "-q", "--no-deps"]
    subprocess.run([*argv, "--disable-pip-version-check", str(wheel)], check=True)
    own = {"checkout": f"{store.ROOT}{os.sep}", "packages": sys.prefix}
    (site / "watch.py").write_text(WATCH.format(**own))
    (site / "watch.pth").write_text("import watch\n")
    return python


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the user is, with configurations of proxies and a run."""
    folder = tmp_path_factory.mktemp("home")
    (folder / "dumps").mkdir()
    for path in (store.RECORDED / "wrong_version_number" / "config").glob("posted-*.json.gz"):
        if "remedies" not in path.name:
            shutil.copy(path, folder / "dumps")
    shutil.copytree(store.RECORDED / "rest_mtls", folder / "runs" / "one" / "rest_mtls")
    return folder


def lab(python: Path, home: Path, *words: str) -> subprocess.CompletedProcess[str]:
    env = {"HOME": str(home), "PATH": "/usr/bin:/bin", "LAB_CACHE": str(home / "cache")}
    env["LAB_CLUSTER_NAME"] = "wheel"  # none that is up on this machine
    argv = [str(python.with_name("istio-lab")), *words]
    return subprocess.run(argv, cwd=home, env=env, capture_output=True, text=True)


def test_the_same_files_give_the_same_bytes(wheel: Path, tmp_path: Path) -> None:
    copy = tmp_path / "elsewhere"
    shutil.copytree(store.ROOT, copy, ignore=SPARED)
    for path in copy.rglob("*"):
        os.utime(path, (1e9, 1e9))
    again = build(copy, tmp_path, umask=0o077)
    assert again.read_bytes() == wheel.read_bytes()


def test_it_has_the_evidence_and_notebooks_and_no_test_and_is_small(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    for part in ("evidence/tcp_mtls/evidence.json", "notebooks/tcp_mtls.ipynb"):
        assert f"lab/shipped/{part}" in names
    assert not [name for name in names if "/tests/" in name or "__pycache__" in name]
    assert wheel.stat().st_size < 8_000_000


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["--version"], 0, places.version()),
        (["list"], 0, "tcp_mtls"),
        (["show", "tcp_mtls"], 0, "See it live: istio-lab run tcp_mtls"),
        (["explain", "WRONG_VERSION_NUMBER"], 0, "heals:"),
        (["judge", "recorded"], 0, "RECORDED on 20"),
        (["judge", "runs/one"], 0, "C0"),
        (["why", "recorded", "rest_mtls"], 0, "lab/shipped/evidence/rest_mtls/captures/"),
        (["table", "show"], 0, "mTLS"),
        (["cost", "show"], 0, "mTLS between two sidecars"),
        (["audit", "dumps"], 1, "HIGH"),
        (["compare", "runs/one", "runs/one"], 0, "No difference"),
        (["bundle", "runs/one", "-o", "one.tar.gz"], 0, "Next: istio-lab judge one.tar.gz"),
        (["report", "runs/one"], 0, "report/index.html"),
        (["notebooks", "mine"], 0, "pipx install --force 'istio_failure_lab-"),
        (["doctor"], 1, "MISSING  packages"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_it_answers_outside_a_checkout(
    words: list[str], code: int, told: str, python: Path, home: Path
) -> None:
    done = lab(python, home, *words)
    assert (done.returncode, done.stderr) == (code, "")
    assert told in done.stdout
    assert not (home / "cache").exists(), "nothing is built"


@pytest.mark.parametrize("words", REFUSED_BY_EXTRA, ids=" ".join)
def test_what_needs_more_packages_names_them_and_how_to_get_them(
    words: list[str], python: Path, home: Path
) -> None:
    done = lab(python, home, *words)
    assert done.returncode == 255
    for name in ("httpbin", "papermill", "-> install it with its extra, as by: pipx install"):
        assert name in done.stderr
    assert not (home / "cache").exists(), "nothing is built before it is refused"


@pytest.mark.parametrize("words", [["new", "failure", "ours"], ["record"]], ids=" ".join)
def test_what_writes_into_a_checkout_is_refused(words: list[str], python: Path, home: Path) -> None:
    done = lab(python, home, *words)
    assert done.returncode == 255
    assert f"istio-lab {words[0]} needs a checkout" in done.stderr


def test_copies_of_notebooks_have_no_link_to_files_that_are_not_copied(
    python: Path, home: Path
) -> None:
    assert lab(python, home, "notebooks", "copies").returncode == 0
    folder, notebooks = home / "copies", store.ROOT / "notebooks"
    copies = [path.relative_to(folder) for path in folder.rglob("*.ipynb")]
    assert {*copies} == {
        path.relative_to(notebooks)
        for path in notebooks.rglob("*.ipynb")
        if ".ipynb_checkpoints" not in path.parts
    }
    for path in copies:
        text = (folder / path).read_text()
        links = [link for link in re.findall(r"\]\(([^)#]*)", text) if "://" not in link]
        assert [one for one in links if not (folder / path.parent / one).exists()] == []
        cells, there = (
            json.loads(one.read_text())["cells"] for one in (folder / path, notebooks / path)
        )
        assert [cell for cell in cells if cell["cell_type"] == "code"] == [
            cell for cell in there if cell["cell_type"] == "code"
        ]
        assert len(cells) == len(there)


def test_a_notebook_that_was_changed_is_not_replaced(python: Path, home: Path) -> None:
    first, other = home / "changed" / "tcp_mtls.ipynb", home / "changed" / "rest_mtls.ipynb"
    first.parent.mkdir()
    first.write_text("{}")
    done = lab(python, home, "notebooks", "changed")
    assert done.returncode == 254
    assert "tcp_mtls.ipynb is there already, and differs" in done.stderr
    assert first.read_text() == "{}"
    assert not other.exists(), "none is written"
