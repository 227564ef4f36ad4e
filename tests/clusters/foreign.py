"""Clusters that the lab did not create: plain kind and istioctl, as somebody else would use them.

What is shared with the lab's own kind clusters is only what images are made of.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from clusters.embedded.node import mesh
from clusters.kind import engine as engines
from clusters.kind.images import HUB, Built, Programs
from lab import shell, store

ROLE = store.ROOT / "clusters" / "existing.yaml"
ACCOUNT = "system:serviceaccount:istio-failure-lab:lab"
SETTINGS = "/etc/foreign"
"""Where a node and its API server see `Foreign.settings`."""
EXEMPT = ["kube-system", "istio-system"]


class Foreign:
    """One node with Istio; its kubeconfig is nobody's but its own.

    restricted: with istio-cni, and Pod Security `restricted` enforced wherever a namespace says
    nothing else.
    """

    def __init__(self, folder: Path, *, restricted: bool = False) -> None:
        self.folder, self.restricted = folder, restricted
        self.name = f"foreign-{'restricted' if restricted else 'plain'}-{os.getpid()}"
        self.kubeconfig = folder / "kubeconfig"
        self.settings = folder / "settings"
        self._programs = Programs.ensure("1.31", _silent)
        self._engine = engines.obtain(_silent)

    @property
    def context(self) -> str:
        """As kind names it."""
        return f"kind-{self.name}"

    def up(self) -> None:
        """Create it, and install Istio."""
        image = Built(self._programs, _silent).ensure(self._engine)
        self.settings.mkdir(mode=0o755)
        self._write("audit.yaml", _audit())
        self._write("admission.yaml", _admission(self.restricted))
        config = self._write("kind.yaml", self._definition(image))
        argv = [str(self._programs.bin("kind")), "create", "cluster", f"--name={self.name}"]
        argv += [f"--config={config}", f"--kubeconfig={self.kubeconfig}", "--wait=120s"]
        shell.run(argv, cwd=self.folder, env=self._engine.environment)
        install = self._write("istio.yaml", self._istio())
        argv = [str(self._programs.bin("istioctl")), "install", "-y", f"--filename={install}"]
        argv += [f"--kubeconfig={self.kubeconfig}", "--readiness-timeout=120s"]
        shell.run(argv, cwd=self.folder, env={**os.environ, "HOME": str(self.folder)})

    def down(self) -> None:
        """Its container, and the network and the engine where they were only for it."""
        self.kubeconfig.unlink(missing_ok=True)  # which ends the stand-in
        self._engine.run("rm", "--force", "--volumes", f"{self.name}-control-plane")
        if self._engine.own:
            self._engine.run("network", "rm", "kind")
        engines.stop()

    @contextmanager
    def stand_in(self) -> Iterator[None]:
        """What a stock Envoy lacks (clusters/kind/alpn.py), meanwhile."""
        argv = [sys.executable, "-m", "clusters.kind.alpn", str(self.kubeconfig)]
        with subprocess.Popen(argv, cwd=store.ROOT, stdin=subprocess.DEVNULL) as process:
            try:
                yield
            finally:
                process.terminate()

    def kubectl(self, *words: str, stdin: str = "") -> str:
        """As its administrator."""
        argv = [str(self._programs.bin("kubectl")), f"--kubeconfig={self.kubeconfig}", *words]
        done = subprocess.run(argv, input=stdin, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, f"kubectl {' '.join(words)}: {done.stderr}"
        return done.stdout

    def grant(self, roles: str = "") -> Path:
        """A kubeconfig with the rights of clusters/existing.yaml, or of other YAML, and no more."""
        self.kubectl("apply", "-f", "-", stdin=roles or ROLE.read_text())
        account = ("lab", "--namespace=istio-failure-lab", "--duration=2h")
        token = self.kubectl("create", "token", *account).strip()
        config = yaml.safe_load(self.kubeconfig.read_text())
        config["users"] = [{"name": "lab", "user": {"token": token}}]
        config["contexts"][0] |= {"name": "foreign"}
        config["contexts"][0]["context"]["user"] = "lab"
        del config["current-context"]
        return self._write("role.yaml", config)

    def requests(self) -> set[tuple[str, str, str]]:
        """(verb, resource, namespace) of each request that was allowed to the lab's account."""
        found = set()
        for line in (self.settings / "audit.log").read_text().splitlines():
            event = json.loads(line)
            what = event.get("objectRef", {})
            if event["annotations"]["authorization.k8s.io/decision"] != "allow" or not what:
                continue
            names = [what.get(key) for key in ("apiGroup", "resource", "subresource")]
            resource = "/".join(name for name in names if name)
            found.add((event["verb"], resource, what.get("namespace", "")))
        return found

    def _write(self, name: str, content: Any) -> Path:
        folder = self.settings if name in ("audit.yaml", "admission.yaml") else self.folder
        path = folder / name
        path.write_text(yaml.safe_dump(content))
        return path

    def _definition(self, image: str) -> dict[str, Any]:
        mount = {"hostPath": str(self.settings), "containerPath": SETTINGS}
        patches = [
            {"kind": "KubeletConfiguration", "failCgroupV1": False},
            {"kind": "ClusterConfiguration", "apiVersion": "kubeadm.k8s.io/v1beta4"}
            | {"apiServer": _api_server()},
        ]
        patches[0]["apiVersion"] = "kubelet.config.k8s.io/v1beta1"
        return {
            "kind": "Cluster",
            "apiVersion": "kind.x-k8s.io/v1alpha4",
            "networking": {"ipFamily": "ipv4"},
            "nodes": [{"role": "control-plane", "image": image, "extraMounts": [mount]}],
            "kubeadmConfigPatches": [json.dumps(patch) for patch in patches],
        }

    def _istio(self) -> dict[str, Any]:
        small = {"requests": {"cpu": "5m", "memory": "32Mi"}}
        config = mesh.mesh_config()
        del config["rootNamespace"]
        values: dict[str, Any] = {
            "global": {"proxy": {"resources": small}, "proxy_init": {"resources": small}},
            "telemetry": {"enabled": False},
            "pilot": {"env": mesh.WITHOUT_OWN_FILTERS},
        }
        components: dict[str, Any] = {
            "pilot": {"k8s": {"resources": small, "hpaSpec": {"minReplicas": 1, "maxReplicas": 1}}}
        }
        if self.restricted:
            components["cni"] = {"enabled": True, "namespace": "istio-system"}
            values["cni"] = {"resources": small}
        return {
            "apiVersion": "install.istio.io/v1alpha1",
            "kind": "IstioOperator",
            "spec": {
                "profile": "minimal",
                "hub": HUB,
                "tag": self._programs.mesh.stack.istio,
                "meshConfig": config,
                "components": components,
                "values": values,
            },
        }


