"""Kubernetes' control plane and node services: which binary with which flags."""

from __future__ import annotations

from pathlib import Path

import urllib3

from clusters.embedded import settings
from clusters.embedded.node.processes import Processes
from clusters.embedded.pki import Pki
from clusters.kube import Kube, Obj
from lab.common.errors import ClusterGone, LabError
from lab.common.wait import until

ETCD = "http://127.0.0.1:2379"


def start_api(processes: Processes, pki: Pki, data: Path) -> None:
    """Start etcd and the API server at once: the API server waits for etcd by itself."""
    processes.start(
        "etcd",
        [
            f"--data-dir={data}",
            f"--listen-client-urls={ETCD}",
            f"--advertise-client-urls={ETCD}",
            "--listen-peer-urls=http://127.0.0.1:2380",
            "--unsafe-no-fsync",  # the data live and die with the cluster
            "--log-level=warn",
        ],
    )
    processes.start("kube-apiserver", _api_flags(pki))


def _api_flags(pki: Pki) -> list[str]:
    return [
        f"--etcd-servers={ETCD}",
        f"--advertise-address={settings.NODE_IP}",
        f"--secure-port={settings.API_PORT}",
        f"--tls-cert-file={pki.path('apiserver.crt')}",
        f"--tls-private-key-file={pki.path('apiserver.key')}",
        f"--token-auth-file={pki.path('tokens.csv')}",
        "--authorization-mode=Node,RBAC",
        "--anonymous-auth=false",
        f"--service-cluster-ip-range={settings.SERVICE_NETWORK}",
        f"--service-account-issuer={settings.ISSUER}",
        f"--service-account-key-file={pki.path('sa.key')}",
        f"--service-account-signing-key-file={pki.path('sa.key')}",
        f"--api-audiences={settings.ISSUER},istio-ca",
        "--kubelet-preferred-address-types=InternalDNS",
        f"--kubelet-certificate-authority={pki.path('ca.crt')}",
        f"--kubelet-client-certificate={pki.path('apiserver-kubelet-client.crt')}",
        f"--kubelet-client-key={pki.path('apiserver-kubelet-client.key')}",
        "--allow-privileged=true",
        "--enable-priority-and-fairness=false",
        "--profiling=false",
    ]


def admin(pki: Pki) -> Kube:
    """Return the API as the cluster's administrator, from inside."""
    pool = urllib3.PoolManager(maxsize=64, ca_certs=pki.path("ca.crt"))
    return Kube(
        f"https://127.0.0.1:{settings.API_PORT}",
        pool,
        {"Authorization": f"Bearer {pki.admin_token}"},
    )


def wait_for_api(kube: Kube) -> None:
    """Wait until the API server answers and has made its first namespace."""

    def look() -> bool:
        try:
            return kube.get("/api/v1/namespaces/default") is not None
        except (ClusterGone, LabError):
            return False

    until(look, "the API server", timeout=60, hint="its log is logs/kube-apiserver.log")


def wait_healthy(kube: Kube) -> None:
    """Wait for the API server's first roles: without them controllers end after 10 s."""

    def look() -> bool:
        try:
            return bool(kube.request("GET", "/healthz"))
        except LabError:
            return False

    until(look, "the API server to be healthy", timeout=60)


def kubeconfig(pki: Pki, server: str) -> Obj:
    """Return a kubeconfig for kubectl and the control plane, with the administrator's token."""
    ca = Path(pki.path("ca.crt")).read_bytes()
    import base64

    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "lab",
        "clusters": [
            {
                "name": "lab",
                "cluster": {
                    "server": server,
                    "certificate-authority-data": base64.b64encode(ca).decode(),
                },
            }
        ],
        "users": [{"name": "lab", "user": {"token": pki.admin_token}}],
        "contexts": [{"name": "lab", "context": {"cluster": "lab", "user": "lab"}}],
    }


