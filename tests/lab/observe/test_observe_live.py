"""`lab observe` on real clusters: every plane is right of one edge of each sort."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import case_edges
import edges
import pytest
from edges import EDGES, MUTUAL, PLAIN, Edge

from clusters.base import OwnCluster
from clusters.embedded.cluster import Embedded
from lab.common.wait import until
from lab.judge import planes
from lab.judge.disagreements import find_disagreements
from lab.judge.edge import observe_edge
from lab.model import store
from lab.observe import stored, text
from lab.predict.cluster import Live
from lab.predict.question import answers, typed
from lab.record import kube_proxy

NAMESPACE, CASES = "edges", "cases"
ON = [
    pytest.param("cluster", marks=pytest.mark.cluster, id="embedded"),
    pytest.param("kind_cluster", marks=[pytest.mark.kind, pytest.mark.timeout(600)], id="kind"),
]
Deploy = Callable[..., dict[str, str]]


@pytest.fixture(scope="module")
def deploy() -> Iterator[Deploy]:
    """Makes the edges' pods on a cluster, once, and tells their addresses."""
    made: dict[tuple[str, str], tuple[OwnCluster, dict[str, str]]] = {}
    makers = {NAMESPACE: edges.deploy, CASES: case_edges.deploy}

    def once(cluster: OwnCluster, namespace: str = NAMESPACE) -> dict[str, str]:
        key = cluster.kind, namespace
        if key not in made:
            made[key] = cluster, makers[namespace](cluster.kube, namespace)
        return made[key][1]

    yield once
    for (_, namespace), (cluster, _) in made.items():
        edges.remove(cluster.kube, namespace)


@pytest.fixture(params=ON)
def place(request: pytest.FixtureRequest, deploy: Deploy) -> tuple[OwnCluster, dict[str, str]]:
    """A cluster with the edges' pods, and their addresses."""
    cluster: OwnCluster = request.getfixturevalue(request.param)
    return cluster, deploy(cluster)


@pytest.fixture(params=ON)
def case_place(request: pytest.FixtureRequest, deploy: Deploy) -> tuple[OwnCluster, dict[str, str]]:
    """A cluster with the pods of the reported cases, and their addresses."""
    cluster: OwnCluster = request.getfixturevalue(request.param)
    return cluster, deploy(cluster, CASES)


@pytest.fixture
def deployed(cluster: Embedded, deploy: Deploy) -> Embedded:
    """The session's embedded cluster, with the edges' pods."""
    deploy(cluster)
    return cluster


# A connection from a port that is free again at once, and remembered on its way.
BROKEN_OFF = """
import socket, struct, sys
link = socket.socket()
link.bind(("", int(sys.argv[1])))
link.connect((sys.argv[2], int(sys.argv[3])))
link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
link.close()
"""


def observe(cluster: OwnCluster, runs: Path, *words: str) -> tuple[int, str]:
    """`istio-lab observe ...`: code, and what it said."""
    env = {**os.environ, "LAB_CLUSTER_NAME": cluster.name, "LAB_RUNS": str(runs)}
    argv = [sys.executable, "-m", "lab", "observe", *words]
    done = subprocess.run(
        argv, cwd=store.ROOT, env=env, capture_output=True, text=True, timeout=280
    )
    return done.returncode, done.stdout + done.stderr


def with_addresses(text: str, addresses: dict[str, str]) -> str:
    """A text in which `{httpbin}` and the like stand for pods' addresses."""
    for name, address in addresses.items():
        text = text.replace(f"{{{name}}}", address)
    return text


@pytest.mark.parametrize("edge", EDGES, ids=lambda edge: edge.name)
def test_every_plane_is_right_of_an_edge_of_each_sort(
    edge: Edge, place: tuple[OwnCluster, dict[str, str]], tmp_path: Path
) -> None:
    every_plane_is_right(edge, *place, NAMESPACE, tmp_path)


@pytest.mark.parametrize("edge", case_edges.EDGES, ids=lambda edge: edge.name)
def test_every_plane_is_right_of_an_edge_that_somebody_reported(
    edge: Edge, case_place: tuple[OwnCluster, dict[str, str]], tmp_path: Path
) -> None:
    every_plane_is_right(edge, *case_place, CASES, tmp_path)


