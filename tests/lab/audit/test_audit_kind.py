"""An audit of a kind cluster: causes found with their objects, live and of a bug report."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import audited_meshes
import pytest
from audited_meshes import WORLDS

from clusters.kind.cluster import Kind
from lab.model import store

pytestmark = [pytest.mark.kind, pytest.mark.long, pytest.mark.timeout(900)]


def test_each_worlds_cause_is_found_and_a_bug_report_gives_the_same_findings(
    kind_cluster: Kind, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAB_CLUSTER_NAME", kind_cluster.name)
    with audited_meshes.deployed(kind_cluster) as namespaces:
        words = [word for one in namespaces.values() for word in ("-n", one)]
        live = audited(tmp_path / "live.json", "--cluster", "kind", *words)
        archived = audited(
            tmp_path / "archive.json",
            str(audited_meshes.bug_report(kind_cluster, tmp_path)),
            *words,
        )
    posted, numbered, scoped = (namespaces[one] for one in WORLDS)
    found = {(one["rule"], one["about"]) for one in live["findings"]}
    assert {
        ("tls-to-none", f"excluded.{posted}:8000"),
        ("port-number-of-service", f"httpbin.{numbered}:8000"),
        ("plaintext-accepted", f"{numbered}/httpbin"),
        ("passed-through", f"httpbin.{scoped}:8000"),
    } <= found
    assert live["not_read"] == []
    assert archived["findings"] == live["findings"]


def audited(file: Path, *words: str) -> dict[str, Any]:
    """What an audit says, which finds something; its helpers on nodes end with its process."""
    argv = [sys.executable, "-m", "lab", "audit", "--json", str(file), *words]
    done = subprocess.run(argv, cwd=store.ROOT, capture_output=True, text=True)
    assert done.returncode == 1, done.stdout + done.stderr
    told: dict[str, Any] = json.loads(file.read_text())
    return told