def start_rest(processes: Processes, pki: Pki, config: Path, folder: Path) -> None:
    """Start controllers, scheduler, Service rules and DNS."""
    processes.start(
        "kube-controller-manager",
        [
            f"--kubeconfig={config}",
            f"--service-account-private-key-file={pki.path('sa.key')}",
            f"--root-ca-file={pki.path('ca.crt')}",
            "--leader-elect=false",
            "--profiling=false",
            # By default 20 and 30 requests: the pods of many Deployments would wait for each other.
            "--kube-api-qps=300",
            "--kube-api-burst=500",
        ],
    )
    processes.start("kube-scheduler", [f"--kubeconfig={config}", "--leader-elect=false"])
    processes.start(
        "kube-proxy",
        [
            f"--kubeconfig={config}",
            f"--hostname-override={settings.NODE_NAME}",
            f"--cluster-cidr={settings.POD_NETWORK}",
            "--proxy-mode=iptables",
            "--iptables-min-sync-period=50ms",
            # Limits of the whole kernel, which are not the lab's to change.
            "--conntrack-max-per-core=0",
            "--conntrack-min=0",
            "--conntrack-tcp-timeout-established=0",
            "--conntrack-tcp-timeout-close-wait=0",
        ],
    )
    corefile = folder / "Corefile"
    corefile.write_text(_corefile(config))
    processes.start("coredns", ["-conf", str(corefile)])


def start_streaming(processes: Processes, pki: Pki, config: Path, kubelet: Path) -> None:
    """Start the kubelet's HTTPS server. Only the node itself reaches it, so no pod does."""
    processes.start(
        "kubelet-streaming",
        [
            f"--listen=127.0.0.1:{settings.KUBELET_PORT}",
            f"--kubelet={kubelet}",
            f"--node={settings.NODE_NAME}",
            f"--kubeconfig={config}",
            f"--client-ca-file={pki.path('ca.crt')}",
            f"--tls-cert-file={pki.path('kubelet.crt')}",
            f"--tls-private-key-file={pki.path('kubelet.key')}",
        ],
    )


def _corefile(config: Path) -> str:
    """Return CoreDNS's configuration: Service names from the API, NXDOMAIN at once for others."""
    return f"""{settings.CLUSTER_DOMAIN}:53 in-addr.arpa:53 {{
    bind {settings.NODE_IP}
    errors
    ready {settings.NODE_IP}:8181
    kubernetes {settings.CLUSTER_DOMAIN} in-addr.arpa {{
        kubeconfig {config}
        pods insecure
        ttl 5
    }}
}}
.:53 {{
    bind {settings.NODE_IP}
    template ANY ANY . {{
        rcode NXDOMAIN
    }}
}}
"""


def node_service(name: str, namespace: str, cluster_ip: str | None, ports: list[Obj]) -> list[Obj]:
    """Return a Service for something that runs on the node itself: no selector, one endpoint."""
    spec: Obj = {"ports": ports, **({"clusterIP": cluster_ip} if cluster_ip else {})}
    targets = [
        {"name": p["name"], "port": p["targetPort"], "protocol": p.get("protocol", "TCP")}
        for p in ports
    ]
    meta = {"name": name, "namespace": namespace}
    labels = {"kubernetes.io/service-name": name, "endpointslice.kubernetes.io/managed-by": "lab"}
    return [
        {"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": spec},
        {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {**meta, "labels": labels},
            "addressType": "IPv4",
            "endpoints": [{"addresses": [settings.NODE_IP], "conditions": {"ready": True}}],
            "ports": targets,
        },
    ]


def dns_service() -> list[Obj]:
    """Return the Service kube-dns at the address that pods' resolv.conf names."""
    ports = [
        {"name": "dns", "port": 53, "targetPort": 53, "protocol": "UDP"},
        {"name": "dns-tcp", "port": 53, "targetPort": 53, "protocol": "TCP"},
    ]
    return node_service("kube-dns", "kube-system", settings.DNS_SERVICE_IP, ports)
