"""A change that is made to a running mesh, and what was foretold of it."""

from __future__ import annotations

from clusters.base import PodRef
from clusters.embedded.cluster import Embedded
from clusters.kube import Obj
from lab.audit.api import ApiInventory
from lab.audit.changed import gate, live, meshes
from lab.audit.changed.meshes import Meshes
from lab.audit.folder import Files
from lab.common.wait import until
from lab.predict.cluster import ApiMesh
from lab.record.world import LiveWorld

NOW = "2100-01-01T00:00:00Z"


def foretold(files: Files, changes: list[Obj]) -> Meshes:
    return meshes.of(files, changes, (), now=NOW, progress=print)


def differing(expected: Meshes, there: Files) -> dict[str, list[str]]:
    """What real proxies hold otherwise than foretold."""
    found = {}
    for name, dump in there.dumps.items():
        namespace, _, pod = name.partition("/")
        told = expected.after_of(PodRef(namespace, pod, "", ()))
        if wrong := gate.differences(dump, told):
            found[name] = wrong
    return found


def real(files: Files) -> ApiInventory:
    return ApiInventory(
        ApiMesh(files.objects, lambda pod: files.dumps[f"{pod.namespace}/{pod.name}"])
    )


def applied(cluster: Embedded, changes: list[Obj], expected: Meshes) -> Files:
    """Make a change for real, and return the mesh once its proxies hold what was foretold."""
    cluster.kube.apply(changes)
    seen: list[Files] = []

    def look() -> bool:
        seen[:] = [live.read(cluster, print)]
        return not differing(expected, seen[0])

    until(look, "every proxy to hold what was foretold", timeout=60, every=0.5,
          last_seen=lambda: str(differing(expected, seen[0])))  # fmt: skip
    return seen[0]


def strict(namespace: str) -> Obj:
    return {
        "apiVersion": "security.istio.io/v1",
        "kind": "PeerAuthentication",
        "metadata": {"name": "default", "namespace": namespace},
        "spec": {"mtls": {"mode": "STRICT"}},
    }


def called(cluster: Embedded, one: LiveWorld, source: str, url: str) -> str:
    """The status that a real call gets; 000 where none comes."""
    argv = ["curl", "-sS", "-m", "5", "-o", "/dev/null", "-w", "%{http_code}", url]
    return cluster.exec(one.pods[source], argv).stdout.decode()
