"""Ports inside pods by the API's port forward, as `kubectl port-forward` opens them."""

from __future__ import annotations

import http.client
from pathlib import Path

from clusters import credentials
from clusters.base import PodRef
from lab.common.errors import CommandFailed

CONNECT = 15.0
"""Seconds for each step: to open the port, and to read the next part of an answer."""


def get(kubeconfig: Path, context: str | None, pod: PodRef, port: int, path: str) -> bytes:
    """Return the body of the answer to a GET at a pod's port. Raises CommandFailed."""
    from kubernetes import client
    from kubernetes.stream import portforward

    told = f"GET {path} at port {port} of pod {pod.name}, forwarded"
    api = client.CoreV1Api(client.ApiClient(credentials.read(kubeconfig, context)))
    try:
        opened = portforward(
            api.connect_get_namespaced_pod_portforward, pod.name, pod.namespace, ports=str(port)
        )
    except client.ApiException as refused:
        raise CommandFailed(f"{told}: {refused.status} {refused.reason}") from None
    link = opened.socket(port)
    link.settimeout(CONNECT)
    connection = http.client.HTTPConnection("localhost", port)
    connection.sock = link
    try:
        # Not `Connection: close`: with the end of the connection the client drops what it holds.
        connection.request("GET", path if path.startswith("/") else f"/{path}")
        answer = connection.getresponse()
        body = answer.read()
    except (OSError, http.client.HTTPException) as lost:
        raise CommandFailed(f"{told}: {opened.error(port) or lost}") from None
    finally:
        connection.close()
        opened.close()
    if answer.status != http.HTTPStatus.OK:
        raise CommandFailed(f"{told}: answered {answer.status}")
    return body
