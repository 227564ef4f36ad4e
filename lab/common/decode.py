"""From JSON to dataclasses, by their own annotations: each value has the type it should have."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any, Literal, get_args, get_origin, get_type_hints

from lab.common.errors import BadEvidence

LARGEST = 2**63
"""No count, time or port comes near it; one beyond cannot be reckoned with as a float."""
_NAMES = {str: "text", int: "a whole number", float: "a number", bool: "true or false"}


def build(kind: Any, value: object, where: str) -> Any:
    """Return a value of a type from JSON. Raises BadEvidence: where, expected what, found what.

    kind: a dataclass, `dict[str, X]`, `tuple[X, ...]`, str, int, float, bool, or Any.
    """
    shape, inner = _shape(kind)
    if shape == "any":
        return value
    if shape == "record":
        return _record(kind, value, where)
    if shape == "object":
        _require(isinstance(value, dict), where, "an object", value)
        return {key: build(inner, one, f"{where}.{key}") for key, one in _items(value)}
    if shape == "list":
        _require(isinstance(value, list), where, "a list", value)
        assert isinstance(value, list)
        return tuple(build(inner, one, f"{where}[{i}]") for i, one in enumerate(value))
    return _plain(kind, value, where)


Shape = Literal["any", "record", "object", "list", "plain"]


@functools.cache
def _shape(kind: Any) -> tuple[Shape, Any]:
    """Return how values of a type are built, and the type of those in an object or a list."""
    if kind is Any:
        return "any", None
    if dataclasses.is_dataclass(kind):
        return "record", None
    if get_origin(kind) is dict:
        return "object", get_args(kind)[1]
    if get_origin(kind) is tuple:
        return "list", get_args(kind)[0]
    return "plain", None


def _record(kind: Any, value: object, where: str) -> Any:
    _require(isinstance(value, dict), where, "an object", value)
    fields, given = _fields(kind), dict(_items(value))
    for name, needed in fields.items():
        if needed and name not in given:
            raise BadEvidence(f"{where} has no {name}")
    unknown = sorted(given.keys() - fields.keys())
    if unknown:
        raise BadEvidence(f"{where} has {unknown[0]!r}, which is unknown here")
    types = _types(kind)
    return kind(**{name: build(types[name], one, f"{where}.{name}") for name, one in given.items()})


def _items(value: Any) -> Any:
    assert isinstance(value, dict)
    return value.items()


@functools.cache
def _types(kind: Any) -> Mapping[str, Any]:
    return get_type_hints(kind)


@functools.cache
def _fields(kind: Any) -> Mapping[str, bool]:
    """Return each field, and whether it has to be given."""
    none = dataclasses.MISSING
    return {
        field.name: field.default is none and field.default_factory is none
        for field in dataclasses.fields(kind)
    }


def _plain(kind: type, value: object, where: str) -> object:
    allowed = (int, float) if kind is float else kind
    good = isinstance(value, allowed) and isinstance(value, bool) == (kind is bool)
    _require(good, where, _NAMES[kind], value)
    if isinstance(value, int | float) and not -LARGEST < value < LARGEST:
        raise BadEvidence(f"{where} is a number beyond all measure")
    return value


def _require(good: bool, where: str, wanted: str, value: object) -> None:
    if not good:
        found = type(value).__name__ if isinstance(value, list | dict) else repr(value)[:60]
        raise BadEvidence(f"{where}: expected {wanted}, found {found}")
