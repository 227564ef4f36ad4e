"""What is wrong with a kind cluster itself, so that one sentence can say it instead of many."""

from __future__ import annotations

from clusters.kind.engine import Engine
from clusters.kube import Kube
from lab.common.errors import LabError, TimedOut
from lab.common.wait import until

DISKS = ("/var", "/var/lib/etcd", "/var/log/pods")
"""Where a node writes; mostly one disk."""
FULL = 8 << 20
"""Bytes. With less than that etcd, images and logs fail one after the other."""
PATIENCE = 20.0
"""Seconds for a node or istiod to answer: a machine with too much to do is no trouble yet."""
INJECTED = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"generateName": "probe-", "labels": {"sidecar.istio.io/inject": "true"}},
    "spec": {"containers": [{"name": "probe", "image": "probe"}]},
}


def of_nodes(engine: Engine, cluster: str, count: int) -> str:
    """Return a node that is gone, has ended, was started again or has a full disk; or nothing."""
    label = f"--filter=label=io.x-k8s.kind.cluster={cluster}"
    listed = engine.run("ps", "--all", "--quiet", label)
    if listed.returncode:
        return "the Docker engine no longer answers"
    ids = listed.stdout.decode().split()
    if len(ids) < count:
        return f"{count - len(ids)} of {count} nodes of kind cluster {cluster} are gone"
    return next(filter(None, (_of_node(engine, one) for one in ids)), "")


def _of_node(engine: Engine, node: str) -> str:
    """Return what is wrong with a node; one that is ending is looked at until it has ended."""
    told: list[str | None] = [None]

    def answers() -> bool:
        told[0] = _ended(engine, node) or _full(engine, node)
        return told[0] is not None

    try:
        until(answers, f"node {node}", timeout=PATIENCE, every=0.5)
    except TimedOut:
        return f"node {_named(engine, node)} does not answer"
    return told[0] or ""


def _ended(engine: Engine, node: str) -> str:
    """Return how a node has ended; empty: it runs."""
    form = "{{.State.Running}} {{.State.ExitCode}} {{.RestartCount}}"
    told = engine.run("inspect", "--format", form, node).stdout.decode().split()
    if not told:
        return f"node {node} is gone"
    running, code, restarts = told
    if running != "true":
        return f"node {_named(engine, node)} does not run any more: it ended with code {code}"
    return "" if restarts == "0" else f"node {_named(engine, node)} ended and was started again"


def _full(engine: Engine, node: str) -> str | None:
    """Return which of a node's disks is full; empty: none. None: the node does not answer."""
    argv = ["exec", node, "df", "--block-size=1", "--output=avail,target", *DISKS]
    lines = engine.run(*argv).stdout.decode().splitlines()[1:]
    for free, place in (one.split(maxsplit=1) for one in lines):
        if int(free) < FULL:
            left = f"{int(free) >> 10} KB are left at {place}"
            return f"the disk of node {_named(engine, node)} is full: {left}"
    return "" if lines else None


def _named(engine: Engine, node: str) -> str:
    told = engine.run("inspect", "--format", "{{.Name}}", node).stdout.decode().strip()
    return told.lstrip("/") or node


def of_istiod(kube: Kube) -> str:
    """Return why istiod injects no sidecar, by a dry run; or nothing."""
    seen = [""]

    def injects() -> bool:
        try:
            path = "/api/v1/namespaces/default/pods"
            kube.request("POST", path, INJECTED, query={"dryRun": "All"})
        except LabError as refused:
            seen[0] = str(refused)
            return False
        return True

    try:
        until(injects, "istiod", timeout=PATIENCE, every=0.5)
    except TimedOut:
        return f"istiod cannot be reached: {seen[0]}"
    return ""
