"""What happens seldom: all failures twenty times in a row, and twenty times as much fuzzing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from clusters.embedded.cluster import Embedded
from lab.model import store

TIMES = 20
pytestmark = [pytest.mark.long, pytest.mark.timeout(7200)]


@pytest.mark.cluster
def test_all_failures_are_as_pinned_twenty_times_in_a_row(
    cluster: Embedded, tmp_path: Path
) -> None:
    env = {**os.environ, "LAB_CLUSTER_NAME": cluster.name, "LAB_RUNS": str(tmp_path)}
    argv = [sys.executable, "-m", "lab", "run", "--cluster", "embedded"]
    for time in range(1, TIMES + 1):
        done = subprocess.run(argv, cwd=store.ROOT, env=env, capture_output=True, text=True)
        assert done.returncode == 0, f"run {time} of {TIMES}: {done.stdout}{done.stderr}"


def test_fuzzing_with_other_examples_finds_nothing() -> None:
    """LAB_FUZZ makes the examples random, and that many times as many."""
    env = {**os.environ, "LAB_FUZZ": os.environ.get("LAB_FUZZ") or str(TIMES)}
    argv = [sys.executable, "-m", "pytest", "-q", "tests/fuzz", "--timeout=0"]
    done = subprocess.run(argv, cwd=store.ROOT, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr
