"""Istio's own simulation of Envoy (pilot/pkg/simulation), asked what becomes of calls.

It is a test helper in Istio's module: a program of ours, tests/long/simulation, calls it, and is
built from the same modules as the embedded cluster.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import yaml
from table_world import Pod, TableWorld

from clusters.stacks import assembly, binaries
from clusters.stacks.binaries import Source
from lab.common import shell
from lab.model import store

PROGRAM = store.ROOT / "tests" / "long" / "simulation"
WITHOUT = "disable_pgv"
"""A tag of Istio's releases: it leaves out the validation that Istio's test helpers call."""
PACKAGES = 1762
"""That `go list -deps .` counts there; for progress only."""


@dataclass(frozen=True)
class Call:
    """One connection at one proxy, in the words of Istio's simulation."""

    id: str
    proxy: str
    mode: Literal["inbound", "outbound"]
    address: str
    port: int
    protocol: Literal["http", "http2", "tcp"]
    tls: Literal["plaintext", "tls", "mtls"] = "plaintext"
    alpn: str = ""
    """One name: the simulation offers no more."""
    sni: str = ""
    host: str = ""


@dataclass(frozen=True)
class Said:
    """What the simulation says of a call: what took it, or the error that ended it."""

    error: str
    listener: str
    chain: str
    index: int
    """Of the chain; -1: it is the default one, or is not told, as after an error of TLS."""
    virtual_host: str
    route: str
    cluster: str


def program() -> Path:
    """Return the program's path, built if it is not. Raises NeedsUnmet where it cannot be."""
    stack = binaries.source(assembly.DEFAULT)
    spec = {
        **{key: stack.spec[key] for key in ("istio", "kubernetes", "variables", "go")},
        "tags": [tag for tag in stack.spec["tags"] if tag != WITHOUT],
        "binaries": {"simulation": "lab/simulation"},
        "build": {"packages": PACKAGES, "gigabytes_needed": 9.0},
    }
    return binaries.build(Source(PROGRAM, spec), print) / "bin" / "simulation"


def key(pod: Pod) -> str:
    """Return a proxy's name, as calls and files have it."""
    return f"{pod.namespace}.{pod.name}"


def ask(
    world: TableWorld, folder: Path, calls: Sequence[Call] = ()
) -> tuple[dict[str, Said], dict[str, Any]]:
    """Return what is said of each call, and a config dump of each proxy, by its name."""
    (folder / "kubernetes.yaml").write_text("\n---\n".join(map(json.dumps, world.kubernetes)))
    (folder / "istio.yaml").write_text(yaml.safe_dump_all(world.istio))
    asked = {
        "version": f"{assembly.DEFAULT}.0",
        "proxies": [_proxy(one) for one in world.sidecars()],
        "calls": [asdict(one) for one in calls],
    }
    (folder / "asked.json").write_text(json.dumps(asked))
    shell.run([str(program()), "-folder", str(folder)], cwd=folder)
    answers = json.loads((folder / "answers.json").read_text()) or []
    said = {one.pop("id"): Said(**one) for one in answers}
    dumps = {
        key(one): json.loads((folder / f"{key(one)}.json").read_text()) for one in world.sidecars()
    }
    return said, dumps


def _proxy(pod: Pod) -> dict[str, Any]:
    names = ("name", "namespace", "address", "account", "labels", "annotations")
    return {name: getattr(pod, name) for name in names}
