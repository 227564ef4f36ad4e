"""Serves a console with its answers on loopback."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from lab.kiali.answers import DURATION, NAMESPACE, Answers
from lab.kiali.console import Console

# No address sets the Security display. Kiali's own server generates this file for each page.
_ENV = """\
(function () {
  var timer = setInterval(function () {
    var box = document.querySelector(%(security)s);
    var settings = document.querySelector(%(settings)s);
    if (!box && settings) { (settings.querySelector("button") || settings).click(); }
    if (!box) { return; }
    if (!box.checked) { box.click(); return; }
    clearInterval(timer);
    (settings.querySelector("button") || settings).click();
  }, 200);
})();
"""


@contextmanager
def serving(console: Console, files: Path, answers: Answers, port: int = 0) -> Iterator[str]:
    """Serve until the block is left; yield the address of the graph.

    files: of the console, as `console.obtain` returned them. port: 0 for any that is free.
    """
    handler = _handler(console, files, answers)
    with http.server.ThreadingHTTPServer(("127.0.0.1", port), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}{_graph(console)}"
        finally:
            server.shutdown()
            thread.join()


def _graph(console: Console) -> str:
    shown = {
        "namespaces": NAMESPACE,
        "graphType": "versionedApp",
        "layout": "dagre",
        "duration": DURATION,
    }
    return f"/console/graph/namespaces?{urlencode(shown)}&{console.options}"


def _handler(
    console: Console, files: Path, answers: Answers
) -> type[http.server.SimpleHTTPRequestHandler]:
    elements = {"security": json.dumps(console.security), "settings": json.dumps(console.settings)}

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args, directory=str(files))

        def do_GET(self) -> None:
            """Answer for the API, else with a file, else with the page: it reads the address."""
            asked = urlsplit(self.path)
            if asked.path.startswith("/api/"):
                self._answer(asked.path.removeprefix("/api/"), asked.query)
            elif asked.path == "/env.js":
                self._send(200, "text/javascript", (_ENV % elements).encode())
            elif asked.path.startswith("/console"):
                self._send(200, "text/html", (files / "index.html").read_bytes())
            else:
                super().do_GET()

        def do_POST(self) -> None:
            """Answer a login, which needs no password."""
            self.do_GET()

        def log_message(self, *args: object) -> None:
            """Say nothing: a page asks for a hundred files."""

        def _answer(self, path: str, query: str) -> None:
            found = answers.of(path, parse_qs(query))
            told = {"error": "this backend is a model"} if found is None else found
            code = 404 if found is None else 200
            self._send(code, "application/json", json.dumps(told).encode())

        def _send(self, code: int, kind: str, body: bytes) -> None:
            self.send_response(code)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    return Handler
