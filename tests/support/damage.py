"""Ways to damage what was well: bytes cut, turned and repeated, and JSON with parts of other types.

LAB_FUZZ=50 .venv/bin/python -m pytest tests/fuzz --timeout 0      # 50 times as many, at random
"""

from __future__ import annotations

import copy
import datetime
import os
from collections.abc import Iterator
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

TIMES = int(os.environ.get("LAB_FUZZ") or 0)


def effort(examples: int) -> settings:
    """So many examples, always the same; with LAB_FUZZ=N N times as many, each time others."""
    return settings(
        max_examples=examples * max(TIMES, 1),
        derandomize=not TIMES,
        deadline=datetime.timedelta(seconds=60) if TIMES else None,
        database=None,
        print_blob=True,
        suppress_health_check=list(HealthCheck),
    )


EDGES = st.sampled_from(
    [
        *(0, -1, 1, 2**31, 2**63, 2**64, 10**400, -(10**400), 1e308, None, True, [], {}),
        *(
            "",
            "-",
            "..",
            "/etc/passwd",
            "\x00",
            "\ud800",
            "\x1b]52;c;eA==\x07",
            "²",
            "1.30",
            "true",
        ),
    ]
)
GARBAGE: st.SearchStrategy[Any] = st.recursive(
    EDGES | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=6,
)
"""Any JSON value; it holds no word that Envoy or Istio knows."""


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to each value in a JSON tree but the tree itself."""
    keys = value.keys() if isinstance(value, dict) else range(len(value))
    for key in keys:
        yield (*path, key)
        if isinstance(value[key], dict | list):
            yield from places(value[key], (*path, key))


@st.composite
def replaced(draw: st.DrawFn, value: Any, *, most: int = 3) -> Any:
    """The same tree with some of its values replaced by garbage."""
    tree, ways = copy.deepcopy(value), list(places(value))
    for _ in range(draw(st.integers(1, most))):
        *way, last = draw(st.sampled_from(ways))
        try:
            there = tree
            for key in way:
                there = there[key]
            there[last] = draw(GARBAGE)
        except (LookupError, TypeError):
            continue  # that part was replaced already
    return tree


@st.composite
def pruned(draw: st.DrawFn, value: Any) -> Any:
    """The same tree with some of its values gone, repeated, or under another name."""
    tree, ways = copy.deepcopy(value), list(places(value))
    for _ in range(draw(st.integers(1, 3))):
        *way, last = draw(st.sampled_from(ways))
        try:
            there = tree
            for key in way:
                there = there[key]
            taken = there.pop(last)
        except (LookupError, TypeError, AttributeError):
            continue
        if isinstance(there, list) and draw(st.booleans()):
            there += [taken, taken]
        elif isinstance(there, dict) and draw(st.booleans()):
            there[draw(st.text(max_size=5))] = taken
    return tree


def damaged(value: Any) -> st.SearchStrategy[Any]:
    """A JSON tree that is not as it was."""
    return replaced(value) | pruned(value)


@st.composite
def mangled(draw: st.DrawFn, data: bytes) -> bytes:
    """Bytes cut off, turned, taken out, put in, or there twice."""
    found = bytearray(data)
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, max(len(found) - 1, 0)))
        end = start + draw(st.integers(1, 40))
        kind = draw(st.sampled_from(["cut", "turn", "out", "in", "twice", "length"]))
        if kind == "cut":
            del found[start:]
        elif kind == "turn" and found:
            found[start] ^= draw(st.integers(1, 255))
        elif kind == "out":
            del found[start:end]
        elif kind == "in":
            found[start:start] = draw(st.binary(max_size=40))
        elif kind == "twice":
            found[start:start] = found[start:end]
        else:
            found[start : start + 4] = draw(st.sampled_from([b"\xff" * 4, b"\0" * 4, b"\x7f" * 4]))
    return bytes(found)
