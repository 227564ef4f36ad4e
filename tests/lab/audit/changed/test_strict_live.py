"""STRICT for a namespace with a stranger, headless Services, and probes: foretold, then done."""

from __future__ import annotations

from collections.abc import Iterator

import changing
import pytest

from clusters import mesh
from clusters.embedded.cluster import Embedded
from lab import declare as d
from lab.audit import edges
from lab.audit.changed import compare, live
from lab.common.wait import until
from lab.record import readiness, world
from lab.record.world import LiveWorld
from lab.workloads import variants
from lab.workloads.manifests import Setting

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]
RUN = "20000101t000000z-strict"
MIXED = {"part": "mixed"}
INJECTED = d.Variant("injected", of="httpbin", labels=MIXED)
BARE = d.Variant("bare", of="httpbin", labels=MIXED, sidecar=False)
AS_WRITTEN = d.Variant(
    "as-written", of="httpbin",
    annotations={"sidecar.istio.io/rewriteAppHTTPProbers": "false"},
)  # fmt: skip
REWRITTEN = d.Variant("rewritten", of="httpbin")
PERMISSIVE = d.world(
    "permissive",
    "posted",
    "headless Services, one of them with a pod that has no sidecar",
    ("client", "stranger", INJECTED, BARE),
    (d.headless("alone", 8082, workload="injected"),),
    objects=d.headless_by_label("mixed", MIXED, {"http": 8081}),
)


@pytest.fixture(scope="module")
def there(cluster: Embedded) -> Iterator[LiveWorld]:
    """A PERMISSIVE namespace; two of its pods are probed by HTTP, one as Istio rewrites that."""
    try:
        made = world.deploy(cluster, PERMISSIVE, RUN, "strict_breaks", mesh.read(cluster.kube))
        for one in (AS_WRITTEN, REWRITTEN):
            objects = variants.manifests(one, Setting())
            (container,) = objects[-1]["spec"]["template"]["spec"]["containers"]
            port = container["readinessProbe"]["tcpSocket"]["port"]
            container["readinessProbe"] = {
                "httpGet": {"path": "/status/200", "port": port}, "periodSeconds": 1,
            }  # fmt: skip
            cluster.kube.apply(objects, made.namespace)
        readiness.wait_ready(cluster, made)
        until(lambda: ready(cluster, made) == {"as-written", "rewritten"}, "both to be ready",
              timeout=60, every=0.2)  # fmt: skip
        assert readiness.wait_active(cluster, made) == ""
        yield made
    finally:
        world.remove(cluster, RUN)
        # What goes meanwhile would be seen by the next tests' audits.
        until(lambda: not world.namespaces_of_run(cluster, RUN), "their end", timeout=60, every=0.2)


def ready(cluster: Embedded, there: LiveWorld) -> set[str]:
    """Which of the two that are probed by HTTP are ready."""
    return {
        one["metadata"]["labels"]["app"]
        for one in cluster.kube.items(f"/api/v1/namespaces/{there.namespace}/pods")
        for condition in one["status"].get("conditions", ())
        if (condition["type"], condition["status"]) == ("Ready", "True")
    } & {"as-written", "rewritten"}


def test_strict_breaks_strangers_headless_services_and_probes_as_foretold(
    cluster: Embedded, there: LiveWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAB_CLUSTER_NAME", cluster.name)
    change, space = changing.strict(there.namespace), there.namespace
    expected = changing.foretold(live.read(cluster, print), [change])
    was, foretold = (edges.walk_all(one) for one in (expected.before, expected.after))
    effects = {(one.caller, one.to): one.effect for one in compare.changes(was, foretold)}
    outside = "a client outside the mesh"
    with_sidecar = [f"{space}/{name}" for name in ("client", "as-written", "rewritten")]
    assert effects == {
        **{(one, f"mixed.{space}:8081"): "partly breaks" for one in (*with_sidecar, outside)},
        (outside, f"alone.{space}:8082"): "breaks",
        ("the kubelet", f"readiness probe of {space}/as-written, container as-written"): "breaks",
    }

    ends = (("mixed:8081", "injected"), ("mixed:8081", "bare"), ("alone:8082", "injected"))
    calls = [(source, *end) for source in ("client", "stranger") for end in ends]

    def answers() -> set[tuple[str, str, str]]:
        found = set()
        for source, service, pod in calls:
            resolved = f"{service}:{there.pods[pod].ip}"
            argv = ["curl", "-sS", "-m", "5", "-o", "/dev/null", "-w", "%{http_code}",
                    "--resolve", resolved, f"http://{service}/get"]  # fmt: skip
            status = cluster.exec(there.pods[source], argv).stdout.decode()
            found |= {(source, service, pod)} if status == "200" else set()
        return found

    before = answers()
    assert before == {*calls}
    after_files = changing.applied(cluster, [change], expected)
    breaks = {
        ("client", "mixed:8081", "injected"),
        ("stranger", "mixed:8081", "injected"),
        ("stranger", "alone:8082", "injected"),
    }
    # A connection that the client's proxy kept is served until the server's proxy has drained it.
    until(lambda: before - answers() == breaks, "these to break", timeout=90, every=0.2)
    until(
        lambda: ready(cluster, there) == {"rewritten"}, "the probe to fail", timeout=30, every=0.2
    )
    becomes = edges.walk_all(changing.real(after_files))
    assert compare.changes(foretold, becomes) == []
