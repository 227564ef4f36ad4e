"""Lists the images that the lab's workloads name, as the embedded cluster offers them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Image:
    """What an image name stands for: a command, run as a uid."""

    name: str
    command: tuple[str, ...]
    about: str
    uid: int = 1000
    env: Mapping[str, str] = field(default_factory=dict)
    programs: str = ""
    """The set of clusters/stacks whose programs it needs beside the cluster's own: a module set,
    which is built when it is first used, or `nginx`."""


def reference(name: str) -> str:
    """Return an image as manifests name it: `lab/client:1`, or the same in the registry LAB_HUB."""
    hub = os.environ.get("LAB_HUB") or "lab"
    return f"{hub}/{name.removeprefix('lab/')}:1"


CATALOGUE: Mapping[str, Image] = {
    image.name: image
    for image in (
        Image(
            "lab/client",
            ("sleep", "infinity"),
            "curl and the lab's probes (say, tls-probe, nginx-get)",
            programs="nginx",
        ),
        Image(
            "lab/httpbin",
            (
                "gunicorn",
                *(f"--bind=0.0.0.0:{port}" for port in range(8080, 8085)),
                "--threads=4",
                # Longer than a sidecar keeps an idle connection: at gunicorn's two seconds a
                # request can meet the end of the connection it is sent on, and fails with UC.
                "--keep-alive=7200",
                "--access-logfile=-",
                "httpbin:app",
            ),
            "httpbin, from PyPI, on gunicorn",
            env={"GUNICORN_CMD_ARGS": "--no-control-socket"},
        ),
        Image("lab/tcp-echo", ("tcp-echo",), "Istio's own sample"),
        Image("lab/istio-echo", ("istio-echo",), "the echo server of Istio's own tests"),
        Image("lab/grpcbin", ("grpcbin",), "grpcbin's interface, on grpc-go, in plaintext"),
        Image(
            "lab/table-server",
            ("table-server", "--cert=/etc/own-tls/cert.pem", "--key=/etc/own-tls/key.pem"),
            "the server of the truth table, which speaks whatever it is spoken to",
        ),
        Image("lab/mongodb", ("mongodb",), "FerretDB, on SQLite in memory", programs="databases"),
        Image(
            "lab/mysql",
            ("mysql", "--cert=/etc/own-tls/cert.pem", "--key=/etc/own-tls/key.pem"),
            "go-mysql-server, in memory, which offers TLS",
            programs="databases",
        ),
        Image("lab/redis", ("redis",), "miniredis", programs="databases"),
        Image("lab/fortio", ("fortio",), "fortio, Istio's load generator", programs="fortio"),
        Image("lab/own-tls", ("own-tls",), "a service with TLS of its own, in three forms"),
    )
}
