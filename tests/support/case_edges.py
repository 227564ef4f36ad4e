"""Edges of which `observe` was once wrong or said too little: what it must say of each.

They are made of reports by users; each names the one that it is made of.
"""

from __future__ import annotations

from edges import CLIENT, MUTUAL, PLAIN, SERVER, Edge, ready_pods

from clusters.kube import Kube, Obj, documents
from lab.workloads import variants
from lab.workloads.manifests import EXCLUDED_PORTS, Setting, client, httpbin, stranger
from lab.workloads.variants import Variant

READ_FIRST = "timeout 3 bash -c 'exec 3<>/dev/tcp/{host}/{port}; head -n1 <&3'"
WAITS = frozenset({"a proxy waits for first bytes"})
REFUSED = frozenset({"TLS to a server that speaks none"})
GREETER = """
apiVersion: v1
kind: ServiceAccount
metadata: {name: NAME}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: NAME}
spec:
  selector: {matchLabels: {app: NAME}}
  template:
    metadata: {labels: {app: NAME, sidecar.istio.io/inject: "SIDECAR"}}
    spec:
      serviceAccountName: NAME
      containers:
      - name: greeter
        image: lab/istio-echo:1
        args: ["--tcp=9100", "--tcp=9101", "--server-first=9100"]
"""
OBJECTS = """
apiVersion: v1
kind: Service
metadata: {name: httpbin, annotations: {networking.istio.io/exportTo: "."}}
spec:
  selector: {app: httpbin}
  ports: [{name: http, port: 8000, targetPort: 8080}]
---
apiVersion: v1
kind: Service
metadata: {name: subset, annotations: {networking.istio.io/exportTo: "."}}
spec:
  selector: {app: httpbin}
  ports: [{name: http, port: 8006, targetPort: 8081}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: subset}
spec:
  hosts: [subset]
  exportTo: ["."]
  http: [{route: [{destination: {host: subset, subset: v1}}]}]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: subset}
spec:
  host: subset
  exportTo: ["."]
  subsets: [{name: v1, labels: {app: httpbin}, trafficPolicy: {tls: {mode: DISABLE}}}]
---
apiVersion: v1
kind: Service
metadata: {name: greeter, annotations: {networking.istio.io/exportTo: "."}}
spec:
  selector: {app: greeter}
  ports: [{port: 9103, targetPort: 9100}]
---
apiVersion: v1
kind: Service
metadata: {name: excluded, annotations: {networking.istio.io/exportTo: "."}}
spec:
  selector: {app: excluded}
  ports: [{name: http, port: 8005, targetPort: 8080}]
---
apiVersion: v1
kind: Service
metadata: {name: headless, annotations: {networking.istio.io/exportTo: "."}}
spec:
  clusterIP: None
  selector: {app: httpbin}
  ports: [{name: tcp-http, port: 8082}, {name: http, port: 8083}]
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: httpbin}
spec:
  selector: {matchLabels: {app: httpbin}}
  mtls: {mode: PERMISSIVE}
  portLevelMtls: {8083: {mode: DISABLE}}
"""
ENTRY = """
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: db}
spec:
  hosts: [db.example]
  exportTo: ["."]
  location: MESH_EXTERNAL
  resolution: STATIC
  ports: [{number: 9101, name: tcp-db, protocol: TCP}]
  endpoints: [{address: {one}}]
"""


def _planes(wire: str, server: str, counters: str, client_: str, config: str) -> dict[str, str]:
    return {
        "packets": wire,
        SERVER: server,
        "counters": counters,
        CLIENT: client_,
        "control plane": config,
    }


EDGES = (
    Edge(
        "HTTP/1.0 to a port that is named http",  # mosip/esignet#2559, istio/istio#15250
        "client",
        "httpbin:8000",
        PLAIN,
        _planes(PLAIN, PLAIN, PLAIN, "unknown", PLAIN),
        frozenset({"bypassed the sidecar"}),
        "curl -sSi -0 http://httpbin:8000/",
    ),
    Edge(
        "a route to a subset whose rule has TLS disabled",
        "client",
        "subset:8006",
        PLAIN,
        _planes(PLAIN, PLAIN, PLAIN, PLAIN, PLAIN),
    ),
    Edge(
        "an unnamed port of a server that speaks first",  # istio/istio#35232
        "client",
        "greeter:9103",
        "none",
        _planes("none", "unknown", "unknown", "unknown", "none"),
        WAITS,
        READ_FIRST.format(host="greeter", port=9103),
    ),
    Edge(
        "the same by a caller without a sidecar",
        "stranger",
        "greeter:9103",
        "none",
        _planes("none", "unknown", "unknown", "unknown", "none"),
        WAITS,
        READ_FIRST.format(host="greeter", port=9103),
    ),
    Edge(
        "a port that is excluded from the server's sidecar",  # istio/istio#30311
        "client",
        "excluded:8005",
        "mixed",
        _planes("mixed", "unknown", "unknown", "tls", "tls"),
        REFUSED,
    ),
    Edge(
        "a headless Service and a port-level DISABLE",  # istio/istio#39439
        "client",
        "headless:8083",
        "mixed",
        _planes("mixed", PLAIN, "unknown", "tls", "tls"),
        REFUSED,
        "curl -sS http://headless:8083/",
    ),
    Edge(
        "a pod's address, and a headless port of TCP",  # istio/istio#37431
        "client",
        "{httpbin}:8082",
        MUTUAL,
        _planes("tls", MUTUAL, MUTUAL, MUTUAL, MUTUAL),
        frozenset({"telemetry blind to TCP"}),
    ),
    Edge(
        "a ServiceEntry that takes the port from everybody",  # istio/istio#34585
        "client",
        "{two}:9101",
        PLAIN,
        _planes(PLAIN, "unknown", PLAIN, PLAIN, PLAIN),
        frozenset({"another server than was asked"}),
        "say {two} 9101 {marker}",
    ),
    Edge(
        "the host of a ServiceEntry",
        "client",
        "db.example:9101",
        PLAIN,
        _planes(PLAIN, "unknown", PLAIN, PLAIN, PLAIN),
        call="say {one} 9101 {marker}",
    ),
)


def deploy(kube: Kube, namespace: str) -> dict[str, str]:
    """Make the pods, wait for them, apply what names their addresses, and return these by name."""
    meta = {"name": namespace, "labels": {"istio-injection": "enabled"}}
    kube.apply([{"apiVersion": "v1", "kind": "Namespace", "metadata": meta}])
    setting = Setting()
    excluded = Variant("excluded", of="httpbin", annotations={EXCLUDED_PORTS: "8080"})
    greeters: list[Obj] = [
        obj
        for name, sidecar in (("greeter", "true"), ("one", "false"), ("two", "false"))
        for obj in documents(GREETER.replace("NAME", name).replace("SIDECAR", sidecar))
    ]
    kube.apply(documents(OBJECTS), namespace)
    made = (one for make in (client, stranger, httpbin) for one in make(setting))
    kube.apply([*made, *variants.manifests(excluded, setting), *greeters], namespace)
    wanted = {"client", "stranger", "httpbin", "excluded", "greeter", "one", "two"}
    addresses = ready_pods(kube, namespace, wanted)
    kube.apply(documents(ENTRY.replace("{one}", addresses["one"])), namespace)
    return addresses
