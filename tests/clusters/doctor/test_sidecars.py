"""How many sidecars fit on a machine at a time."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from clusters.doctor import machine, sidecars


def proc(folder: Path, limit: int, *held: int) -> Path:
    """Make what /proc would tell: the limit, and one process for each number of instances."""
    (folder / "sys/fs/inotify").mkdir(parents=True)
    (folder / "sys/fs/inotify/max_user_instances").write_text(f"{limit}\n")
    for process, instances in enumerate(held, 100):
        files = folder / str(process) / "fd"
        files.mkdir(parents=True)
        for number in range(instances):
            (files / str(number)).symlink_to("anon_inode:inotify")
        (files / "99").symlink_to("anon_inode:[eventpoll]")
    return folder


@pytest.fixture(autouse=True)
def ordinary_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "is_root", lambda: False)


def test_what_is_held_already_does_not_fit_any_more(tmp_path: Path) -> None:
    assert sidecars.free_instances(0, proc(tmp_path, 128, 3, 5)) == 120
    assert sidecars.free_instances(20, tmp_path) == 100
    assert sidecars.room(110, 0, tmp_path) <= 60


def test_the_nodes_pods_limit_the_room_too(tmp_path: Path) -> None:
    assert sidecars.room(7, 0, proc(tmp_path, 128)) == 7
    assert sidecars.room(-1, 0, tmp_path) == 0


def test_cores_limit_the_room_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0})
    assert sidecars.room(110, 0, proc(tmp_path, 128)) == sidecars.PODS_OF_CORE


def test_of_roots_sidecars_only_their_own_user_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "is_root", lambda: True)
    monkeypatch.setattr(sidecars, "UID", os.getuid() + 1)
    assert sidecars.free_instances(0, proc(tmp_path, 128, 3)) == 128
    monkeypatch.setattr(sidecars, "UID", os.getuid())
    assert sidecars.free_instances(0, tmp_path) == 125


def test_the_doctor_tells_how_many_fit(tmp_path: Path) -> None:
    found = sidecars.examine(10, 0, proc(tmp_path, 128))
    assert found.good
    assert found.told.startswith("64 more fit, a failure needs up to 10")
    assert not found.ways


def test_where_too_few_fit_it_names_the_command_that_raises_the_limit(tmp_path: Path) -> None:
    found = sidecars.examine(10, 40, proc(tmp_path, 60, 10))
    assert not found.good
    assert found.told.startswith("5 more fit")
    assert "sudo sysctl -w fs.inotify.max_user_instances=1024" in found.ways[0]


def test_where_the_kernel_does_not_tell_it_is_no_reason_to_stop(tmp_path: Path) -> None:
    assert sidecars.examine(10, 0, tmp_path).good
    assert sidecars.room(20, 0, tmp_path) <= 20
