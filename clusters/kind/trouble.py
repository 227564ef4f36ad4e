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
    form = "{{.Name}} {{.State.Running}} {{.State.ExitCode}} {{.RestartCount}}"
    told = engine.run("inspect", "--format", form, node).stdout.decode().split()
    if not told:
        return f"node {node} is gone"
    name, running, code, restarts = told
    name = name.lstrip("/")
    if running != "true":
        return f"node {name} does not run any more: it ended with code {code}"
    if restarts != "0":
        return f"node {name} ended and was started again"
    return _full(engine, name)


def _full(engine: Engine, node: str) -> str:
    argv = ["exec", node, "df", "--block-size=1", "--output=avail,target", *DISKS]
    told: list[str] = []

    def tells() -> bool:
        told[:] = engine.run(*argv).stdout.decode().splitlines()[1:]
        return bool(told)

    try:
        until(tells, f"node {node}", timeout=PATIENCE, every=0.5)
    except TimedOut:
        return f"node {node} does not answer"
    for line in told:
        free, place = line.split(maxsplit=1)
        if int(free) < FULL:
            return f"the disk of node {node} is full: {int(free) >> 10} KB are left at {place}"
    return ""


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
