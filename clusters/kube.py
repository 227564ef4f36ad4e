"""The Kubernetes API with plain dicts: as much of it as the lab uses.

Objects stay as the server sent them, so that a newer server's fields and values cannot
break a read. Credentials and addresses come from a kubeconfig by the official client
(`from_kubeconfig`); inside the embedded cluster the caller hands over a connection pool.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import urllib3

from clusters import credentials
from lab.common.errors import ClusterGone, LabError

Obj = dict[str, Any]
APPLY = "application/apply-patch+yaml"
MERGE = "application/merge-patch+json"


class ApiError(LabError):
    """The API server refused a request."""

    def __init__(self, status: int, reason: str, message: str, request: str) -> None:
        super().__init__(f"{request}: {status} {reason}: {message}")
        self.status = status
        self.reason = reason
        self.message = message


CONNECT = 15.0
"""Seconds for a connection and its handshake: 60 sidecars that start take both cores for five."""


class Kube:
    """One API server. Safe to use from several threads."""

    def __init__(
        self, server: str, pool: urllib3.PoolManager, headers: Mapping[str, str] | None = None
    ) -> None:
        self.server = server.rstrip("/")
        self._pool = pool
        self._headers = dict(headers or {})
        self._resources: dict[str, dict[str, Obj]] = {}
        self._lock = threading.Lock()

    @classmethod
    def from_kubeconfig(
        cls, path: Path, context: str | None = None, own: Path | None = None
    ) -> Kube:
        """Return a kubeconfig's server, by `credentials.read`."""
        from kubernetes import client

        configuration = credentials.read(path, context, own)
        rest = client.ApiClient(configuration)
        headers = dict(rest.default_headers)
        token = bearer(configuration)
        if token:
            headers["Authorization"] = token
        return cls(configuration.host, rest.rest_client.pool_manager, headers)

    def request(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        content_type: str = "application/json",
        timeout: float = 30.0,
        query: Mapping[str, object] | None = None,
    ) -> Obj:
        """Send a request; return its JSON. Raises ApiError, or ClusterGone without an answer."""
        response = self._send(method, path, body, content_type, timeout, query or {})
        try:
            data = response.data
        except urllib3.exceptions.HTTPError as lost:
            raise ClusterGone(
                f"the connection to the API server was lost during {method} {path}"
            ) from lost
        answer = _object(data, f"{method} {path}")
        if response.status >= 400:
            raise ApiError(
                response.status,
                str(answer.get("reason", response.reason)),
                str(answer.get("message", "")),
                f"{method} {path}",
            )
        return answer

    def text(self, path: str, query: Mapping[str, object] | None = None) -> str:
        """Return a plain-text answer, such as a container's log."""
        response = self._send("GET", path, None, "application/json", 30.0, query or {})
        if response.status >= 400:
            raise ApiError(
                response.status,
                str(response.reason),
                response.data.decode("utf-8", "replace"),
                f"GET {path}",
            )
        return response.data.decode("utf-8", "replace")

    def _send(
        self,
        method: str,
        path: str,
        body: object,
        content_type: str,
        timeout: float,
        query: Mapping[str, object],
        stream: bool = False,
    ) -> urllib3.BaseHTTPResponse:
        url = self.server + path
        if query:
            url += "?" + urlencode({k: v for k, v in query.items() if v is not None})
        try:
            return self._pool.request(
                method,
                url,
                body=None if body is None else json.dumps(body).encode(),
                headers={
                    **self._headers,
                    "Content-Type": content_type,
                    "Accept": "application/json",
                },
                timeout=urllib3.Timeout(connect=CONNECT, read=timeout),
                retries=False,
                preload_content=not stream,
            )
        except urllib3.exceptions.HTTPError as lost:
            raise ClusterGone(
                f"the API server at {self.server} does not answer ({type(lost).__name__})",
                hint="istio-lab status",
            ) from lost

    def get(self, path: str) -> Obj | None:
        """Return the object at this path, or None when there is none."""
        try:
            return self.request("GET", path)
        except ApiError as refused:
            if refused.status == 404:
                return None
            raise

    def items(self, path: str, query: Mapping[str, object] | None = None) -> list[Obj]:
        """Return everything a list path holds."""
        found = self.request("GET", path, query=query).get("items")
        if not isinstance(found, list):
            raise LabError(f"the API server's answer to GET {path} is not a list")
        return found

    def watch(
        self, path: str, query: Mapping[str, object] | None = None, *, timeout: int = 3600
    ) -> Iterator[tuple[str, Obj]]:
        """Yield (ADDED | MODIFIED | DELETED | BOOKMARK | ERROR, object) until the server ends."""
        query = {**(query or {}), "watch": "1", "timeoutSeconds": timeout}
        response = self._send(
            "GET", path, None, "application/json", timeout + 30.0, query, stream=True
        )
        try:
            if response.status >= 400:
                raise ApiError(response.status, str(response.reason), "", f"WATCH {path}")
            for line in _lines(response):
                event = _object(line, f"WATCH {path}")
                yield str(event.get("type")), event.get("object", {})
        except urllib3.exceptions.HTTPError as lost:
            raise ClusterGone(
                f"the connection to the API server was lost during the watch of {path}"
            ) from lost
        finally:
            response.close()

    def apply(self, objects: Iterable[Obj] | str, namespace: str | None = None) -> list[Obj]:
        """Apply dicts or YAML text server-side, in order.

        namespace: for namespaced objects that name none. Raises ApiError; a kind that the
        server does not know says `no matches for kind`, as kubectl does.
        """
        return [
            self.request(
                "PATCH",
                self.path(obj, namespace),
                obj,
                content_type=APPLY,
                query={"fieldManager": "lab", "force": "true"},
            )
            for obj in documents(objects)
        ]

    def create(self, objects: Iterable[Obj] | str, namespace: str | None = None) -> list[Obj]:
        """Create objects that are not there yet, in order: cheaper than to apply them.

        namespace: as of `apply`. Raises ApiError, for what is there too.
        """
        return [
            self.request("POST", self.path(obj, namespace).rpartition("/")[0], obj)
            for obj in documents(objects)
        ]

    def delete(self, objects: Iterable[Obj] | str, namespace: str | None = None) -> None:
        """Delete what is there of these, last first."""
        for obj in reversed(list(documents(objects))):
            try:
                self.request(
                    "DELETE",
                    self.path(obj, namespace),
                    query={"propagationPolicy": "Background"},
                )
            except ApiError as refused:
                if refused.status != 404:
                    raise

    def path(self, obj: Obj, namespace: str | None = None) -> str:
        """Return where an object lives, by the server's own discovery."""
        version, kind, meta = obj["apiVersion"], obj["kind"], obj["metadata"]
        resource = self._discover(version).get(kind)
        if resource is None:
            raise ApiError(
                404, "NotFound", f'no matches for kind "{kind}" in version "{version}"', "apply"
            )
        parts = [_group(version)]
        if resource["namespaced"]:
            parts += ["namespaces", meta.get("namespace") or namespace or "default"]
        return "/".join([*parts, resource["name"], meta["name"]])

    def _discover(self, version: str) -> dict[str, Obj]:
        with self._lock:
            known = self._resources.get(version)
        if known:
            return known
        found = self.get(_group(version)) or {"resources": []}
        kinds = {r["kind"]: r for r in found["resources"] if "/" not in r["name"]}
        with self._lock:
            self._resources[version] = kinds
        return kinds


