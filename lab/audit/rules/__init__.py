"""The rules, one file each; a file that is added here is used."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from lab.audit.rule import SEVERITIES, Rule


def rules() -> list[Rule]:
    """Return every rule, the most severe first."""
    names = sorted(path.stem for path in Path(__file__).parent.glob("[a-z]*.py"))
    found: list[Rule] = [import_module(f"{__name__}.{name}").RULE for name in names]
    return sorted(found, key=lambda one: SEVERITIES.index(one.severity))
