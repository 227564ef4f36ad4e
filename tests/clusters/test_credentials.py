"""A kubeconfig's certificates and keys lie in no file for longer than whoever reads them lives."""

from __future__ import annotations

import base64
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from lab.common import scratch
from lab.workloads.certificates import Authority

pytestmark = pytest.mark.slow  # each test starts processes and ends them

READS = """
import sys
from pathlib import Path
from clusters.kube import Kube
from clusters.remote import Remote
Kube.from_kubeconfig(Path(sys.argv[1]))
Remote(Path(sys.argv[1]))
print("read", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def key(tmp_path: Path) -> bytes:
    """The private key in `tmp_path / "config"`, a kubeconfig."""
    key, certificate = Authority("theirs").issue("theirs", uri="spiffe://theirs")
    both = {"client-certificate-data": certificate, "client-key-data": key}
    user = {name: base64.b64encode(text).decode() for name, text in both.items()}
    whole = {
        "clusters": [{"name": "there", "cluster": {"server": "https://127.0.0.1:1"}}],
        "users": [{"name": "me", "user": user}],
        "contexts": [{"name": "here", "context": {"cluster": "there", "user": "me"}}],
        "current-context": "here",
    }
    (tmp_path / "config").write_text(yaml.safe_dump(whole))
    return key


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """$TMPDIR, of this process too."""
    folder = tmp_path / "t"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr("tempfile.tempdir", None)
    return folder


@contextmanager
def reading(kubeconfig: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that has read it, and ends when its standard input does."""
    argv = [sys.executable, "-c", READS, str(kubeconfig)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stdout.readline() == b"read\n"
        yield process


def keys(folder: Path, key: bytes) -> list[Path]:
    """Files that hold it."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return [path for path in files if key.strip() in path.read_bytes()]


def test_nothing_is_left_of_who_ends(temporary: Path, tmp_path: Path, key: bytes) -> None:
    with reading(tmp_path / "config"):
        (file,) = keys(temporary, key)
        assert file.stat().st_mode & 0o077 == 0
        assert file.parent.stat().st_mode & 0o077 == 0
    assert [path for path in temporary.rglob("*") if path.is_file()] == []


def test_what_a_killed_one_leaves_goes_with_the_next_run_and_not_before(
    temporary: Path, tmp_path: Path, key: bytes
) -> None:
    with reading(tmp_path / "config") as process, reading(tmp_path / "config"):
        process.kill()
        process.wait()
        assert len(keys(temporary, key)) == 2
        scratch.sweep()
        assert len(keys(temporary, key)) == 1
    assert [path for path in temporary.rglob("*") if path.is_file()] == []
