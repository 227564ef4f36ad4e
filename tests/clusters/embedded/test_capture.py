"""What a capture says where it, or the cluster below it, ends before its time."""

from __future__ import annotations

import os
import signal
import socket
import threading
from pathlib import Path

import pytest
from kubectl import Kubectl
from listing import process_of

from clusters.base import PodRef
from clusters.embedded.channel import Channel
from clusters.embedded.cluster import Embedded
from lab.common.errors import ClusterGone, LabError, TimedOut
from lab.common.wait import until
from lab.model.scenario import World
from lab.record import readiness
from lab.record.world import LiveWorld


@pytest.fixture
def pod(kubectl: Kubectl, namespace: str) -> PodRef:
    """A pod that does nothing."""
    idle = ["--image=lab/client", "--command", "--", "sleep", "1000"]
    kubectl("run", "idle", f"-n={namespace}", *idle)
    kubectl("wait", "--for=condition=Ready", "pod/idle", f"-n={namespace}")
    return PodRef(namespace, "idle", "", ("idle",))


@pytest.mark.cluster
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_capture_that_ended_before_it_was_to_is_none(
    number: signal.Signals, cluster: Embedded, pod: PodRef, tmp_path: Path
) -> None:
    capture = cluster.capture(pod, "eth0", "tcp port 4711", tmp_path / "eth0.pcap")
    os.kill(process_of(cluster, "tcpdump", "port 4711"), number)
    until(capture._ended, "tcpdump to end", timeout=10)
    with pytest.raises(LabError, match=r"tcpdump .* before it was asked to"):
        capture.stop()


@pytest.mark.cluster
def test_a_container_that_was_started_again_is_told_once_and_with_its_code(
    cluster: Embedded, pod: PodRef
) -> None:
    live = LiveWorld(World("idle", "during", "", ("idle",), ()), pod.namespace, "run")
    live.pods["idle"] = pod
    assert readiness.ended_containers(cluster, live) == []
    os.kill(process_of(cluster, "sleep", "1000"), signal.SIGKILL)
    told = until(lambda: readiness.ended_containers(cluster, live), "it to be told", timeout=20)
    assert told == ["idle of idle ended with code 137, and what it did is lost"]
    assert readiness.ended_containers(cluster, live) == []


def test_a_cluster_that_never_answers_is_not_waited_for_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("clusters.embedded.channel.PATIENCE", 0.2)
    path = tmp_path / "control.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(str(path))
        listener.listen(8)
        with pytest.raises(TimedOut, match="did not answer"):
            Channel(path).ask({"op": "status"})


def test_a_cluster_that_ends_while_it_is_asked_is_gone_and_no_broken_pipe(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(str(path))
        listener.listen(8)

        def close_all() -> None:
            for _ in range(8):
                listener.accept()[0].close()

        thread = threading.Thread(target=close_all, daemon=True)
        thread.start()
        for _ in range(8):
            with pytest.raises(ClusterGone):
                Channel(path).ask({"op": "status"})
        thread.join(10)
