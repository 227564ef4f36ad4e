"""Brings the cluster up inside its namespaces, and serves until it is told to end."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import threading
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from clusters.doctor import sidecars
from clusters.embedded import network, pki
from clusters.embedded.kubelet import server
from clusters.embedded.kubelet.kubelet import Kubelet
from clusters.embedded.node import forward, mesh, plane
from clusters.embedded.node.alpn import AlpnStandIn
from clusters.embedded.node.control import Control
from clusters.embedded.node.processes import Processes
from clusters.embedded.settings import API_PORT, STANDS, Settings
from clusters.kube import Kube, Obj
from lab.common.errors import LabError
from lab.common.shell import how_it_ended
from lab.common.wait import until

INSIDE = Path("/run/lab")
KNOWN_AS = {"pilot-discovery": "istiod"}


class Node:
    """One cluster's life inside. Its folder is a tmpfs that ends with it."""

    def __init__(self, settings: Settings, progress_fd: int) -> None:
        self._settings = settings
        self._progress = os.fdopen(progress_fd, "w", buffering=1)
        self._ready = 0.0
        logs = settings.root / "logs"
        logs.mkdir(exist_ok=True)
        self._processes = Processes(Path(settings.bin), logs, self._died)

    def tell(self, **event: object) -> None:
        """Write one JSON line to the process that brings the cluster up; later nobody reads."""
        try:
            self._progress.write(json.dumps(event) + "\n")
        except (OSError, ValueError):
            pass  # the reader has gone, or was told all and the pipe is closed

    def up(self, api: socket.socket, control: socket.socket) -> None:
        """Start everything, from the first process to a mesh that injects sidecars."""
        _private_run()
        network.prepare_node()
        keys = pki.create(INSIDE / "pki")
        self.tell(step="Kubernetes API")
        plane.start_api(self._processes, keys, INSIDE / "etcd")
        config = INSIDE / "kubeconfig"
        config.write_text(json.dumps(plane.kubeconfig(keys, f"https://127.0.0.1:{API_PORT}")))
        kube = plane.admin(keys)
        crds = mesh.custom_resources(Path(self._settings.share))
        plane.wait_for_api(kube)
        forward.serve(api)
        self._write_kubeconfig(keys)
        self.tell(step="Istio's objects")
        self._install(kube, crds)
        self.tell(step="istiod, controllers, Services, DNS")
        flavour = self._settings.flavour
        istiod = mesh.start_istiod(self._processes, config, INSIDE / "istiod", flavour)
        plane.wait_healthy(kube)
        plane.start_rest(self._processes, keys, config, INSIDE)
        if flavour == "stock":
            AlpnStandIn(kube, mesh.NAMESPACE).start()
        kubelet = Kubelet(kube, self._settings, INSIDE / "pods", {"istiod": istiod})
        kubelet.start()
        server.serve(kubelet, INSIDE / "kubelet.sock")
        plane.start_streaming(self._processes, keys, config, INSIDE / "kubelet.sock")
        Control(control, kubelet, self.status).start()
        self._wait_ready(kube)
        self._ready = time.time()
        self.tell(step="ready", done=True)
        self._progress.close()

    def _install(self, kube: Kube, crds: list[Obj]) -> None:
        name = {"name": mesh.NAMESPACE}
        kube.apply([{"apiVersion": "v1", "kind": "Namespace", "metadata": name}])
        settings = self._settings
        rest = mesh.objects(Path(settings.share), settings.istio, settings.flavour)
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda obj: kube.apply([obj]), [*crds, *rest, *plane.dns_service()]))

    def _wait_ready(self, kube: Kube) -> None:
        """Wait until a pod made now would be injected, scheduled, reachable and resolvable."""
        until(lambda: _http_ok("127.0.0.1", 8080, "/ready"), "istiod", timeout=60)
        until(lambda: _http_ok("10.244.0.1", 8181, "/ready"), "CoreDNS", timeout=30)
        webhook = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"
        until(lambda: _trusted(kube, webhook), "istiod's webhook certificate", timeout=30)
        until(lambda: _services_programmed(kube), "kube-proxy's rules", timeout=30)
        until(lambda: _ready_replicas(kube), "istiod's pod", timeout=30)

    def _write_kubeconfig(self, keys: pki.Pki) -> None:
        path = self._settings.root / "kubeconfig"
        path.touch(mode=0o600)
        host = f"https://127.0.0.1:{self._settings.api_port}"
        path.write_text(json.dumps(plane.kubeconfig(keys, host), indent=1))

    def status(self) -> dict[str, object]:
        """Return what `istio-lab status` shows."""
        return {
            "ready": self._ready,
            "processes": {s.name: s.started for s in self._processes.started.values()},
            "inotify": sidecars.held(sidecars.UID),
        }

    def _died(self, name: str, code: int) -> None:
        """End the cluster because one of its processes ended, and write down which."""
        text = f"{KNOWN_AS.get(name, name)} {how_it_ended(code)}, and with it the whole cluster"
        (self._settings.root / "died").write_text(text + "\n")
        self.tell(error=text, log=name)
        os._exit(1)


def run(path: Path, api_fd: int, control_fd: int, progress_fd: int, owner_fd: int) -> None:
    """Bring the cluster up, and run until this process is ended or its owner ends."""
    # What is ignored here would be in every container: a job in the background ignores Ctrl-C.
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    threading.Thread(target=_end_with, args=(owner_fd,), daemon=True, name="owner").start()
    node = Node(Settings.load(path), progress_fd)
    try:
        node.up(socket.socket(fileno=api_fd), socket.socket(fileno=control_fd))
    except (LabError, OSError) as error:
        traceback.print_exc()
        node.tell(error=str(error))
        os._exit(1)
    threading.Event().wait()


def _end_with(owner_fd: int) -> None:
    """End as soon as the process does that started the cluster, unless it leaves it standing."""
    if os.read(owner_fd, 1) != STANDS:
        os._exit(0)


def _private_run() -> None:
    """Mount a tmpfs on /run, for netns names, iptables' lock, and the cluster's data."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=0755", "tmpfs", "/run"], check=True)
    network.NETNS.mkdir()
    for name in ("", "pods"):
        (INSIDE / name).mkdir(exist_ok=True)


def _http_ok(host: str, port: int, path: str) -> bool:
    import http.client

    link = http.client.HTTPConnection(host, port, timeout=2)
    try:
        link.request("GET", path)
        return link.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        link.close()


def _trusted(kube: Kube, path: str) -> bool:
    found = kube.get(f"{path}/istio-sidecar-injector") or {"webhooks": []}
    return all(hook["clientConfig"].get("caBundle") for hook in found["webhooks"])


def _ready_replicas(kube: Kube) -> bool:
    path = f"/apis/apps/v1/namespaces/{mesh.NAMESPACE}/deployments/istiod"
    return bool((kube.get(path) or {}).get("status", {}).get("readyReplicas"))


def _services_programmed(kube: Kube) -> bool:
    """Tell whether the webhook's Service answers at its ClusterIP."""
    service = kube.get(f"/api/v1/namespaces/{mesh.NAMESPACE}/services/istiod")
    if service is None:
        return False
    try:
        socket.create_connection((service["spec"]["clusterIP"], 443), 0.3).close()
        return True
    except OSError:
        return False
