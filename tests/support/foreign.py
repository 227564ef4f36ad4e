"""Clusters that the lab did not create: plain kind and istioctl, as somebody else would use them.

What is shared with the lab's own kind clusters is only what images are made of.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from clusters.embedded.node import alpn, mesh
from clusters.kind import engine as engines
from clusters.kind.images import HUB, Built, Programs
from lab.common import shell
from lab.common.wait import until
from lab.model import store

ROLE = store.ROOT / "clusters" / "existing.yaml"
ACCOUNT = "system:serviceaccount:istio-failure-lab:lab"
SETTINGS = "/etc/foreign"
"""Where the node and its API server see the folder `settings`."""
Objects = dict[str, dict[str, Any]]
# What changes by itself in a cluster that nobody touches, and tells of no write of the lab's.
VOLATILE_KINDS = {
    "events",  # said by controllers of what happens in namespaces that are gone by then
    "events.events.k8s.io",
    "leases.coordination.k8s.io",  # heartbeats of nodes and leaders
    "endpoints",  # these two follow the readiness of pods, CoreDNS's on a busy machine too
    "endpointslices.discovery.k8s.io",
    "componentstatuses",  # not stored: looked at anew each time
}
VOLATILE_FIELDS = ("resourceVersion", "managedFields")  # they follow a status
VOLATILE_ANNOTATION = "control-plane.alpha.kubernetes.io/leader"  # istiod's heartbeat as a leader


class Foreign:
    """One node with Istio; its kubeconfig is nobody's but its own.

    restricted: with istio-cni, no access log, and Pod Security `restricted` enforced wherever a
    namespace says nothing else.
    """

    def __init__(self, folder: Path, name: str, *, restricted: bool = False) -> None:
        self.folder, self.name, self.restricted = folder, name, restricted
        self.kubeconfig = folder / "kubeconfig"
        self.settings = folder / "settings"
        self._programs = Programs.ensure("1.31", _silent)

    @property
    def context(self) -> str:
        """The administrator's, as kind names it."""
        return f"kind-{self.name}"

    @property
    def bin(self) -> Path:
        """Where a kubectl lies."""
        return self._programs.mesh.bin

    def create(self) -> None:
        """The cluster, without Istio."""
        self.settings.mkdir()
        _write(self.settings / "audit.yaml", _audit())
        _write(self.settings / "admission.yaml", _admission(self.restricted))
        with engines.lease():
            engine = engines.obtain(_silent)
            image = Built(self._programs, _silent).ensure(engine)
            config = _write(self.folder / "kind.yaml", self._definition(image))
            argv = [str(self._programs.bin("kind")), "create", "cluster", f"--name={self.name}"]
            argv += [f"--config={config}", f"--kubeconfig={self.kubeconfig}", "--wait=120s"]
            shell.run(argv, cwd=self.folder, env=engine.environment)

    def install(self) -> None:
        """Istio."""
        file = _write(self.folder / "istio.yaml", self._istio())
        argv = [str(self._programs.bin("istioctl")), "install", "-y", f"--filename={file}"]
        argv += [f"--kubeconfig={self.kubeconfig}", "--readiness-timeout=120s"]
        shell.run(argv, cwd=self.folder, env={**os.environ, "HOME": str(self.folder)})

    def delete(self) -> None:
        """Its container, and the network and the engine where they were only for it."""
        engine = engines.find()
        assert engine, "it holds the cluster"
        engine.run("rm", "--force", "--volumes", f"{self.name}-control-plane")
        if engine.own:
            engine.run("network", "rm", "kind")  # which fails while another is on it
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
        argv = [str(self.bin / "kubectl"), f"--kubeconfig={self.kubeconfig}", *words]
        done = subprocess.run(argv, input=stdin, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, f"kubectl {' '.join(words)}: {done.stderr}"
        return done.stdout

    def grant(self, roles: str = "") -> Path:
        """A kubeconfig with the rights of clusters/existing.yaml, or of other YAML, and no more.

        Its only context is `foreign`, and it is not the current one.
        """
        self.kubectl("apply", "-f", "-", stdin=roles or ROLE.read_text())
        account = ("lab", "--namespace=istio-failure-lab", "--duration=2h")
        token = self.kubectl("create", "token", *account).strip()
        config = yaml.safe_load(self.kubeconfig.read_text())
        config["users"] = [{"name": "lab", "user": {"token": token}}]
        config["contexts"][0]["name"] = "foreign"
        config["contexts"][0]["context"]["user"] = "lab"
        del config["current-context"]
        return _write(self.folder / "role.yaml", config)

    def lab(self, config: Path, *words: str, **env: str) -> tuple[int, str]:
        """`istio-lab ...` with a kubeconfig: its code, and what it printed."""
        own = {"KUBECONFIG": str(config), "LAB_RUNS": str(self.folder / "runs"), **env}
        done = subprocess.run(
            [sys.executable, "-m", "lab", *words],
            cwd=store.ROOT,
            env={**os.environ, **own},
            capture_output=True,
            text=True,
            timeout=1200,
        )
        return done.returncode, done.stdout + done.stderr

    def audited(self) -> list[str]:
        """The lines of the API server's audit log."""
        return (self.settings / "audit.log").read_text().splitlines()

    def requests(self, since: int = 0) -> set[tuple[str, str, str]]:
        """(verb, resource, namespace) of each request that the lab's account was allowed.

        `pods/exec`, `security.istio.io/peerauthentications`: subresource and group are named.
        since: the line of the log that is the first to count.
        """
        found = set()
        for line in self.audited()[since:]:
            event = json.loads(line)
            what = event.get("objectRef", {})
            allowed = event["annotations"]["authorization.k8s.io/decision"] == "allow"
            if allowed and what:
                parts = [what.get(key) for key in ("apiGroup", "resource", "subresource")]
                name = "/".join(part for part in parts if part)
                found.add((event["verb"], name, what.get("namespace", "")))
        return found

    def snapshot(self) -> Objects:
        """Every object of every kind, but for what changes by itself."""
        listed = self.kubectl("api-resources", "--verbs=list", "--output=name").split()
        kinds = ",".join(sorted(set(listed) - VOLATILE_KINDS))
        found = json.loads(self.kubectl("get", kinds, "--all-namespaces", "--output=json"))
        return dict(map(_plain, found["items"]))

    def settled(self) -> Objects:
        """A snapshot that stays the same: controllers have ended what they were at."""
        seen: list[Objects] = []

        def look() -> bool:
            seen.append(self.snapshot())
            return len(seen) > 1 and seen[-1] == seen[-2]

        def changing() -> str:
            return "; ".join(differences(*seen[-2:]))

        until(look, "the cluster to settle", timeout=60, every=1, last_seen=changing)
        return seen[-1]

    def _definition(self, image: str) -> dict[str, Any]:
        mount = {"hostPath": str(self.settings), "containerPath": SETTINGS}
        kubelet = {
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "failCgroupV1": False,
        }
        api = {
            "apiVersion": "kubeadm.k8s.io/v1beta4",
            "kind": "ClusterConfiguration",
            "apiServer": _api_server(),
        }
        return {
            "kind": "Cluster",
            "apiVersion": "kind.x-k8s.io/v1alpha4",
            "networking": {"ipFamily": "ipv4"},
            "nodes": [{"role": "control-plane", "image": image, "extraMounts": [mount]}],
            "kubeadmConfigPatches": [json.dumps(patch) for patch in (kubelet, api)],
        }

    def _istio(self) -> dict[str, Any]:
        small = {"requests": {"cpu": "5m", "memory": "32Mi"}}
        pilot = {"resources": small, "hpaSpec": {"minReplicas": 1, "maxReplicas": 1}}
        config = mesh.mesh_config("stock")
        del config["rootNamespace"]
        values: dict[str, Any] = {
            "global": {"proxy": {"resources": small}, "proxy_init": {"resources": small}},
            "telemetry": {"enabled": False},
            "pilot": {"env": mesh.WITHOUT_OWN_FILTERS},
        }
        components: dict[str, Any] = {"pilot": {"k8s": pilot}}
        if self.restricted:
            components["cni"] = {"enabled": True, "namespace": "istio-system"}
            config = {name: config[name] for name in config if not name.startswith("accessLog")}
            del config["defaultConfig"]["fileFlushInterval"]
        spec = {"profile": "minimal", "hub": HUB, "tag": self._programs.mesh.stack.istio}
        spec |= {"meshConfig": config, "components": components, "values": values}
        kind = {"apiVersion": "install.istio.io/v1alpha1", "kind": "IstioOperator"}
        return {**kind, "spec": spec}


def differences(one: Objects, other: Objects) -> list[str]:
    """Which objects are not the same in two snapshots, by name, and in which fields."""
    found = []
    for name in sorted(one.keys() | other.keys()):
        mine, theirs = one.get(name, {}), other.get(name, {})
        fields = [key for key in mine.keys() | theirs.keys() if mine.get(key) != theirs.get(key)]
        if fields:
            told = {key: (mine.get(key), theirs.get(key)) for key in fields}
            found.append(f"{name}: {str(told)[:400]}")
    return found


def _plain(item: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """An object by its name; without its status, which is what controllers report."""
    meta = {key: value for key, value in item["metadata"].items() if key not in VOLATILE_FIELDS}
    annotations = meta.get("annotations", {})
    annotations.pop(VOLATILE_ANNOTATION, None)
    if meta["name"] == alpn.NAME:
        del meta["generation"]  # its owner's stand-in writes it anew as Services come and go
    name = f"{item['kind']} {meta.get('namespace', '')}/{meta['name']}"
    return name, {**item, "metadata": meta, "status": None}


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
        "exemptions": {"namespaces": ["kube-system", "istio-system"]},
    }
    return {
        "apiVersion": "apiserver.config.k8s.io/v1",
        "kind": "AdmissionConfiguration",
        "plugins": [{"name": "PodSecurity", "configuration": security}],
    }


def _write(path: Path, content: Any) -> Path:
    path.write_text(yaml.safe_dump(content))
    return path


def _silent(_step: str) -> None:
    """Nobody listens."""
