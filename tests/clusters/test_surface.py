"""What a stranger on this machine can reach of the lab: nothing without being let in."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import stat
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from clusters.embedded import host
from clusters.embedded.cluster import Embedded
from clusters.kind.cluster import Kind
from lab.common.wait import until
from lab.model import store


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.cluster
def test_the_embedded_clusters_kubeconfig_is_its_owners_alone(cluster: Embedded) -> None:
    assert mode(cluster.kubeconfig) == 0o600


@pytest.mark.kind
def test_the_kind_clusters_kubeconfig_is_its_owners_alone(kind_cluster: Kind) -> None:
    assert "client-key-data" in kind_cluster.kubeconfig.read_text()
    assert mode(kind_cluster.kubeconfig) == 0o600


def sockets_of(pid: int) -> set[str]:
    """Inodes of the sockets that a process holds."""
    found = set()
    with contextlib.suppress(OSError):  # it may end meanwhile
        for path in Path(f"/proc/{pid}/fd").iterdir():
            link = os.readlink(path)
            found |= {link.removeprefix("socket:[").rstrip("]")} if "socket:" in link else set()
    return found


def at_the_host(pids: list[int]) -> set[str]:
    """Where these processes listen in the host's own network namespace."""
    own = {inode for pid in pids for inode in sockets_of(pid)}
    found = set()
    for name in ("tcp", "tcp6", "udp", "udp6"):
        for line in Path(f"/proc/self/net/{name}").read_text().splitlines()[1:]:
            words = line.split()
            # TCP: state 0A is LISTEN. UDP has no such state: 07 is any that is not connected.
            if words[9] in own and words[3] in ("0A", "07"):
                found.add(f"{name} {words[1].partition(':')[0]}")
    return found


def below(pid: int) -> list[int]:
    """A process and all that descend from it."""
    return [pid, *(one for child in host.children(pid) for one in below(child))]


LOOPBACK = {"tcp 0100007F", "udp 0100007F"}


@pytest.mark.cluster
def test_a_cluster_listens_on_the_hosts_loopback_alone(cluster: Embedded) -> None:
    first = host.first_pid(cluster.state)
    assert first
    processes = below(first)
    names = {Path(f"/proc/{pid}/comm").read_text().strip() for pid in processes}
    assert {"etcd", "kube-apiserver", "pilot-discovery"} <= names, "all of it was found"
    with socket.create_server(("127.0.0.1", 0)):
        assert at_the_host([os.getpid()]) == {"tcp 0100007F"}, "what is there would be seen"
    found = at_the_host(processes)
    assert found, "its API server is reached somewhere"
    assert found <= LOOPBACK


@pytest.fixture
def jupyter(tmp_path: Path) -> Iterator[int]:
    """JupyterLab as `make lab` starts it, on a free port and without a browser; its port."""
    recipe = subprocess.run(
        ["make", "-n", "lab", f"BIN={Path(sys.executable).parent}", "-o", "env"],
        cwd=store.ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    command = next(line for line in recipe.splitlines() if "jupyter lab" in line).split()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    env = {**os.environ, "HOME": str(tmp_path), "JUPYTER_RUNTIME_DIR": str(tmp_path / "run")}
    with (tmp_path / "said").open("wb") as said:
        process = subprocess.Popen(
            [*command, "--no-browser", f"--port={port}", "--ServerApp.port_retries=0"],
            cwd=store.ROOT,
            env=env,
            stdout=said,
            stderr=said,
        )
    try:
        until(
            lambda: process.poll() is not None or answers(port),
            "JupyterLab",
            timeout=90,
            every=0.2,
        )
        assert process.poll() is None, (tmp_path / "said").read_text()
        yield port
    finally:
        process.terminate()
        process.wait(30)


def answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


def asked(url: str) -> tuple[int, str]:
    """Status and last address of a GET that follows redirects."""
    try:
        with urllib.request.urlopen(url, timeout=30) as reply:
            return reply.status, reply.url
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code, refused.url


@pytest.mark.slow
def test_jupyterlab_lets_nobody_in_without_its_token(jupyter: int, tmp_path: Path) -> None:
    here = f"http://127.0.0.1:{jupyter}"
    assert asked(f"{here}/api/contents")[0] == 403
    status, where = asked(f"{here}/lab")
    assert (status, "/login" in where) == (200, True)
    (server,) = (tmp_path / "run").glob("jpserver-*.json")
    known = json.loads(server.read_text())
    assert mode(server) == 0o600
    assert len(known["token"]) > 30
    assert asked(f"{here}/api/contents?token={known['token']}")[0] == 200
    assert known["hostname"] == "127.0.0.1"