def every_plane_is_right(
    edge: Edge, cluster: OwnCluster, addresses: dict[str, str], namespace: str, tmp_path: Path
) -> None:
    to, call = (with_addresses(one, addresses) for one in (edge.to, edge.call))
    words = ["--cluster", cluster.kind, "--from", f"{namespace}/{edge.source}", "--to", to]
    code, said = observe(cluster, tmp_path, *words, "--call", call)
    assert code == 0, said
    run = next(tmp_path.glob("2*"))
    case = stored.read(run)
    seen = stored.seen(case)
    assert seen is not None
    told = {plane.name: plane.read(case, seen).security for plane in planes.witnesses()}
    assert (seen.security, told) == (edge.together, edge.planes), said
    found = observe_edge(case, seen)
    assert {odd.name for odd in find_disagreements(found)} == edge.odd
    assert (run / "edge" / "planes.svg").exists()
    assert (run / "edge" / "call.pcapng").exists()
    again, told_again = observe(cluster, tmp_path, run.name)
    assert again == 0
    assert text.text(case, 100) in told_again


@pytest.mark.parametrize("edge", EDGES, ids=lambda edge: edge.name)
def test_the_model_foretells_how_an_edge_of_each_sort_is_carried(
    edge: Edge, place: tuple[OwnCluster, dict[str, str]]
) -> None:
    cluster, addresses = place
    to = edge.to.replace("{httpbin}", addresses["httpbin"])
    sends = "tls" if "https://" in edge.call else "http1.1"
    question = typed(f"{NAMESPACE}/{edge.source}", to, sends, "/")
    ways = [way for one in answers(Live(cluster), question) for way in one.ways]
    assert {way.outcome for way in ways} == {"arrives"}, ways
    assert {way.wire.security for way in ways if way.wire} == {edge.together}


@pytest.mark.cluster
def test_of_a_connection_that_is_older_than_the_capture_what_crossed_since_is_told(
    deployed: Embedded, tmp_path: Path
) -> None:
    words = ["--from", f"{NAMESPACE}/client", "--to", "httpbin:8000"]
    # A proxy has a pool for each of its threads: within a few calls one is used again.
    for _ in range(4):
        code, said = observe(deployed, tmp_path, *words)
        assert code == 0, said
    cases = [stored.read(run) for run in sorted(tmp_path.glob("2*"))]
    seen = [one for one in map(stored.seen, cases) if one]
    assert {one.security for one in seen} == {"mutual_tls"}
    older = [one for one in seen if "began before the capture" in one.wire.why]
    assert older
    assert all(one.counted.security == "unknown" for one in older), "no connection was opened"


@pytest.mark.cluster
@pytest.mark.parametrize(
    ("first", "port", "to", "call"),
    [
        # A node sends on what is for the ClusterIP, to where the first connection went.
        (8080, "41000", "httpbin:8000", "http://httpbin:8000/"),
        # Both are redirected to the sidecar's one port.
        (8081, "41001", "{httpbin}:8080", "http://{httpbin}:8080/"),
    ],
    ids=["by the node", "in the pod"],
)
def test_a_connection_that_is_given_another_port_on_its_way_is_known_all_the_same(
    first: int, port: str, to: str, call: str, cluster: Embedded, deploy: Deploy, tmp_path: Path
) -> None:
    addresses = deploy(cluster)
    to, call = (one.format(**addresses) for one in (to, call))
    stranger = edges.pod(cluster.kube, NAMESPACE, "stranger")
    argv = ["python3", "-c", BROKEN_OFF, port, addresses["httpbin"], str(first)]
    done = cluster.exec(stranger, argv)
    assert done.code == 0, done.stderr
    words = ["--from", f"{NAMESPACE}/stranger", "--to", to]
    typed = f"curl -sS --local-port {port} {call}"
    code, said = observe(cluster, tmp_path, *words, "--call", typed)
    assert code == 0, said
    seen = stored.seen(stored.read(next(tmp_path.glob("2*"))))
    assert seen
    assert (seen.security, seen.server.security, seen.strangeness) == ("plaintext", PLAIN, "")
    left, came = (seen.wire.packets.client, seen.wire.packets.client_at_server)
    assert str(left).endswith(f":{port}")
    assert left != came
    assert seen.server_line
    assert seen.server_line["downstream_remote_address"] == came


