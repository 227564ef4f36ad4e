"""The cluster's control socket: commands in pods' namespaces, with the caller's own files.

A request is one JSON line with up to three descriptors (stdin, stdout, stderr) attached;
its answer is one JSON line. Closing the connection ends the command: nothing outlives its
caller. The socket lies in a folder that only the caller can enter.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from clusters.embedded import network
from clusters.embedded.kubelet.kubelet import Kubelet
from clusters.embedded.settings import private_path
from lab.common.errors import LabError

Request = Mapping[str, Any]


class Control:
    """Serves the control socket with a thread for each request."""

    def __init__(
        self, listener: socket.socket, kubelet: Kubelet, status: Callable[[], dict[str, object]]
    ) -> None:
        self._listener, self._kubelet, self._status = listener, kubelet, status

    def start(self) -> None:
        threading.Thread(target=self._accept, daemon=True, name="control").start()

    def _accept(self) -> None:
        while True:
            link, _ = self._listener.accept()
            threading.Thread(target=self._serve, args=(link,), daemon=True).start()

    def _serve(self, link: socket.socket) -> None:
        fds: list[int] = []
        with link:
            try:
                data, fds, _, _ = socket.recv_fds(link, 1 << 20, 3)
                request = json.loads(data)
                if request["op"] == "connect":
                    self._connect(request, link)
                    return
                answer = self._answer(request, fds, link)
            except LabError as error:
                answer = {"error": str(error)}
            except (OSError, ValueError, KeyError) as error:
                answer = {"error": f"{type(error).__name__}: {error}"}
            finally:
                for fd in fds:
                    os.close(fd)
            try:
                link.sendall(json.dumps(answer).encode() + b"\n")
            except OSError:
                pass  # the caller has gone; its command was ended

    def _connect(self, request: Request, link: socket.socket) -> None:
        """Answer with a connection to a port of a pod's localhost."""
        pod = self._kubelet.find(request["namespace"], request["pod"])
        with network.connect(pod.network.name, request["port"]) as connected:
            connected.settimeout(None)
            socket.send_fds(link, [b"{}"], [connected.fileno()])

    def _answer(self, request: Request, fds: list[int], link: socket.socket) -> dict[str, object]:
        if request["op"] == "status":
            return self._status()
        pod = self._kubelet.find(request["namespace"], request["pod"])
        if request["op"] == "exec":
            inside = pod.inside(request.get("container"))
            return _run([*inside.enter, *request["argv"]], inside.env, fds, link, signal.SIGKILL)
        if request["op"] == "netns":
            argv = ["nsenter", f"--net={pod.network}", "--", *request["argv"]]
            env = {**os.environ, "PATH": private_path()}
            return _run(argv, env, fds, link, signal.SIGINT)
        raise LabError(f"unknown request {request['op']!r}")


def _run(
    argv: list[str],
    env: Mapping[str, str],
    fds: list[int],
    link: socket.socket,
    farewell: signal.Signals,
) -> dict[str, object]:
    """Run to the end, or until the caller closes its side; then say goodbye with `farewell`."""
    started = time.time()
    process = subprocess.Popen(
        argv,
        env=dict(env),
        stdin=fds[0],
        stdout=fds[1],
        stderr=fds[2],
        start_new_session=True,
    )
    pidfd = os.pidfd_open(process.pid)
    try:
        ready, _, _ = select.select([pidfd, link.fileno()], [], [])
        if pidfd not in ready:
            os.killpg(process.pid, farewell)
        code = process.wait()
    finally:
        os.close(pidfd)
    return {"code": code, "started": started, "ended": time.time()}
