"""The TCP caller, against a server of this test's."""

from __future__ import annotations

import json
import socket
import subprocess
import threading
from pathlib import Path

from lab.model.store import ROOT

SAY = ROOT / "lab" / "workloads" / "tools" / "say"
GIVEN = Path("/proc/sys/net/ipv4/ip_local_port_range")


def test_it_calls_from_a_port_that_the_kernel_gives_to_nobody() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        there = str(server.getsockname()[1])

        def answer() -> None:
            for _ in range(5):
                link, _ = server.accept()
                with link:
                    link.sendall(link.recv(100))

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        told = [
            json.loads(subprocess.run([SAY, "127.0.0.1", there, "a"], capture_output=True).stdout)
            for _ in range(5)
        ]
        thread.join(10)
    assert {one["outcome"] for one in told} == {"answered"}
    ports = {one["local_port"] for one in told}
    assert len(ports) > 1
    assert max(ports) < int(GIVEN.read_text().split()[0])
