"""Commands in containers by the Kubernetes API: the `exec` of any conformant cluster.

The protocol is v5.channel.k8s.io: each message's first byte names its stream, and a stream can
be closed (https://kubernetes.io/docs/reference/ and KEP-4006).
"""

from __future__ import annotations

import contextlib
import json
import ssl
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from clusters import credentials
from clusters.base import Completed, PodRef
from clusters.kube import bearer
from lab.common.errors import ClusterGone, LabError, TimedOut

if TYPE_CHECKING:
    from websocket import WebSocket

STDIN, STDOUT, STDERR, STATUS, CLOSE = 0, 1, 2, 3, 255
STAMPED = 'date +%s.%N >&2; "$@"; code=$?; printf "\\n%s" "$(date +%s.%N)" >&2; exit $code'
"""Run in the container's own shell, so that times are of the command and not of its way there."""
END_OF_STDIN = bytes([CLOSE, STDIN])
CONNECT = 30.0
"""Seconds in which a command has to have begun."""
GLANCE = 0.05
"""Seconds after which a running command's stream is asked whether it is to end."""


class Remote:
    """One API server's way into containers."""

    def __init__(self, kubeconfig: Path, context: str | None = None) -> None:
        self._configuration = credentials.read(kubeconfig, context)

    def run(
        self, pod: PodRef, container: str, argv: Sequence[str], stdin: bytes, timeout: float
    ) -> Completed:
        """Run a command to its end; its times are told by the container itself.

        Raises TimedOut, LabError for a command that cannot be started, ClusterGone when its
        answer is lost.
        """
        if container == "istio-proxy":
            started = time.time()
            code, out, err = self._exec(pod, container, argv, stdin, timeout)
            return Completed(tuple(argv), code, out, err, started, time.time())
        stamped = ["sh", "-c", STAMPED, "sh", *argv]
        code, out, err = self._exec(pod, container, stamped, stdin, timeout)
        try:
            first, _, rest = err.partition(b"\n")
            said, _, last = rest.rpartition(b"\n")
            started, ended = float(first), float(last)
        except ValueError:
            raise ClusterGone(f"`{' '.join(argv)}` told no times: {err[-300:]!r}") from None
        return Completed(tuple(argv), code, out, said, started, ended)

    def start(self, pod: PodRef, container: str, argv: Sequence[str], into: Path) -> Running:
        """Begin a command whose output goes to a file, until its standard input is ended.

        Raises LabError when it cannot be started, ClusterGone when nobody answers.
        """
        with _explained(pod, argv, CONNECT):
            return Running(self._open(pod, container, argv, stdin=True), argv, into)

    def _exec(
        self, pod: PodRef, container: str, argv: Sequence[str], stdin: bytes, timeout: float
    ) -> tuple[int, bytes, bytes]:
        import websocket

        said: dict[int, bytes] = {STDOUT: b"", STDERR: b"", STATUS: b""}
        deadline = time.monotonic() + timeout
        with _explained(pod, argv, timeout):
            link = self._open(pod, container, argv, stdin=bool(stdin), timeout=timeout)
            try:
                if stdin:
                    link.send_binary(bytes([STDIN]) + stdin)
                    link.send_binary(END_OF_STDIN)
                while time.monotonic() < deadline:
                    link.settimeout(max(0.01, deadline - time.monotonic()))
                    opcode, data = link.recv_data()
                    if opcode == websocket.ABNF.OPCODE_CLOSE:
                        break
                    if data and data[0] in said:
                        said[data[0]] += data[1:]
            finally:
                _close(link)
        return _code(said[STATUS], argv), said[STDOUT], said[STDERR]

    def _open(
        self,
        pod: PodRef,
        container: str,
        argv: Sequence[str],
        *,
        stdin: bool,
        timeout: float = CONNECT,
    ) -> WebSocket:
        import websocket

        words = [("container", container), ("stdout", "true"), ("stderr", "true")]
        words += [("stdin", "true")] if stdin else []
        words += [("command", word) for word in argv]
        path = f"/api/v1/namespaces/{pod.namespace}/pods/{pod.name}/exec?{urlencode(words)}"
        return websocket.create_connection(
            self._configuration.host.replace("http", "ws", 1) + path,
            timeout=timeout,
            sslopt=self._tls(),
            header=self._headers(),
            subprotocols=["v5.channel.k8s.io"],
            enable_multithread=False,
        )

    def _tls(self) -> dict[str, object]:
        c = self._configuration
        return {
            "cert_reqs": ssl.CERT_REQUIRED if c.verify_ssl else ssl.CERT_NONE,
            "ca_certs": c.ssl_ca_cert,
            "certfile": c.cert_file,
            "keyfile": c.key_file,
            "server_hostname": c.tls_server_name,
        }

    def _headers(self) -> list[str]:
        token = bearer(self._configuration)
        return [f"Authorization: {token}"] if token else []


