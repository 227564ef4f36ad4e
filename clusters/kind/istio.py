"""Istio on a kind cluster, installed by its own istioctl."""

from __future__ import annotations

import json
import os
from pathlib import Path

from clusters.embedded.node import mesh
from clusters.kind.images import HUB
from clusters.kind.preload import NodeImage
from lab.common import shell

FILE = Path(__file__).with_name("istio.yaml")


def install(images: NodeImage, kubeconfig: Path, folder: Path) -> None:
    """Install the Istio of these images, and wait until istiod is ready.

    folder: the cluster's own, where istioctl's input is kept. Raises CommandFailed.
    """
    import yaml

    wanted = yaml.safe_load(FILE.read_text())
    settings = mesh.mesh_config(images.stack.flavour)
    del settings["rootNamespace"]
    spec = wanted["spec"]
    spec |= {"hub": HUB, "tag": images.stack.istio, "meshConfig": settings}
    spec["values"]["pilot"] = {"env": mesh.istiod_environment(images.stack.flavour)}
    if images.stack.flavour == "stock":
        spec["values"]["telemetry"] = {"enabled": False}
    file = folder / "istio.json"
    file.write_text(json.dumps(wanted))
    argv = [str(images.program("istioctl")), "install", "-y", f"--filename={file}"]
    argv += [f"--kubeconfig={kubeconfig}", "--readiness-timeout=120s"]
    shell.run(argv, cwd=folder, env={**os.environ, "HOME": str(folder)})
