"""What the doctor says of this machine's amounts."""

from __future__ import annotations

from pathlib import Path

from clusters.doctor import machine


def limit(proc: Path, instances: int) -> Path:
    (proc / "fs" / "inotify").mkdir(parents=True)
    (proc / "fs" / "inotify" / "max_user_instances").write_text(f"{instances}\n")
    return proc


def test_it_tells_how_many_sidecars_fit(tmp_path: Path) -> None:
    found = machine.sidecars(30, limit(tmp_path, 128))
    assert found.good
    assert found.told.startswith("42 fit at a time, 30 needed")
    assert not found.ways


def test_where_too_few_sidecars_fit_it_names_the_command_that_raises_the_limit(
    tmp_path: Path,
) -> None:
    found = machine.sidecars(30, limit(tmp_path, 60))
    assert not found.good
    assert found.told.startswith("20 fit at a time")
    assert "sysctl -w fs.inotify.max_user_instances=1024" in found.ways[0]


def test_where_the_kernel_does_not_tell_it_is_no_reason_to_stop(tmp_path: Path) -> None:
    assert machine.sidecars(30, tmp_path).good
