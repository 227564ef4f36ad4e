"""The mesh's lock: runs share it, and a change of the whole mesh is made alone."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from lab.common.errors import TimedOut
from lab.record import mesh_lock
from lab.record.mesh_lock import MeshLock


def test_runs_share_the_mesh_and_a_change_waits_for_all_of_them(tmp_path: Path) -> None:
    path = tmp_path / "mesh.lock"
    one, other, changing = MeshLock(path), MeshLock(path), MeshLock(path)
    one.share()
    other.share()
    order: list[str] = []

    def change() -> None:
        with changing.alone():
            order.append("changed")

    thread = threading.Thread(target=change)
    thread.start()
    thread.join(0.4)
    assert thread.is_alive()
    order.append("one released")
    one.release()
    thread.join(0.4)
    assert thread.is_alive()
    order.append("other released")
    other.release()
    thread.join(10)
    assert order == ["one released", "other released", "changed"]


def test_a_run_that_comes_while_the_mesh_is_changed_waits(tmp_path: Path) -> None:
    path = tmp_path / "mesh.lock"
    late = MeshLock(path)
    with MeshLock(path).alone():
        thread = threading.Thread(target=late.share)
        thread.start()
        thread.join(0.4)
        assert thread.is_alive()
    thread.join(10)
    assert not thread.is_alive()
    late.release()


def test_who_waits_too_long_is_told_for_what(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mesh_lock, "PATIENCE", 0.3)
    path = tmp_path / "mesh.lock"
    MeshLock(path).share()
    with pytest.raises(TimedOut, match="other runs on this cluster to end"), MeshLock(path).alone():
        pass
