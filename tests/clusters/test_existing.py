"""A cluster that the lab did not create, used under the minimal role and nothing more."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import edges
import pytest
import yaml
from foreign import ROLE, Foreign, differences

from clusters.base import BY_LABEL, RUN_LABEL, me
from clusters.kube import Kube
from lab import failures

pytestmark = [pytest.mark.kind(own_cluster=True), pytest.mark.timeout(600)]
CLUSTER = ("--cluster", "context:foreign")
OURS = "with-istio"
"""Begins the name of every namespace of a run."""
LEFT_OVER = "left-over"


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Foreign]:
    """Without Istio yet."""
    made = Foreign(tmp_path_factory.mktemp("foreign"), f"foreign-{os.getpid()}")
    try:
        made.create()
        yield made
    finally:
        made.delete()


@pytest.fixture(scope="module")
def refused_without_istio(bare: Foreign) -> tuple[int, str]:
    """What the lab answers before Istio is there."""
    return bare.lab(bare.kubeconfig, "up", "--cluster", f"context:{bare.context}")


@pytest.fixture(scope="module")
def foreign(bare: Foreign, refused_without_istio: tuple[int, str]) -> Iterator[Foreign]:
    """With Istio."""
    assert refused_without_istio
    bare.install()
    with bare.stand_in():
        yield bare


def _roles() -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(ROLE.read_text()))


def test_a_cluster_without_istio_is_refused(refused_without_istio: tuple[int, str]) -> None:
    code, said = refused_without_istio
    assert code == 255
    assert "has no Istio that injects sidecars" in said


def test_every_missing_right_is_named_and_nothing_is_written(foreign: Foreign) -> None:
    objects = _roles()
    rules = [rule for one in objects for rule in one.get("rules", [])]
    for rule in rules:
        rule["resources"] = [name for name in rule["resources"] if name != "pods/exec"] or ["none"]
    next(rule for rule in rules if "namespaces" in rule["resources"])["verbs"].remove("delete")
    config = foreign.grant(yaml.safe_dump_all(objects))
    before = foreign.settled()
    code, said = foreign.lab(config, "run", "tcp_mtls", *CLUSTER)
    assert code == 255
    assert "lacks 3 rights: delete namespaces, get pods/exec, create pods/exec\n" in said
    assert "kubectl apply -f clusters/existing.yaml" in said
    assert differences(before, foreign.snapshot()) == []
    assert not (foreign.folder / "runs").exists()


def test_a_mesh_that_is_strict_for_all_is_named_before_anything_is_deployed(
    foreign: Foreign,
) -> None:
    strict = """
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: everybody, namespace: istio-system}
spec: {mtls: {mode: STRICT}}
"""
    foreign.kubectl("apply", "-f", "-", stdin=strict)
    try:
        code, said = foreign.lab(foreign.grant(), "run", "https_in_mtls", *CLUSTER)
    finally:
        foreign.kubectl("delete", "-f", "-", stdin=strict)
    assert code == 3
    assert "PeerAuthentication everybody makes the whole mesh STRICT, and open no other" in said
    assert ("create", "namespaces", "") not in foreign.requests()


def test_down_removes_what_this_user_made_here_and_nothing_else(foreign: Foreign) -> None:
    config = foreign.grant()
    run = f"{RUN_LABEL}=20260101t000000z-0000"
    labels = {
        LEFT_OVER: (run, f"{BY_LABEL}={me()}"),
        "of-another": (run, f"{BY_LABEL}=0123456789abcdef"),
        "somebody-elses": ("by=hand",),
    }
    for name, own in labels.items():
        foreign.kubectl("create", "namespace", name)
        foreign.kubectl("label", "namespace", name, *own)
    code, said = foreign.lab(config, "status", *CLUSTER)
    assert code == 0
    assert f"namespaces made by the lab: yours {LEFT_OVER}, others' of-another\n" in said
    assert foreign.lab(config, "down", *CLUSTER)[0] == 0
    names = foreign.kubectl("get", "namespaces", "--output=name").split()
    assert f"namespace/{LEFT_OVER}" not in names
    assert {"namespace/of-another", "namespace/somebody-elses"} <= set(names)
    foreign.kubectl("delete", "namespace", "of-another", "somebody-elses")


def test_a_shell_speaks_to_the_named_context(foreign: Foreign, tmp_path: Path) -> None:
    script = tmp_path / "shell"
    script.write_text("#!/bin/sh\nkubectl config current-context\nkubectl auth whoami\n")
    script.chmod(0o700)
    path = f"{foreign.bin}{os.pathsep}{os.environ['PATH']}"
    code, said = foreign.lab(foreign.grant(), "shell", *CLUSTER, SHELL=str(script), PATH=path)
    assert code == 0
    assert "\nforeign\n" in said
    assert "system:serviceaccount:istio-failure-lab:lab" in said


@pytest.mark.parametrize(
    "names",
    [
        ("rest_mtls",),
        pytest.param(failures.names(), marks=[pytest.mark.long, pytest.mark.timeout(1500)]),
    ],
    ids=["one", "all"],
)
def test_a_run_under_the_minimal_role_is_as_pinned_and_leaves_all_else_as_it_was(
    foreign: Foreign, names: Sequence[str]
) -> None:
    config = foreign.grant()
    before = foreign.settled()
    code, said = foreign.lab(config, "run", *names, *CLUSTER)
    assert code == 0, said
    code, said_of_end = foreign.lab(config, "down", *CLUSTER)
    assert code == 0, said_of_end  # it waits until all is gone
    assert differences(before, foreign.settled()) == []
    summary = json.loads((foreign.folder / "runs" / "latest" / "summary.json").read_text())
    assert set(summary["verdicts"]) == set(names)
    assert summary["stack"] | {"origin": ""} == {
        "kubernetes": summary["stack"]["kubernetes"],
        "istio": "1.31",
        "envoy": "1.38.3",
        "flavour": "stock",
        "origin": "",
    }
    _only_in_its_namespaces(foreign)
    if set(names) == set(failures.names()):
        assert summary["remedies"]["https_in_mtls"]["mesh-strict"]["word"] == "skipped"
        assert "https_in_mtls mesh-strict: skipped: it would change the whole mesh" in said
        assert "https_in_mtls C4a as posted: skipped" in said
        _nothing_granted_in_vain(foreign)


def _only_in_its_namespaces(foreign: Foreign) -> None:
    """By the API server's own audit log; a review is a question that is posted."""
    asked = (
        "authorization.k8s.io/selfsubjectaccessreviews",
        "authentication.k8s.io/selfsubjectreviews",
    )
    done = {one for one in foreign.requests() if one[1] not in asked}
    writes = {one for one in done if one[0] not in ("get", "list")}
    elsewhere = {one for one in writes if not one[2].startswith((OURS, LEFT_OVER))}
    assert elsewhere == {("create", "namespaces", "")}


