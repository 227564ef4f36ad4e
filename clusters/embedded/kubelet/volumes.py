"""A pod's volumes as folders: emptyDir, configMap, secret, downwardAPI, projected.

Files are written beside and renamed, so that a reader never sees half a token.
"""

from __future__ import annotations

import base64
import os
import time
from collections.abc import Mapping
from pathlib import Path

from clusters.embedded.kubelet.environment import MissingKey, field
from clusters.kube import Kube, Obj

OFFERED = ("configMap", "downwardAPI", "emptyDir", "projected", "secret")


def refused(pod: Obj) -> str:
    """Return why this pod's volumes cannot be had, or an empty string."""
    for volume in pod["spec"].get("volumes", []):
        kind = next(key for key in volume if key != "name")
        if kind not in OFFERED:
            return (
                f"volume {volume['name']!r} is of kind {kind}, which the embedded cluster "
                f"does not offer; it offers {', '.join(OFFERED)}"
            )
    return ""


class Volumes:
    """The volumes of one pod below one folder, and the tokens that need renewing."""

    def __init__(self, kube: Kube, pod: Obj, folder: Path, renew_at: float) -> None:
        self._kube, self._pod, self._folder, self._renew_at = kube, pod, folder, renew_at
        self._tokens: dict[str, tuple[float, bytes]] = {}
        self.pod_ip = ""

    def path(self, name: str) -> Path:
        return self._folder / name

    def refresh(self) -> None:
        """Write every volume as the API has it now; tokens only when they are due.

        Raises MissingKey while a configMap or secret that is not optional is absent.
        """
        for volume in self._pod["spec"].get("volumes", []):
            folder = self.path(volume["name"])
            if not folder.exists():
                folder.mkdir(parents=True)
                folder.chmod(0o777 if "emptyDir" in volume else 0o755)
            for relative, (data, mode) in self._files(volume).items():
                _replace(folder / relative, data, mode)

    def update(self, pod: Obj) -> None:
        """Take the pod's labels and annotations, which may have changed since it was made."""
        self._pod = pod

    def keyed(self, kind: str, name: str) -> Mapping[str, str] | None:
        """Return a configMap's or secret's data as text, for environment variables."""
        data = self._data(kind, name)
        return None if data is None else {key: value.decode() for key, value in data.items()}

    def _files(self, volume: Obj) -> dict[str, tuple[bytes, int]]:
        if "projected" in volume:
            default = volume["projected"].get("defaultMode", 0o644)
            files: dict[str, tuple[bytes, int]] = {}
            for source in volume["projected"]["sources"]:
                files |= self._source(source, default, volume["name"])
            return files
        if "secret" in volume:
            secret = {**volume["secret"], "name": volume["secret"]["secretName"]}
            return self._source({"secret": secret}, secret.get("defaultMode", 0o644), "")
        for kind in ("configMap", "downwardAPI"):
            if kind in volume:
                return self._source(volume, volume[kind].get("defaultMode", 0o644), "")
        return {}

    def _source(self, source: Obj, mode: int, volume: str) -> dict[str, tuple[bytes, int]]:
        if "serviceAccountToken" in source:
            wanted = source["serviceAccountToken"]
            return {wanted["path"]: (self._token(volume, wanted), mode)}
        if "downwardAPI" in source:
            return {
                item["path"]: (self._field(item), item.get("mode", mode))
                for item in source["downwardAPI"].get("items", [])
            }
        kind = "configmaps" if "configMap" in source else "secrets"
        wanted = source.get("configMap") or source["secret"]
        data = self._data(kind, wanted["name"])
        if data is None:
            if wanted.get("optional"):
                return {}
            raise MissingKey(f"{kind.rstrip('s')} {wanted['name']!r} not found")
        items = wanted.get("items") or [{"key": key, "path": key} for key in data]
        return {item["path"]: (data[item["key"]], item.get("mode", mode)) for item in items}

    def _field(self, item: Obj) -> bytes:
        return field(self._pod, item["fieldRef"]["fieldPath"], self.pod_ip).encode()

    def _data(self, kind: str, name: str) -> dict[str, bytes] | None:
        found = self._kube.get(
            f"/api/v1/namespaces/{self._pod['metadata']['namespace']}/{kind}/{name}"
        )
        if found is None:
            return None
        encoded = found.get("data") or {}
        if kind == "secrets":
            return {key: base64.b64decode(value) for key, value in encoded.items()}
        binary = found.get("binaryData") or {}
        return {key: value.encode() for key, value in encoded.items()} | {
            key: base64.b64decode(value) for key, value in binary.items()
        }

    def _token(self, volume: str, wanted: Obj) -> bytes:
        """Return a token for this pod and audience; a new one once most of its life is over."""
        key = f"{volume}/{wanted['path']}"
        due, token = self._tokens.get(key, (0.0, b""))
        if time.time() < due:
            return token
        meta = self._pod["metadata"]
        account = self._pod["spec"].get("serviceAccountName", "default")
        seconds = wanted.get("expirationSeconds", 3600)
        answer = self._kube.request(
            "POST",
            f"/api/v1/namespaces/{meta['namespace']}/serviceaccounts/{account}/token",
            {
                "apiVersion": "authentication.k8s.io/v1",
                "kind": "TokenRequest",
                "spec": {
                    "audiences": [wanted["audience"]] if wanted.get("audience") else [],
                    "expirationSeconds": seconds,
                    "boundObjectRef": {
                        "apiVersion": "v1",
                        "kind": "Pod",
                        "name": meta["name"],
                        "uid": meta["uid"],
                    },
                },
            },
        )
        token = str(answer["status"]["token"]).encode()
        self._tokens[key] = (time.time() + seconds * self._renew_at, token)
        return token


def _replace(path: Path, data: bytes, mode: int) -> None:
    if path.exists() and path.read_bytes() == data:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.new")
    beside.write_bytes(data)
    beside.chmod(mode)
    os.replace(beside, path)
