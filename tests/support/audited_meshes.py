"""Worlds for an audit of a real mesh: of the lab's failures, and one with what they do not have."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from clusters import mesh
from clusters.base import Cluster, OwnCluster, PodRef
from clusters.kube import Obj
from clusters.stacks import assembly, binaries
from lab import declare as d
from lab import failures
from lab.common.wait import until
from lab.model.parameters import with_parameters
from lab.model.scenario import World
from lab.record import envoy_admin, readiness, world
from lab.workloads import variants
from lab.workloads.manifests import Setting
from lab.workloads.variants import Variant

RUN = "20000101t000000z-audt"
WORLDS = (("wrong_version_number", "posted"), ("wrong_version_number", "numbered"),
          ("sidecar_scope", "posted"))  # fmt: skip
OWN = "audit", "own"
"""The world of this file."""


def rule(name: str, host: str, tls: str, more: str = "") -> str:
    """The DestinationRule of a host, with its TLS."""
    return f"""\
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: {name}}}
spec: {{host: {host}, trafficPolicy: {{tls: {{{tls}}}}}{more}}}
"""


def with_port(rule: str) -> str:
    """The same rule with settings of its port that do not speak of TLS."""
    return rule.replace("trafficPolicy: {", f"trafficPolicy: {{portLevelSettings: [{OF_PORT}], ")


def for_all(name: str, target: int) -> str:
    """A Service of httpbin that is exported to all namespaces."""
    return f"""\
apiVersion: v1
kind: Service
metadata: {{name: {name}, annotations: {{networking.istio.io/exportTo: "*"}}}}
spec: {{selector: {{app: httpbin}}, ports: [{{name: http, port: 8000, targetPort: {target}}}]}}
"""


TO_SUBSET = """\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: subset}
spec: {hosts: [subset], http: [{route: [{destination: {host: subset, subset: old}}]}]}
"""
SUBSET = ", subsets: [{name: old, labels: {app: httpbin}, trafficPolicy: {tls: {mode: DISABLE}}}]"
OF_PORT = "{port: {number: 8000}, connectionPool: {tcp: {maxConnections: 9}}}"
MUTUAL, DISABLE = "mode: ISTIO_MUTUAL", "mode: DISABLE"
CLIENT = "cluster.local/ns/{namespace}/sa/client"
ALLOWED = (
    f"{{from: [{{source: {{principals: [{CLIENT}]}}}}], to: [{{operation: {{ports: ['8082']}}}}]}}"
    ", {to: [{operation: {notPorts: ['8082']}}]}"
)


def own_world() -> World:
    """Return a namespace in which each Service of httpbin has a cause of its own, but the first."""
    httpbin = d.service("httpbin", 8000, target=8080)
    raw = d.service("raw", 8000, "tcp-raw", target=8080, workload="httpbin")
    others = (
        d.service(name, 8000, target=target, workload="httpbin")
        for name, target in (
            ("credential", 8081),
            ("allowed", 8082),
            ("twice", 8083),
            ("subset", 8083),
            ("settings", 8083),
            ("replaced", 8083),
        )
    )
    return d.world(
        *("own", "during", "what no failure has"),
        ("client", "httpbin", "stranger"),
        (httpbin, raw, *others),
        "PERMISSIVE",
        objects=d.together(
            rule("credential", "credential", "mode: SIMPLE, credentialName: no-such"),
            rule("allowed", "allowed", DISABLE),
            d.authorization_policy("allowed", "httpbin", "ALLOW", ALLOWED),
            rule("twice-a", "twice", DISABLE),
            rule("twice-b", "twice", MUTUAL),
            rule("subset", "subset", MUTUAL, SUBSET),
            TO_SUBSET,
            with_port(rule("settings", "settings", DISABLE)),
            with_port(rule("replaced", "replaced", "mode: SIMPLE, insecureSkipVerify: true")),
            for_all("nearer", 8084),
            rule("nearer", "nearer", MUTUAL),
            for_all("kept", 8084),
            rule("kept", "kept", DISABLE, ", exportTo: ['.']"),
        ),
    )


def as_proxy() -> list[Obj]:
    """Return a caller whose process has the uid of the sidecar."""
    made = variants.manifests(Variant("as-proxy", of="client"), Setting())
    pod = next(one for one in made if one["kind"] == "Deployment")["spec"]["template"]["spec"]
    pod["containers"][0].setdefault("securityContext", {}).update(runAsUser=1337, runAsGroup=1337)
    return made


def _wait_for(cluster: Cluster, pod: PodRef, *names: str, kind: str = "destination-rule/") -> None:
    """Wait until a proxy's configuration names these objects."""

    def missing() -> list[str]:
        text = json.dumps(envoy_admin.config_dump(cluster, pod))
        return [one for one in names or ("",) if f"{kind}{one}" not in text]

    until(
        lambda: not missing(), f"{kind} of {pod.name}", timeout=60, last_seen=lambda: str(missing())
    )


@contextmanager
def deployed(cluster: Cluster) -> Iterator[dict[tuple[str, str], str]]:
    """Deploy the worlds: (failure, world) -> its namespace, with everything active."""
    settings = mesh.read(cluster.kube)
    live = {}
    try:
        for name, declared in WORLDS:
            failure = failures.load(name)
            defaults = {key: one.default for key, one in failure.parameters.items()}
            failure = with_parameters(failure, defaults)
            live[name, declared] = world.deploy(
                cluster, failure.world(declared), RUN, name, settings
            )
        live[OWN] = world.deploy(cluster, own_world(), RUN, "audit", settings)
        host = f"nearer.{live[OWN].namespace}.svc.cluster.local"
        cluster.kube.apply(rule("nearer-here", host, DISABLE), live[WORLDS[0]].namespace)
        cluster.kube.apply(as_proxy(), live[OWN].namespace)
        for one in live.values():
            readiness.wait_ready(cluster, one)
            if one is not live[OWN]:
                problem = readiness.wait_active(cluster, one)
                assert not problem, problem
        names = "credential", "allowed", "twice-a", "kept", "subset", "replaced"
        _wait_for(cluster, live[OWN].pods["client"], *names)
        _wait_for(cluster, live[WORLDS[0]].pods["client"], "nearer-here")
        _wait_for(cluster, live[OWN].pods["httpbin"], kind="policy[allowed]")
        yield {key: one.namespace for key, one in live.items()}
    finally:
        world.remove(cluster, RUN)
        # What goes meanwhile would be seen by the next tests' audits.
        until(lambda: not world.namespaces_of_run(cluster, RUN), "their end", timeout=60, every=0.2)


def bug_report(cluster: OwnCluster, folder: Path) -> Path:
    """The archive that istioctl's bug-report makes of a cluster."""
    istioctl = binaries.build(assembly.wanted().tools, print) / "bin" / "istioctl"
    path = f"{cluster.bin}{os.pathsep}{os.environ['PATH']}"  # it runs kubectl
    subprocess.run(
        [istioctl, "bug-report", f"--kubeconfig={cluster.kubeconfig}"],
        cwd=folder,
        env={**os.environ, "PATH": path, "HOME": str(folder)},
        capture_output=True,
        check=True,
        timeout=300,
    )
    return folder / "bug-report.tar.gz"
