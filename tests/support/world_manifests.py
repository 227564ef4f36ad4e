"""The manifests of a failure's world, as a folder that nobody has applied yet would have them."""

from __future__ import annotations

import re
from collections.abc import Iterable

from clusters.kube import Obj, documents
from lab import failures
from lab.audit.rendered import pods
from lab.model.parameters import with_parameters
from lab.model.scenario import fill
from lab.record.world import LiveWorld
from lab.workloads import variants
from lab.workloads.manifests import WORKLOADS, Setting

INJECTED = {"istio-injection": "enabled"}
NOW = "2026-01-01T00:00:00Z"


def of(name: str, world: str = "posted") -> list[Obj]:
    """Every object of a failure's world, with the defaults of its parameters."""
    failure = failures.load(name)
    failure = with_parameters(
        failure, {key: one.default for key, one in failure.parameters.items()}
    )
    declared = failure.world(world)
    space = name.replace("_", "-")
    others = {one.name: f"{space}-{one.name}" for one in declared.others}
    live = LiveWorld(declared, space, namespaces=others)
    made: list[Obj] = [_namespace(space, {})]
    made += documents(fill(declared.policy, {"namespace": space}))
    for service in declared.services:
        made += live.exported(documents(service.manifest))
    differing = {variant.name: variant for variant in declared.variants}
    setting = Setting()
    for workload in declared.workloads:
        own = differing.get(workload)
        made += variants.manifests(own, setting) if own else WORKLOADS[workload](setting)
    for other in declared.others:
        made.append(_namespace(others[other.name], dict(other.labels)))
        made += _in(others[other.name], documents(fill(other.objects, live.values)))
    made = _in(space, made)
    values = {**live.values, **_addresses(made)}
    for text in re.split(r"^---\n", declared.objects, flags=re.MULTILINE):
        if text.strip():
            made += _in(space, live.exported(documents(fill(text, values))))
    return made


def _namespace(name: str, labels: dict[str, str]) -> Obj:
    meta = {"name": name, "labels": {**INJECTED, **labels}}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": meta}


def _in(namespace: str, objects: Iterable[Obj]) -> list[Obj]:
    """The objects, each with its namespace."""
    made = [*objects]
    for one in made:
        if one["kind"] != "Namespace":
            one["metadata"].setdefault("namespace", namespace)
    return made


def _addresses(objects: list[Obj]) -> dict[str, str]:
    """What `{ip:WORKLOAD}` stands for, once these are audited."""
    return {
        f"ip:{one['metadata']['labels']['app']}": one["status"]["podIP"]
        for one in pods.of(objects, NOW)
    }
