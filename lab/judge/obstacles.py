"""Says why nothing may be concluded from evidence: the mesh, its files, or what was recorded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lab.common import untrusted
from lab.common.errors import BadEvidence
from lab.model import preconditions
from lab.model.evidence import Evidence, digest
from lab.model.failure import Failure


def settings(failure: Failure, mesh: dict[str, Any]) -> tuple[str, tuple[str, ...]]:
    """Return what the mesh's settings do not meet, and what of them is unusual."""
    try:
        unmet = "; ".join(preconditions.unmet(failure, mesh))
        return unmet, tuple(preconditions.unusual(mesh))
    except (AttributeError, KeyError, TypeError) as wrong:
        return f"the mesh's recorded settings are not such as Istio has: {wrong}", ()


def altered(evidence: Evidence, folder: Path) -> str:
    """Return the first capture that is not the one that was recorded, or nothing."""
    for world in evidence.worlds.values():
        for capture in world.captures:
            path = folder / capture.file
            if not untrusted.is_there(path):
                return f"{capture.file} is missing"
            try:
                found = digest(path, folder)
            except BadEvidence as wrong:
                return str(wrong)
            if found != capture.sha256:
                return f"{capture.file} is not what was recorded: its sha256 differs"
    return ""


def obstacle(evidence: Evidence, controls: list[tuple[str, bool | None, str]]) -> str:
    """Return why nothing may be concluded from this evidence, or nothing."""
    if evidence.trouble:
        return evidence.trouble
    if evidence.problems:
        return "; ".join(evidence.problems)
    for world in evidence.worlds.values():
        for name, pod in world.pods.items():
            if pod.sidecar and (pod.rejected, pod.unknown_fields) != (0, 0):
                return (
                    f"the proxy of {name} in {world.namespace} did not take its configuration "
                    f"(rejected {pod.rejected}, unknown fields {pod.unknown_fields})"
                )
    broken = [f"control failed: {says}: {text}" for says, holds, text in controls if not holds]
    return "; ".join(broken)