def _nothing_granted_in_vain(foreign: Foreign) -> None:
    """Every right of the role was used."""
    used = {(verb, resource) for verb, resource, _ in foreign.requests()}
    used |= {("create", resource) for verb, resource in used if verb == "patch"}  # as it creates
    used |= {
        ("create", "pods/exec"),  # asked for beside `get`, since Kubernetes 1.35
        ("list", "apps/deployments"),  # to say why a pod does not come up; and istiod's version
    }
    granted = {
        (verb, "/".join(part for part in (group, resource) if part))
        for role in _roles()
        for rule in role.get("rules", [])
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }
    assert granted - used == set()


def test_an_edge_of_somebodys_pods_is_observed_and_packets_only_where_they_are_asked_for(
    foreign: Foreign,
) -> None:
    edges.deploy(Kube.from_kubeconfig(foreign.kubeconfig, foreign.context), "edges")
    config, before = foreign.grant(), foreign.requests()
    words = ["observe", *CLUSTER, "--from", "edges/client", "--to", "httpbin:8000"]
    code, said = foreign.lab(config, *words)
    assert code == 3, said
    assert "Together: UNKNOWN" in said
    assert "an ephemeral container in each" in " ".join(said.split())
    assert said.count("mutual TLS") >= 3, "the other planes say what they know"
    there = [one for one in foreign.requests() - before if one[2] == "edges"]
    assert {verb for verb, resource, _ in there if resource != "pods/exec"} <= {"get", "list"}
    pods = ["get", "pods", "--namespace=edges", "--output=jsonpath={..ephemeralContainers[*].name}"]
    assert foreign.kubectl(*pods) == ""
    code, said = foreign.lab(config, *words, "--packets")
    assert code == 0, said
    assert "Together: MUTUAL TLS" in said
    assert foreign.kubectl(*pods).split() == ["lab-capture"] * 2, (
        "in these two pods, and in no other"
    )


@pytest.mark.parametrize("role", ["read", "look"])
def test_an_audit_writes_nothing_and_says_what_its_role_cannot(
    foreign: Foreign, role: str, tmp_path: Path
) -> None:
    """Under `read` no proxy is asked: what they hold is generated. Under `look` each is."""
    edges.deploy(Kube.from_kubeconfig(foreign.kubeconfig, foreign.context), f"audit-{role}")
    config = foreign.grant(_audit_role(role))
    for bound in ("istio-failure-lab", "istio-failure-lab-packets"):
        foreign.kubectl("delete", "clusterrolebinding", bound, "--ignore-not-found")
    first, file = len(foreign.audited()), tmp_path / "audit.json"
    words = ["-n", f"audit-{role}", "--json", str(file), "--fail-on", "medium"]
    code, said = foreign.lab(config, "audit", *CLUSTER, *words)
    assert code == 1, said
    found = json.loads(file.read_text())
    assert "plaintext-accepted" in {one["rule"] for one in found["findings"]}
    asked = {one[:2] for one in foreign.requests(first)}
    reviews = ("create", "authorization.k8s.io/selfsubjectaccessreviews")
    writes = {one for one in asked if one[0] not in ("get", "list")} - {reviews}
    assert not any(resource == "pods/exec" for _, resource in asked)
    if role == "read":
        assert writes == set()
        assert "generated by istiod's own code" in said
    else:
        assert writes <= {("create", "pods/portforward")}
        assert any(resource == "pods/portforward" for _, resource in asked)
        assert found["assumed"] == []


def _audit_role(role: str) -> str:
    """clusters/audit.yaml, bound to the lab's account as somebody would bind it."""
    account = {"kind": "ServiceAccount", "name": "lab", "namespace": "istio-failure-lab"}
    objects = [*yaml.safe_load_all((ROLE.with_name("audit.yaml")).read_text())]
    given = [one for one in objects if role == "look" or one["metadata"]["name"].endswith("read")]
    group = "rbac.authorization.k8s.io"
    bindings = [
        {
            "apiVersion": f"{group}/v1",
            "kind": f"{one['kind']}Binding",
            "metadata": one["metadata"],
            "roleRef": {"apiGroup": group, "kind": one["kind"], "name": one["metadata"]["name"]},
            "subjects": [account],
        }
        for one in given
    ]
    meta = {"name": "istio-failure-lab"}
    there = [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": meta},
        {
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": {**meta, "name": "lab", "namespace": meta["name"]},
        },
    ]
    return yaml.safe_dump_all([*there, *given, *bindings])
