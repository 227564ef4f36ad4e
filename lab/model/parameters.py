"""A failure's parameters: refused when they do not exist, and filled in where they stand."""

from __future__ import annotations

import dataclasses
from typing import Any

from lab.common.errors import BadArguments
from lab.common.suggest import meant
from lab.model.failure import Failure
from lab.model.scenario import fill


def parameters_of(failure: Failure, given: dict[str, str]) -> dict[str, str]:
    """Return all parameters of a failure, defaults filled in.

    Raises BadArguments for a name or value that the failure does not have.
    """
    for name, value in given.items():
        if name not in failure.parameters:
            near, there = meant(name, failure.parameters), ", ".join(failure.parameters)
            raise BadArguments(f"{failure.name} has no parameter {name!r}: {near}it has {there}")
        allowed = failure.parameters[name].allowed
        if value not in allowed:
            near = meant(value, allowed)
            raise BadArguments(f"{name}={value!r}: {near}{failure.name} takes {', '.join(allowed)}")
    return {name: given.get(name, p.default) for name, p in failure.parameters.items()}


def with_parameters(failure: Failure, values: dict[str, str]) -> Failure:
    """Return the failure with every `{parameter}` in its worlds, calls and remedies filled in."""
    filled = {
        name: failure.parameters[name].meaning.get(value, value) for name, value in values.items()
    }
    parts: dict[str, Any] = {
        part: tuple(_filled(one, filled) for one in getattr(failure, part))
        for part in ("worlds", "calls", "remedies")
    }
    return dataclasses.replace(failure, **parts)


def _filled(value: Any, values: dict[str, str]) -> Any:
    """Return the same value with all text in it filled in, however deep it lies."""
    if isinstance(value, str):
        return fill(value, values)
    if isinstance(value, tuple):
        return tuple(_filled(one, values) for one in value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
        return type(value)(**{name: _filled(one, values) for name, one in fields.items()})
    return value
