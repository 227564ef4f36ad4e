"""Addresses and names inside the cluster. All of them live in its own network namespace."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path

NODE_NAME = "lab"
NODE_IP = "10.244.0.1"
POD_NETWORK = "10.244.0.0/16"
SERVICE_NETWORK = "10.96.0.0/16"
API_SERVICE_IP = "10.96.0.1"
DNS_SERVICE_IP = "10.96.0.10"
API_PORT = 6443
KUBELET_PORT = 10250
CLUSTER_DOMAIN = "cluster.local"
ISSUER = f"https://kubernetes.default.svc.{CLUSTER_DOMAIN}"
PROXY_UID = 1337
STANDS = b"."
"""What the owner's pipe carries when the cluster is to outlive its owner."""
TOKEN_RENEW_AT = 0.8
"""Share of a token's life after which a kubelet replaces it."""


@dataclass(frozen=True)
class Settings:
    """What the host side tells the process inside, as one JSON file."""

    state: str
    """The cluster's folder on the host: kubeconfig, control socket, logs."""
    bin: str
    share: str
    istio: str
    kubernetes: str
    envoy: str
    flavour: str
    origin: str
    """The fields of clusters.base.Stack."""
    api_port: int
    """The port on the host's 127.0.0.1 that is served inside."""
    token_renew_at: float = TOKEN_RENEW_AT
    module_sets: dict[str, str] = field(default_factory=dict)
    """Set of programs of clusters/stacks -> its folder, which may come to be later, or never."""

    @property
    def root(self) -> Path:
        return Path(self.state)

    def save(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self), indent=1))

    @classmethod
    def load(cls, path: Path) -> Settings:
        return cls(**json.loads(path.read_text()))


def private_path() -> str:
    """Return PATH with the system folders that an ordinary user's may lack."""
    return os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/bin", "/sbin", "/bin"])
