"""`istio-lab audit FILES --with FILE`: both audits, and what differs."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from clusters.kube import Obj
from lab.audit import edges, findings, folder
from lab.audit.changed import compare, live, meshes
from lab.audit.changed.compared import Compared
from lab.audit.changed.report import Report
from lab.audit.rules import rules
from lab.common.errors import BadArguments
from lab.predict.cluster import running


def report(
    paths: Sequence[Path], cluster: str, changes: Sequence[Path], namespaces: Sequence[str]
) -> Report:
    """Return what manifests do to the mesh of files at `paths`, or else of a cluster."""
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    wanted = [*_manifests(changes)]
    files = folder.read(paths) if paths else live.read(running(cluster), _progress)
    both = meshes.of(files, wanted, namespaces, now=now, progress=_progress)
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


def _manifests(paths: Sequence[Path]) -> Iterator[Obj]:
    """Yield the objects of manifests. Raises BadArguments where there is none."""
    read = folder.read(paths).objects.every
    if not read:
        raise BadArguments(f"no manifest is in {', '.join(map(str, paths))}")
    yield from read


def _progress(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
