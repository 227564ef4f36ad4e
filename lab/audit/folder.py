"""A mesh out of files: proxies' config dumps, and a cluster's objects where they are there too."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from clusters.base import PodRef
from clusters.kube import Obj
from lab.audit import bug_report
from lab.audit.api import ApiInventory
from lab.audit.dumps import DumpedInventory
from lab.audit.edges import Inventory
from lab.audit.resources import Resources
from lab.audit.stored_dumps import StoredDumps
from lab.common import untrusted
from lab.common.errors import BadEvidence
from lab.envoy import dump, node
from lab.envoy.dump import MISSHAPEN
from lab.predict.cluster import ApiMesh

NEEDED = ("Pod", "Service", "EndpointSlice")
"""Kinds of object without which pods and Services are known by the proxies alone."""
PATHS = {
    "/api/v1/pods": "Pod",
    "/api/v1/services": "Service",
    "/apis/discovery.k8s.io/v1/endpointslices": "EndpointSlice",
    "/apis/security.istio.io/v1/peerauthentications": "PeerAuthentication",
    "/apis/security.istio.io/v1/authorizationpolicies": "AuthorizationPolicy",
    "/apis/networking.istio.io/v1/destinationrules": "DestinationRule",
}
YAML = (".yaml", ".yml")
_JSON = (".json", ".json.gz")


class StoredObjects:
    """A cluster's objects, as `kubectl get -A -o yaml` wrote them."""

    def __init__(self) -> None:
        self._by_kind: dict[str, list[Obj]] = defaultdict(list)

    def add(self, found: Obj) -> None:
        """Add an object, or each of a list; a list of one kind names it once."""
        for one in found.get("items") or [found]:
            kind = str(one.get("kind") or str(found.get("kind", "")).removesuffix("List"))
            version = {"apiVersion": found["apiVersion"]} if "apiVersion" in found else {}
            self._by_kind[kind].append({**version, **one, "kind": kind})

    @property
    def every(self) -> list[Obj]:
        """Return all objects, of all kinds."""
        return [one for each in self._by_kind.values() for one in each]

    def items(self, path: str) -> list[Obj]:
        """Return the objects of a kind, by the path of its list."""
        return self._by_kind.get(PATHS[path], [])

    @property
    def whole(self) -> bool:
        """Return whether pods and Services are there."""
        return all(self._by_kind.get(kind) for kind in NEEDED)


@contextmanager
def refusing_other_shapes() -> Iterator[None]:
    """Raise BadEvidence, in a sentence, for objects that do not have Kubernetes' fields."""
    try:
        yield
    except MISSHAPEN as wrong:
        raise BadEvidence(
            f"the files' objects are not such as Kubernetes has them: {wrong!r}"
        ) from None


@dataclass(frozen=True)
class Files:
    """What is in files: a cluster's objects, and proxies' config dumps by their pod."""

    objects: StoredObjects
    dumps: Mapping[str, Any]

    @property
    def are_of_cluster(self) -> bool:
        """Return whether a cluster told them: manifests know no pod's address."""
        pods = self.objects.items("/api/v1/pods")
        return bool(self.dumps) or any("podIP" in (one.get("status") or {}) for one in pods)


def read(paths: Sequence[Path]) -> Files:
    """Return what is in these files and folders.

    Raises BadEvidence for a file that is damaged, and for a config dump of no pod.
    """
    objects, dumps = StoredObjects(), dict[str, Callable[[], Any]]()
    resources = Resources()
    folders = [bug_report.unpack(one) if bug_report.is_archive(one) else one for one in paths]
    for path in files(folders):
        for content, again in _contents(path, resources):
            if "configs" in content:
                dumps[_pod(path, content)] = again
            elif "kind" in content:
                objects.add(content)
    return Files(objects, StoredDumps(dumps))


def _pod(path: Path, content: Any) -> str:
    try:
        return node.workload(content, dump.read(content)).name
    except BadEvidence as wrong:
        raise BadEvidence(f"{path}: {wrong}") from None


def inventory(files: Files, namespaces: Sequence[str]) -> Inventory:
    """Return the mesh whose proxies' dumps are in files."""
    if not files.objects.whole:
        return DumpedInventory(files.dumps)

    def of(pod: PodRef) -> Any:
        name = f"{pod.namespace}/{pod.name}"
        if name not in files.dumps:
            raise BadEvidence(f"no config dump is of {name}")
        return files.dumps[name]

    return ApiInventory(ApiMesh(files.objects, of), namespaces)


def files(paths: Iterable[Path]) -> Iterator[Path]:
    """Yield these files, and those in these folders that may have objects or dumps."""
    for path in paths:
        if path.is_dir():
            yield from sorted(one for one in path.rglob("*") if _is_read(one.name))
        else:
            yield path


def _is_read(name: str) -> bool:
    return name.endswith((*_JSON, *YAML)) or bug_report.is_read(name)


def _contents(path: Path, resources: Resources) -> Iterator[tuple[Any, Callable[[], Any]]]:
    """Yield the objects in a file, one in JSON, several in YAML, and what reads each again.

    Raises BadEvidence.
    """
    if path.name.endswith(YAML) or path.name in bug_report.OBJECTS:
        for one in _read(path, _yaml):
            if isinstance(one, dict):
                yield one, partial(dict, one)
        return
    again = partial(_read, path, resources.read)
    content = again()
    if isinstance(content, dict):
        yield content, again


def _read(path: Path, parse: Callable[[bytes], Any]) -> Any:
    """Return what is in a file, unpacked where it is packed. Raises BadEvidence."""
    content = data(path)
    try:
        if content.startswith(untrusted.GZIP_MAGIC):
            content = untrusted.gunzip(content)
        return parse(content)
    except ValueError as wrong:
        raise BadEvidence(f"{path} is damaged: {wrong}") from None


def data(path: Path) -> bytes:
    """Return what is in a file, up to the most that one may have. Raises BadEvidence."""
    return untrusted.read_bytes(path, path.parent, MOST)


MOST = 256 << 20
"""Bytes of one file."""


def _yaml(data: bytes) -> list[Any]:
    import yaml

    try:
        return [*yaml.load_all(data, Loader=yaml.CSafeLoader)]
    except (yaml.YAMLError, RecursionError) as wrong:
        raise ValueError(str(wrong).partition("\n")[0]) from None
