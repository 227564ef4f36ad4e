"""A set of programs that is not what was built."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from clusters.embedded.cluster import Embedded
from clusters.stacks import assembly, binaries
from lab.common.errors import LabError


@pytest.mark.cluster
def test_a_cluster_does_not_come_up_from_an_altered_binary(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of the set is linked, one small file of it copied and altered."""
    wanted = assembly.wanted("1.31").ensure(lambda _line: None).folder
    monkeypatch.setenv("LAB_CACHE", str(tmp_path))
    mine = binaries.source("1.31").target
    shutil.copytree(wanted, mine, copy_function=lambda a, b: Path(b).hardlink_to(a))
    victim = next((mine / "share").iterdir())
    data = victim.read_bytes()
    victim.unlink()
    victim.write_bytes(data + b"\n")
    cluster = Embedded(f"altered-{os.getpid()}")
    with pytest.raises(LabError, match=f"{victim.name} was changed or removed"):
        cluster.up(lambda _line: None, owned=True)
    assert not cluster.running()
    assert not cluster.state.exists()
