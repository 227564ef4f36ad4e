"""How long an audit of a large mesh takes, and how much memory: 200 workloads, 500 ports.

    .venv/bin/python benchmarks/audit_scale.py            writes benchmarks/audit_scale.json
    .venv/bin/python benchmarks/audit_scale.py --workloads 50 --ports 100

What proxies hold is made by istiod's own code, of objects that are made up here. `shared`: all
proxies are told the same of all Services, as in a mesh without Sidecar resources. `distinct`: each
workload's namespace has a DestinationRule and an EnvoyFilter of its own, so that no two proxies
hold an equal cluster, listener or route. The audit itself is timed, as a process of its own that
reads files; what makes the files is not.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from clusters.kube import Obj
from lab.audit.changed import generator
from lab.audit.changed.meshes import has_proxy
from lab.audit.rendered import completed
from lab.model import store

RESULT = Path(__file__).with_name("audit_scale.json")
NOW = "2026-01-01T00:00:00Z"
SERVICES_OF = "shop"
NAMES = ("http", "tcp-db", "grpc", "https", "")


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workloads", type=int, default=200)
    parser.add_argument("--ports", type=int, default=500)
    parser.add_argument("--only", choices=("shared", "distinct"))
    options = parser.parse_args(argv)
    told: dict[str, Any] = json.loads(RESULT.read_text()) if RESULT.exists() else {}
    for kind in (options.only,) if options.only else ("shared", "distinct"):
        folder = Path(tempfile.mkdtemp(prefix="lab-scale-"))
        try:
            made = write(folder, [*objects(options.workloads, options.ports, kind == "distinct")])
            found = {**made, **timed(folder)}
        finally:
            shutil.rmtree(folder)
        print(kind, found, flush=True)
        told[f"{kind}, {options.workloads} workloads, {options.ports} ports"] = found
    RESULT.write_text(json.dumps({**told, "cores": os.cpu_count()}, indent=1) + "\n")
    return 0


def objects(workloads: int, ports: int, distinct: bool) -> Iterator[Obj]:
    """Yield manifests. distinct: each workload has a namespace and settings of its own."""
    for number in range(workloads):
        space = f"{SERVICES_OF}-{number}" if distinct else SERVICES_OF
        labels = {"app": f"w{number}"}
        containers = [{"name": "app", "image": "app", "ports": [{"containerPort": 8080}]}]
        yield {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": f"w{number}", "namespace": space},
            "spec": {
                "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": {"containers": containers}},
            },
        }
        if distinct:
            yield from settings(space, number)
    for number in range(ports):
        of = number % workloads
        name = NAMES[number % len(NAMES)]
        port: Obj = {"port": 8000 + number, "targetPort": 8080}
        yield {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {
                "name": f"s{number}",
                "namespace": f"{SERVICES_OF}-{of}" if distinct else SERVICES_OF,
            },
            "spec": {
                "selector": {"app": f"w{of}"},
                "ports": [{**port, "name": name} if name else port],
            },
        }


def settings(space: str, number: int) -> Iterator[Obj]:
    """Yield what makes each resource of a namespace's proxies differ from all others'."""
    yield {
        "apiVersion": "networking.istio.io/v1",
        "kind": "DestinationRule",
        "metadata": {"name": "own", "namespace": space},
        "spec": {
            "host": "*.svc.cluster.local",
            "exportTo": ["."],
            "trafficPolicy": {"connectionPool": {"tcp": {"maxConnections": 1000 + number}}},
        },
    }
    merged = {
        "LISTENER": {"per_connection_buffer_limit_bytes": 100_000 + number},
        "VIRTUAL_HOST": {"request_headers_to_remove": [f"x-{number}"]},
    }
    yield {
        "apiVersion": "networking.istio.io/v1alpha3",
        "kind": "EnvoyFilter",
        "metadata": {"name": "own", "namespace": space},
        "spec": {
            "configPatches": [
                {"applyTo": part, "patch": {"operation": "MERGE", "value": value}}
                for part, value in merged.items()
            ]
        },
    }


def write(folder: Path, manifests: list[Obj]) -> dict[str, Any]:
    """Write what `kubectl get` and `istioctl proxy-config all` would; return its size."""
    plane = completed.default_plane()
    generator.build(plane, print)
    whole = completed.complete(manifests, plane, NOW)
    proxied = [one for one in whole.objects if has_proxy(one)]
    made = generator.generate(
        plane, whole.objects, [(one, None) for one in proxied], whole.services
    )
    assert len(made.dumps) == len(proxied), made.errors
    listed = {"kind": "List", "items": [*whole.objects, *made.slices]}
    (folder / "objects.json").write_text(json.dumps(listed))
    for number, (name, dump) in enumerate(made.dumps.items()):
        space, _, pod = name.partition("/")
        node = {"id": f"sidecar~{address(proxied, name)}~{pod}.{space}~{space}.svc.cluster.local"}
        (folder / f"{number}.json").write_text(
            json.dumps({"configs": [{"bootstrap": {"node": node}}, *dump["configs"]]})
        )
    size = sum(path.stat().st_size for path in folder.iterdir())
    return {"proxies": len(proxied), "megabytes of files": round(size / 1e6)}


def address(pods: list[Obj], name: str) -> str:
    """Return the address of a pod, by `namespace/name`."""
    for one in pods:
        if f"{one['metadata']['namespace']}/{one['metadata']['name']}" == name:
            return str(one["status"]["podIP"])
    raise AssertionError(name)


def timed(folder: Path) -> dict[str, Any]:
    """Audit the files in a process of its own; return edges, seconds, and its most memory."""
    result = folder.with_suffix(".json")
    argv = [sys.executable, "-m", "lab", "audit", str(folder), "--json", str(result)]
    began = time.monotonic()
    running = subprocess.Popen(argv, cwd=store.ROOT, stdout=subprocess.DEVNULL)
    _, _, used = os.wait4(running.pid, 0)
    seconds = time.monotonic() - began
    told = json.loads(result.read_text())
    result.unlink()
    return {
        "edges": told["edges"]["walked"],
        "findings": len(told["findings"]),
        "seconds": round(seconds, 1),
        "gigabytes": round(used.ru_maxrss / 1e6, 2),
    }


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
