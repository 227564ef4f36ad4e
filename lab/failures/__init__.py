"""The documented failures: one file each, discovered, never listed."""

from __future__ import annotations

import importlib
import pkgutil

from lab.common.errors import BadArguments
from lab.common.suggest import meant
from lab.model.failure import Failure


def names() -> list[str]:
    """Every failure's name, sorted."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


def load(name: str) -> Failure:
    """A failure by its name. Raises BadArguments with the nearest name there is."""
    wanted = name.replace("-", "_")
    if wanted not in names():
        near = meant(wanted, names())
        raise BadArguments(f"no failure {name!r}: {near}there is {', '.join(names())}")
    failure: Failure = importlib.import_module(f"{__name__}.{wanted}").FAILURE
    return failure
