"""A registry on loopback, for as long as a test needs it."""

from __future__ import annotations

import hashlib
import json
import socket
import subprocess
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from lab.common.wait import until

CONFIG = """version: 0.1
log: {{level: error, accesslog: {{disabled: true}}}}
storage: {{filesystem: {{rootdirectory: {data}}}}}
http: {{addr: "{address}"}}
"""


class Registry:
    """Debian's docker-registry: where it listens, and what is put into it."""

    def __init__(self, address: str, data: Path) -> None:
        self.address, self.data = address, data

    def push(self, source: str, image: str, *options: str) -> str:
        """Put an image there, from where skopeo can read it; returns its digest.

        image: its name on the registry that this one stands for.
        """
        at = f"docker://{self.address}/{image.partition('/')[2]}"
        argv = ["skopeo", "copy", "--quiet", "--dest-tls-verify=false", *options]
        subprocess.run([*argv, source, at], check=True)
        argv = ["skopeo", "inspect", "--tls-verify=false", "--raw", at]
        told = subprocess.run(argv, capture_output=True, check=True)
        return f"sha256:{hashlib.sha256(told.stdout).hexdigest()}"

    def put_list(self, path: str, digests: Mapping[str, str]) -> None:
        """Put one name there for several images: their digests by architecture.

        https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pushing-manifests
        """
        name, _, tag = path.partition(":")
        held = "application/vnd.docker.distribution.manifest.v2+json"
        of_list = "application/vnd.docker.distribution.manifest.list.v2+json"
        entries = []
        for machine, digest in digests.items():
            platform = {"architecture": machine, "os": "linux"}
            size = self.blob(digest).stat().st_size
            entries.append(
                {"mediaType": held, "digest": digest, "size": size, "platform": platform}
            )
        content = {"schemaVersion": 2, "mediaType": of_list, "manifests": entries}
        request = urllib.request.Request(
            f"http://{self.address}/v2/{name}/manifests/{tag}",
            data=json.dumps(content).encode(),
            headers={"Content-Type": of_list},
            method="PUT",
        )
        urllib.request.urlopen(request, timeout=10).close()

    def blob(self, digest: str) -> Path:
        """The file in which it keeps what has this digest."""
        (path,) = self.data.rglob(f"blobs/sha256/*/{digest.partition(':')[2]}/data")
        return path


@contextmanager
def registry(folder: Path) -> Iterator[Registry]:
    """One that has nothing yet, on a free port."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    config = folder / "registry.yml"
    config.write_text(CONFIG.format(data=folder / "registry", address=address))
    with (folder / "registry.log").open("wb") as log:
        process = subprocess.Popen(["docker-registry", "serve", config], stdout=log, stderr=log)
    try:
        until(lambda: _serves(address), "the registry", timeout=20)
        yield Registry(address, folder / "registry")
    finally:
        process.kill()
        process.wait()


def _serves(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"http://{address}/v2/", timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False