def bearer(configuration: Any) -> str | None:
    """Return `Bearer ...` of a loaded kubeconfig, whatever this client calls it, or None."""
    names = ("BearerToken", "authorization")
    found = (configuration.get_api_key_with_prefix(name) for name in names)
    return next(filter(None, found), None)


def documents(objects: Iterable[Obj] | str) -> Iterator[Obj]:
    """Return the objects of a YAML text, or those given."""
    if isinstance(objects, str):
        import yaml

        objects = yaml.safe_load_all(objects)
    return (obj for obj in objects if obj)


def _object(data: bytes, request: str) -> Obj:
    """Return an answer's JSON object, or its text. Raises LabError where JSON is cut off."""
    if data[:1] != b"{":
        return {"message": data.decode("utf-8", "replace")}
    try:
        answer: Obj = json.loads(data)
    except (ValueError, RecursionError):
        raise LabError(f"the answer to {request} is not JSON: {data[:60]!r}...") from None
    return answer


def _group(version: str) -> str:
    return f"/apis/{version}" if "/" in version else f"/api/{version}"


def _lines(response: urllib3.BaseHTTPResponse) -> Iterator[bytes]:
    rest = b""
    while chunk := response.read1():
        *lines, rest = (rest + chunk).split(b"\n")
        yield from (line for line in lines if line)
