"""grpcbin as a pod of its image."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from kubectl import Kubectl

SERVICE = "grpcbin.GRPCBin"


@pytest.mark.cluster
def test_a_pod_of_its_image_serves_the_ports_it_is_given(
    kubectl: Kubectl, namespace: str, in_pod: Callable[..., str]
) -> None:
    container = {
        "name": "grpcbin",
        "image": "lab/grpcbin",
        "args": ["9000"],
        "readinessProbe": {"tcpSocket": {"port": 9000}, "periodSeconds": 1},
    }
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "grpcbin"}}
    manifest = json.dumps({**pod, "spec": {"containers": [container]}})
    kubectl("apply", "-n", namespace, "-f", "-", stdin=manifest)
    kubectl("wait", "pod/grpcbin", "-n", namespace, "--for=condition=Ready", "--timeout=60s")
    asked = ("grpcurl", "-plaintext", "localhost:9000", "list")
    assert SERVICE in in_pod(namespace, "grpcbin", *asked).split()
