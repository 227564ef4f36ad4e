"""`istio-lab audit FILES --with FILE`: both audits, and what differs."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from clusters.kube import Obj
from lab.audit import edges, findings, folder
from lab.audit.changed import compare, live, manifests, meshes
from lab.audit.changed.compared import Compared
from lab.audit.changed.meshes import Meshes, Told
from lab.audit.changed.report import Report
from lab.audit.rendered import mesh
from lab.audit.rules import rules
from lab.common.errors import BadArguments
from lab.predict.cluster import running


def report(
    paths: Sequence[Path], cluster: str, changes: Sequence[Path], namespaces: Sequence[str]
) -> Report:
    """Return what manifests do to the mesh of files at `paths`, or else of a cluster."""
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    wanted = _manifests(changes)
    files = folder.read(paths) if paths else live.read(running(cluster), _progress)
    if files.are_of_cluster:
        both = meshes.of(files, wanted, namespaces, now=now, progress=_progress)
    else:
        both = _of_manifests(files.objects.every, wanted, namespaces, now)
    return _compared(both)


def _of_manifests(
    given: Sequence[Obj], wanted: Sequence[Obj], namespaces: Sequence[str], now: str
) -> Meshes:
    """Return the mesh that manifests would be, and the one with the changed ones among them."""
    applied = manifests.merge(given, wanted)
    before, after = (
        mesh.of(one, namespaces, now=now, progress=_progress) for one in (given, applied.objects)
    )
    known = {
        pod: Told("unknown", (why,)) if why else Told("generated, not held")
        for pod, why in after.pods.items()
    }
    assumed = [*dict.fromkeys((*before.assumed, *after.assumed))]
    return Meshes(before.inventory, after.inventory, known, applied, assumed, after.read)


def _compared(both: Meshes) -> Report:
    states = (Compared(both.before, both.after), Compared(both.after, both.before))
    walked = [edges.walk_all(one) for one in states]
    own = [one.own(each) for one, each in zip(states, walked, strict=True)]
    found = [
        findings.find(each.edges, one.objects(), rules())
        for one, each in zip(states, own, strict=True)
    ]
    known = [{one.fingerprint for one in each} for each in found]
    return Report(
        both,
        own[1],
        compare.changes(*walked),
        found[1],
        [one for one in found[1] if one.fingerprint not in known[0]],
        [one for one in found[0] if one.fingerprint not in known[1]],
    )


def _manifests(paths: Sequence[Path]) -> list[Obj]:
    """Return the objects of manifests. Raises BadArguments where there is none."""
    read = folder.read(paths).objects.every
    if not read:
        raise BadArguments(f"no manifest is in {', '.join(map(str, paths))}")
    return read


def _progress(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