@pytest.mark.cluster
def test_a_connection_that_comes_to_its_own_sidecar_from_another_port_is_known_all_the_same(
    cluster: Embedded, deploy: Deploy, tmp_path: Path
) -> None:
    addresses, port = deploy(cluster), "41002"
    client = edges.pod(cluster.kube, NAMESPACE, "client")
    # To whomever: all that leaves the pod is redirected to its sidecar's one port.
    argv = ["python3", "-c", BROKEN_OFF, port, addresses["httpbin"], "8081"]
    done = cluster.exec(client, argv)
    assert done.code == 0, done.stderr
    words = ["--from", f"{NAMESPACE}/client", "--to", "b:8443"]
    # No request id tells whose line it is: the application speaks TLS of its own.
    typed = f"curl -sS -k --local-port {port} https://b:8443/"
    code, said = observe(cluster, tmp_path, *words, "--call", typed)
    assert code == 0, said
    case = stored.read(next(tmp_path.glob("2*")))
    seen = stored.seen(case)
    assert seen
    assert (seen.security, seen.client.security, seen.strangeness) == (MUTUAL, MUTUAL, "")
    (recorded,) = case.evidence.calls
    assert recorded.local_port == int(port)
    assert seen.record.local_port != int(port), "conntrack gave it no other port"
    assert seen.client_line
    came = str(seen.client_line["downstream_remote_address"])
    assert came.endswith(f":{seen.record.local_port}")


@pytest.mark.cluster
def test_a_service_whose_port_gets_another_name_is_waited_for(
    cluster: Embedded, deploy: Deploy
) -> None:
    deploy(cluster)
    pods = [edges.pod(cluster.kube, NAMESPACE, name) for name in ("stranger", "client")]
    routes = [kube_proxy.ServiceRoute(pod, "httpbin") for pod in pods]
    address = edges.cluster_ip(cluster.kube, NAMESPACE, "httpbin")

    def call(*, waited: bool) -> int:
        """Give the port another name, and call. curl's 7: refused; 28: nothing came back."""
        for name in ("tcp-other", "http"):
            port = replace(edges.SERVICES[0].ports[0], name=name)
            renamed = replace(edges.SERVICES[0], ports=(port,))
            cluster.kube.apply(renamed.manifest, NAMESPACE)
            if waited:
                kube_proxy.wait(cluster, routes)
            argv = ["curl", "-sS", "--max-time", "0.5", f"http://{address}:8000/status/200"]
            code = next((c for _ in range(10) if (c := cluster.exec(pods[0], argv).code)), 0)
            if code:
                return code
        return 0

    assert [call(waited=True) for _ in range(5)] == [0] * 5
    until(lambda: call(waited=False), "a call to be refused without waiting", timeout=30)


@pytest.mark.cluster
@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["--to", "httpbin:8000"], 254, "observe takes --from POD and --to SERVICE:PORT"),
        (["--from", "edges/clint", "--to", "httpbin:8000"], 254, "did you mean edges/client-"),
        (["--from", "edges/client", "--to", "htpbin:8000"], 254, "did you mean httpbin?"),
        (["--from", "edges/client", "--to", "httpbin:80"], 254, "has no port 80: it has 8000"),
        (["--from", "edges/client", "--to", "httpbin"], 254, "is not SERVICE:PORT"),
        (["--from", "edges/client", "--to", "10.1.2.3:80"], 254, "0 ready pods have the address"),
        (["--from", "edges/httpbin", "--to", "httpbin:8000"], 254, "would call itself"),
        (["--from", "edges/client", "--to", "httpbin:8000", "--call", "a 'b"], 254, "as a command"),
        (["20200101T000000Z-abcd"], 254, "no recorded edge"),
    ],
)
def test_what_is_not_there_is_refused_and_the_nearest_is_named(
    words: list[str], code: int, told: str, deployed: Embedded, tmp_path: Path
) -> None:
    came, said = observe(deployed, tmp_path, *words)
    assert (came, "Traceback" in said) == (code, False), said
    assert told in said


@pytest.mark.cluster
def test_a_program_that_the_pod_does_not_have_is_said_and_concludes_nothing(
    deployed: Embedded, tmp_path: Path
) -> None:
    words = ["--from", f"{NAMESPACE}/client", "--to", "httpbin:8000", "--call", "wget-of-nobody x"]
    code, said = observe(deployed, tmp_path, *words)
    assert code == 3, said
    assert "wget-of-nobody" in said
    assert "Traceback" not in said