def _api_server() -> dict[str, Any]:
    arguments = {
        "audit-policy-file": f"{SETTINGS}/audit.yaml",
        "audit-log-path": f"{SETTINGS}/audit.log",
        "admission-control-config-file": f"{SETTINGS}/admission.yaml",
    }
    volume = {"name": "foreign", "hostPath": SETTINGS, "mountPath": SETTINGS}
    return {
        "extraArgs": [{"name": name, "value": value} for name, value in arguments.items()],
        "extraVolumes": [{**volume, "pathType": "Directory"}],
    }


def _audit() -> dict[str, Any]:
    """Every request of the lab's account, once it is answered."""
    rules = [{"level": "Metadata", "users": [ACCOUNT]}, {"level": "None"}]
    meta = {"apiVersion": "audit.k8s.io/v1", "kind": "Policy"}
    return {**meta, "omitStages": ["RequestReceived", "ResponseStarted"], "rules": rules}


def _admission(restricted: bool) -> dict[str, Any]:
    security = {
        "apiVersion": "pod-security.admission.config.k8s.io/v1",
        "kind": "PodSecurityConfiguration",
        "defaults": {"enforce": "restricted" if restricted else "privileged"},
        "exemptions": {"namespaces": EXEMPT},
    }
    return {
        "apiVersion": "apiserver.config.k8s.io/v1",
        "kind": "AdmissionConfiguration",
        "plugins": [{"name": "PodSecurity", "configuration": security}],
    }


def _silent(_step: str) -> None:
    """Nobody listens."""


def remove(folder: Path) -> None:
    """Its files; the audit log is root's."""
    shutil.rmtree(folder, ignore_errors=True)
