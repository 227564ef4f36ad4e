"""A failure's parameters: refused when they do not exist, and filled in where they stand."""

from __future__ import annotations

import dataclasses
import difflib
from typing import Any

from lab.errors import BadArguments
from lab.failure import Failure, fill


def parameters_of(failure: Failure, given: dict[str, str]) -> dict[str, str]:
    """All parameters of a failure, defaults filled in.

    Raises BadArguments for a name or value that the failure does not have.
    """
    for name, value in given.items():
        if name not in failure.parameters:
            near = difflib.get_close_matches(name, failure.parameters, 1, 0.4)
            meant = f"did you mean {near[0]}? " if near else ""
            there = ", ".join(failure.parameters)
            raise BadArguments(f"{failure.name} has no parameter {name!r}: {meant}it has {there}")
        allowed = failure.parameters[name].allowed
        if value not in allowed:
            raise BadArguments(f"{name}={value!r}: {failure.name} takes {', '.join(allowed)}")
    return {name: given.get(name, p.default) for name, p in failure.parameters.items()}


def with_parameters(failure: Failure, values: dict[str, str]) -> Failure:
    """The failure with every `{parameter}` in its worlds, calls and remedies filled in."""
    meant = {
        name: failure.parameters[name].meaning.get(value, value) for name, value in values.items()
    }
    parts: dict[str, Any] = {
        part: tuple(_filled(one, meant) for one in getattr(failure, part))
        for part in ("worlds", "calls", "remedies")
    }
    return dataclasses.replace(failure, **parts)


def _filled(value: Any, values: dict[str, str]) -> Any:
    """The same value with all text in it filled in, however deep it lies."""
    if isinstance(value, str):
        return fill(value, values)
    if isinstance(value, tuple):
        return tuple(_filled(one, values) for one in value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
        return type(value)(**{name: _filled(one, values) for name, one in fields.items()})
    return value
