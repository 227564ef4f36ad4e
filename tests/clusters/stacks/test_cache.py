"""The cache: a folder is whole or not there; one process makes it; nothing is trusted blindly."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from clusters.stacks import cache
from lab.common.errors import LabError
from lab.model import store


def quiet(_line: str) -> None:
    pass


def test_two_at_once_make_it_once_and_both_have_it(tmp_path: Path) -> None:
    made: list[int] = []
    told: list[str] = []
    begun, go_on = threading.Event(), threading.Event()

    def make(folder: Path) -> None:
        made.append(1)
        begun.set()
        go_on.wait(10)
        (folder / "file").write_text("x")

    def waiting(line: str) -> None:
        told.append(line)
        go_on.set()

    first = threading.Thread(target=cache.obtain, args=(tmp_path / "set", make, quiet))
    first.start()
    assert begun.wait(10)
    cache.obtain(tmp_path / "set", make, waiting)
    first.join()
    assert made == [1]
    assert told == ["waiting for another process that builds the same"]
    cache.verify(tmp_path / "set")


def test_one_that_fails_leaves_nothing_and_the_next_succeeds(tmp_path: Path) -> None:
    def broken(folder: Path) -> None:
        (folder / "half").write_text("x")
        raise LabError("the disk is full")

    with pytest.raises(LabError, match="disk is full"):
        cache.obtain(tmp_path / "set", broken, quiet)
    assert [path.name for path in tmp_path.iterdir()] == ["set.lock"]
    cache.obtain(tmp_path / "set", lambda folder: (folder / "a").write_text("x"), quiet)
    cache.verify(tmp_path / "set")


def test_what_a_killed_one_left_is_made_anew(tmp_path: Path) -> None:
    script = (
        "import sys, time\nfrom pathlib import Path\nfrom clusters.stacks import cache\n"
        "def make(folder):\n"
        "    (folder / 'half').write_text('x')\n"
        "    print('half', flush=True)\n"
        "    time.sleep(60)\n"
        "cache.obtain(Path(sys.argv[1]), make, lambda line: None)\n"
    )
    argv = [sys.executable, "-c", script, str(tmp_path / "set")]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, cwd=store.ROOT) as process:
        assert process.stdout
        assert process.stdout.readline() == "half\n"
        os.kill(process.pid, signal.SIGKILL)
    assert not (tmp_path / "set").exists()
    cache.obtain(tmp_path / "set", lambda folder: (folder / "a").write_text("x"), quiet)
    assert sorted(path.name for path in (tmp_path / "set").iterdir()) == ["a", "manifest.json"]


@pytest.mark.parametrize("harm", ["altered", "missing"])
def test_an_altered_file_is_noticed_and_named(harm: str, tmp_path: Path) -> None:
    cache.obtain(tmp_path / "set", lambda folder: (folder / "envoy").write_text("x"), quiet)
    path = tmp_path / "set" / "envoy"
    path.write_text("y") if harm == "altered" else path.unlink()
    with pytest.raises(LabError, match=r"envoy was changed or removed.*\n.*remove"):
        cache.verify(tmp_path / "set")


def test_gos_read_only_modules_are_removed_too(tmp_path: Path) -> None:
    folder = tmp_path / "gomodcache" / "module"
    folder.mkdir(parents=True)
    (folder / "file.go").write_text("x")
    folder.chmod(0o555)
    cache.remove(tmp_path / "gomodcache")
    assert not (tmp_path / "gomodcache").exists()


def test_the_cache_is_where_it_is_told_to_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAB_CACHE", "/one")
    monkeypatch.setenv("XDG_CACHE_HOME", "/two")
    assert cache.root() == Path("/one")
    monkeypatch.delenv("LAB_CACHE")
    assert cache.root() == Path("/two/istio-failure-lab")


def test_what_nobody_asked_for_in_a_month_goes_when_something_new_is_made(tmp_path: Path) -> None:
    def make(folder: Path) -> None:
        (folder / "file").write_text("x")

    for name in ("forgotten", "asked-for"):
        cache.obtain(tmp_path / name, make, quiet)
        os.utime(tmp_path / name / cache.MANIFEST, (1, 1))
    cache.obtain(tmp_path / "asked-for", make, quiet)
    cache.obtain(tmp_path / "new", make, quiet)
    there = {path.name for path in tmp_path.iterdir() if path.is_dir()}
    assert there == {"asked-for", "new"}


@pytest.mark.parametrize(("days", "stays"), [(4, True), (6, False)])
def test_compiled_packages_go_when_nothing_was_built_for_five_days(
    days: int, stays: bool, tmp_path: Path
) -> None:
    def make(folder: Path) -> None:
        (folder / "file").write_text("x")

    cache.obtain(tmp_path / "set", make, quiet)
    mark = tmp_path / cache.COMPILED / "trim.txt"  # Go's own
    mark.parent.mkdir()
    mark.touch()
    long_ago = time.time() - days * 86400
    os.utime(mark, (long_ago, long_ago))
    cache.obtain(tmp_path / "set", make, quiet)
    assert mark.exists() == stays
