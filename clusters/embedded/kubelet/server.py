"""What the kubelet answers: containers' logs, and where commands and streams are to go.

It listens on a Unix socket, and is asked by `kubelet-streaming` alone (clusters/stacks), the HTTPS
server of this node's kubelet. That program has checked who asks, and streams itself.
"""

from __future__ import annotations

import json
import socketserver
import threading
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from clusters.embedded.kubelet.kubelet import HostedPod, Kubelet
from clusters.embedded.kubelet.logs import Wanted
from lab.common.errors import LabError


def serve(kubelet: Kubelet, socket: Path) -> None:
    """Serve in the background, on a socket that only root of this node can open."""

    class Handler(_Handler):
        pods = kubelet

    server = _Server(str(socket), Handler)
    socket.chmod(0o600)
    threading.Thread(target=server.serve_forever, daemon=True, name="kubelet-server").start()


class _Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    request_queue_size = 256


class _Handler(BaseHTTPRequestHandler):
    pods: Kubelet
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing: the API server's own log has the requests."""

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        query = {key: values[-1] for key, values in parse_qs(url.query).items()}
        parts = url.path.strip("/").split("/")
        try:
            if parts[0] == "containerLogs" and len(parts) == 4:
                self._logs(self.pods.find(parts[1], parts[2]), parts[3], query)
            elif parts[0] == "target" and len(parts) in (3, 4):
                self._target(parts[1:], query.get("uid", ""))
            else:
                self._say(404, "this kubelet serves logs, exec, attach and port-forward")
        except LabError as error:
            self._say(404, str(error))
        except OSError:
            self.close_connection = True  # the reader went away

    def do_POST(self) -> None:
        """Close a container's stdin: the one thing that is changed here."""
        parts = urlsplit(self.path).path.strip("/").split("/")
        try:
            if parts[0] != "closeStdin" or len(parts) != 4:
                self._say(404, "only a container's stdin can be closed here")
                return
            self.pods.find(parts[1], parts[2]).close_stdin(parts[3])
            self._say(200, "closed")
        except LabError as error:
            self._say(404, str(error))

    def _target(self, path: list[str], uid: str) -> None:
        """Say how `kubelet-streaming` enters a container, or, without one, a pod's network."""
        pod = self.pods.find(path[0], path[1])
        if uid and pod.uid != uid:
            raise LabError(f"pod {path[1]!r} of namespace {path[0]!r} has not the uid {uid}")
        found: dict[str, object] = {"network": str(pod.network)}
        if len(path) == 3:
            inside = pod.inside(path[2])
            found |= {
                "pid": inside.pid,
                "uid": inside.uid,
                "enter": inside.enter,
                "env": [f"{name}={value}" for name, value in inside.env.items()],
                "log": f"/containerLogs/{'/'.join(path)}?follow=true&tailLines=0",
                "stdin": inside.stdin,
                "closeStdin": f"/closeStdin/{'/'.join(path)}",
                "stdinOnce": inside.stdin_once,
                "tty": inside.tty,
            }
        self._send(200, "application/json", json.dumps(found).encode())

    def _say(self, status: int, text: str) -> None:
        self._send(status, "text/plain", f"{text}\n".encode())

    def _send(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _logs(self, pod: HostedPod, container: str, query: dict[str, str]) -> None:
        try:
            parts = pod.log(container, Wanted.of_query(query))
        except (LabError, ValueError) as none:
            self._say(400, str(none))
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for part in parts:
            self._chunk(part)
        self.wfile.write(b"0\r\n\r\n")

    def _chunk(self, data: bytes) -> None:
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        self.wfile.flush()
