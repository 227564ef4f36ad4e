"""Findings that are known already: a build fails by new ones only."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from lab.audit.findings import Finding
from lab.common.errors import BadArguments


def read(path: Path) -> frozenset[str]:
    """Return the fingerprints of an earlier audit's JSON. Raises BadArguments."""
    try:
        told = json.loads(path.read_text())
        return frozenset(str(one["fingerprint"]) for one in told["findings"])
    except OSError as error:
        raise BadArguments(f"{path} cannot be read: {error.strerror}") from None
    except (ValueError, KeyError, TypeError):
        raise BadArguments(
            f"{path} is no audit", hint="istio-lab audit --json FILE writes one"
        ) from None


def new(findings: Iterable[Finding], known: frozenset[str]) -> list[Finding]:
    """Return the findings that are not known."""
    return [one for one in findings if one.fingerprint not in known]
