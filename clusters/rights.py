"""Which of the rights in existing.yaml an account lacks: asked of the API, one by one.

The roles in that file are the only list of what the lab needs, so that no other can go stale.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import yaml

from clusters.kube import Kube, Obj

FILE = Path(__file__).with_name("existing.yaml")
NEEDED = ("istio-failure-lab",)
"""Roles without which nothing runs; the file has another, for packets."""
REVIEW = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"


def missing(kube: Kube) -> list[str]:
    """Return the rights that are needed and missing, such as `create pods/exec`. Writes nothing."""
    wanted = list(_wanted())
    with ThreadPoolExecutor(8) as pool:
        answers = pool.map(lambda one: allowed(kube, one), wanted)
        return [_in_words(one) for one, granted in zip(wanted, answers, strict=True) if not granted]


def _wanted() -> Iterator[Obj]:
    """Yield each right that is needed, as `resourceAttributes` of an access review."""
    for role in yaml.safe_load_all(FILE.read_text()):
        if not role["kind"].endswith("Role") or role["metadata"]["name"] not in NEEDED:
            continue
        for rule in role["rules"]:
            for name in rule["resources"]:
                resource, _, subresource = name.partition("/")
                attributes = {
                    "group": rule["apiGroups"][0],
                    "resource": resource,
                    "subresource": subresource,
                    "namespace": role["metadata"].get("namespace", ""),
                    "name": (rule.get("resourceNames") or [""])[0],
                }
                yield from ({**attributes, "verb": verb} for verb in rule["verbs"])


def allowed(kube: Kube, attributes: Obj) -> bool:
    """Ask the API whether an account has a right. Writes nothing."""
    body = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": attributes},
    }
    return bool(kube.request("POST", REVIEW, body)["status"]["allowed"])


def _in_words(one: Obj) -> str:
    """Return a right as `kubectl auth can-i` takes it: `create pods/exec in istio-system`."""
    resource = "/".join(part for part in (one["resource"], one["subresource"]) if part)
    whole = ".".join(part for part in (resource, one["group"]) if part)
    where = f" in {one['namespace']}" if one["namespace"] else ""
    return f"{one['verb']} {whole}{where}"
