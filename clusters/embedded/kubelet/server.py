"""The kubelet's HTTPS server: containers' logs, and a plain word where more is asked."""

from __future__ import annotations

import ssl
import threading
from collections import deque
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from clusters.embedded.kubelet.kubelet import Kubelet
from clusters.embedded.kubelet.pod import Pod
from clusters.embedded.pki import Pki
from clusters.embedded.settings import KUBELET_PORT, NODE_IP
from lab.common.errors import LabError

REFUSED = (
    "the embedded cluster does not stream through the API server: "
    "use `istio-lab exec {pod} -n {namespace} -- CMD`"
)


def serve(kubelet: Kubelet, pki: Pki) -> None:
    """Serve in the background, to the API server only: it alone has a client certificate."""

    class Handler(_Handler):
        pods = kubelet

    server = ThreadingHTTPServer((NODE_IP, KUBELET_PORT), Handler)
    server.daemon_threads = True
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pki.path("kubelet.crt"), pki.path("kubelet.key"))
    context.load_verify_locations(pki.path("ca.crt"))
    context.verify_mode = ssl.CERT_REQUIRED
    # The handshake belongs to the connection's own thread: a silent peer must not block others.
    server.socket = context.wrap_socket(
        server.socket, server_side=True, do_handshake_on_connect=False
    )
    threading.Thread(target=server.serve_forever, daemon=True, name="kubelet-server").start()


class _Handler(BaseHTTPRequestHandler):
    pods: Kubelet
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing: the API server's own log has the requests."""

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        parts = url.path.strip("/").split("/")
        try:
            if parts[0] == "containerLogs" and len(parts) == 4:
                query = {key: values[-1] for key, values in parse_qs(url.query).items()}
                self._logs(self.pods.find(parts[1], parts[2]), parts[3], query)
            elif parts[0] in ("exec", "attach", "portForward") and len(parts) >= 3:
                self._say(501, REFUSED.format(namespace=parts[1], pod=parts[2]))
            else:
                self._say(404, "only container logs are served here")
        except LabError as error:
            self._say(404, str(error))
        except OSError:
            self.close_connection = True  # the reader went away

    def do_POST(self) -> None:
        """Serve exec, attach and port-forward, which come as POST."""
        self.do_GET()

    def _say(self, status: int, text: str) -> None:
        body = f"{text}\n".encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = True

    def _logs(self, pod: Pod, container: str, query: dict[str, str]) -> None:
        try:
            runner, path = pod.log(container, query.get("previous") == "true")
        except LabError as none:
            self._say(400, str(none))
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        with path.open("rb") as log:
            if "tailLines" in query:
                for line in deque(log, int(query["tailLines"])):
                    self._chunk(line)
            over = query.get("follow") != "true"
            while True:
                data = log.read(65536)
                if data:
                    self._chunk(data)
                elif over:
                    break
                else:  # what was written last is read even when its file has gone
                    over = runner.wait_for_output(path, log.tell())
        self.wfile.write(b"0\r\n\r\n")

    def _chunk(self, data: bytes) -> None:
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        self.wfile.flush()