class Running:
    """A command that runs in a container, its standard output going to a file."""

    def __init__(self, link: WebSocket, argv: Sequence[str], into: Path) -> None:
        self._link, self._argv, self._into = link, argv, into
        self._said, self._status, self._lost = b"", b"", ""
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._follow, daemon=True, name=argv[0])
        self._thread.start()

    @property
    def said(self) -> str:
        """Return what it wrote to its standard error so far."""
        return self._said.decode(errors="replace")

    @property
    def ended(self) -> bool:
        """Tell whether it has ended, or its stream was lost."""
        return not self._thread.is_alive()

    def end(self, timeout: float) -> int:
        """End its standard input and wait for it; return its exit code.

        Raises TimedOut, or ClusterGone when its stream was lost.
        """
        self._over.set()
        self._thread.join(timeout)
        if not self.ended:
            raise TimedOut(f"`{' '.join(self._argv)}` did not end within {timeout:.0f} s")
        if self._lost:
            raise ClusterGone(f"the output of `{' '.join(self._argv)}` was lost: {self._lost}")
        return _code(self._status, self._argv)

    def _follow(self) -> None:
        """Read and write in one thread: two may not share a TLS connection."""
        import websocket

        told = False
        self._link.settimeout(GLANCE)
        try:
            with self._into.open("wb", buffering=0) as output:
                while True:
                    if self._over.is_set() and not told:
                        self._link.send_binary(END_OF_STDIN)
                        told = True
                    try:
                        opcode, data = self._link.recv_data()
                    except websocket.WebSocketTimeoutException:
                        continue
                    if opcode == websocket.ABNF.OPCODE_CLOSE:
                        return
                    if data and data[0] == STDOUT:
                        output.write(data[1:])
                    elif data and data[0] == STDERR:
                        self._said += data[1:]
                    elif data and data[0] == STATUS:
                        self._status += data[1:]
        except (OSError, websocket.WebSocketException) as lost:
            self._lost = str(lost) or type(lost).__name__
        finally:
            _close(self._link)


def _close(link: Any) -> None:  # its types are not told
    """Close at once: the library's `close` sends a frame, and leaks the socket if that fails."""
    link.shutdown()


@contextlib.contextmanager
def _explained(pod: PodRef, argv: Sequence[str], timeout: float) -> Iterator[None]:
    """Yield the web socket's errors in the lab's words."""
    import websocket

    try:
        yield
    except websocket.WebSocketTimeoutException:
        raise TimedOut(f"`{' '.join(argv)}` did not end within {timeout:.0f} s") from None
    except websocket.WebSocketBadStatusException as refused:
        body = getattr(refused, "resp_body", b"") or b""
        raise LabError(f"exec in pod {pod.name}: {refused.status_code} {body!r}") from None
    except (OSError, websocket.WebSocketException) as lost:
        raise ClusterGone(f"the answer to `{' '.join(argv)}` was lost: {lost}") from lost


def _code(status: bytes, argv: Sequence[str]) -> int:
    """Return the command's exit code, out of the API's Status. Raises ClusterGone without one."""
    if not status:
        raise ClusterGone(f"`{' '.join(argv)}` ended without a status")
    try:
        told = json.loads(status)
        if told["status"] == "Success":
            return 0
        for cause in told.get("details", {}).get("causes", []):
            if cause.get("reason") == "ExitCode":
                return int(cause["message"])
        message = told.get("message")
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError):
        said = f"`{' '.join(argv)}` ended with a status that cannot be read: {status[:60]!r}"
        raise ClusterGone(said) from None
    raise LabError(f"`{' '.join(argv)}` did not run: {message}")
