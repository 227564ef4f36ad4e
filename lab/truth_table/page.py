"""The parts of docs/truth-table.md that are generated from the recorded table."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from lab.model import store
from lab.render.display import Table
from lab.truth_table import results, surprises, text
from lab.truth_table.axes import POLICIES, PORT_NAMES
from lab.truth_table.cells import DEFAULTS
from lab.truth_table.text import Stored

PAGE = store.ROOT / "docs" / "truth-table.md"
RECORDED = store.RECORDED / "truth_table"
_PART = re.compile(r"(<!-- (names|matrices|surprises) -->\n).*?(<!-- end -->)", re.DOTALL)
SPOKEN = {
    "HTTP/1.1": ("http1.1", "http"),
    "HTTP/1.0": ("http1.0", "tcp"),
    "HTTP/2 with prior knowledge": ("h2", "http2"),
    "gRPC": ("grpc", "grpc"),
    "WebSocket": ("websocket", "http"),
    "Upgrade: h2c": ("upgrade-h2c", "http"),
    "Upgrade: TLS/1.2": ("upgrade-tls", "tcp"),
    "TLS of the application's own": ("tls", "https"),
    "a line, the client speaks first": ("line", "tcp"),
    "a line, the server speaks first": ("server-first", "tcp"),
    "MongoDB": ("mongo", "mongo"),
    "MySQL": ("mysql", "mysql"),
    "MySQL with TLS": ("mysql-tls", "mysql"),
    "Redis": ("redis", "redis"),
}
"""What an application speaks -> what is sent in the table, and the name that a test holds to be
answered over mutual TLS under STRICT and PERMISSIVE."""


def page(path: Path = PAGE) -> str:
    """Return the page as it would be written now."""
    rows = results.load(RECORDED)
    parts = {"names": names(rows), "matrices": matrices(rows)}
    parts["surprises"] = _markdown(surprises.table(rows.values())) + "\n"
    return _PART.sub(lambda found: found[1] + parts[found[2]] + found[3], path.read_text())


def names(rows: Mapping[str, Stored]) -> str:
    """Return which port names carry each protocol, by policy, for a caller with a sidecar."""
    lines = [
        "| what the application speaks | use | " + " | ".join(POLICIES.values()) + " |",
        "|" + "---|" * (2 + len(POLICIES)),
    ]
    for spoken, (sends, use) in SPOKEN.items():
        cells = [_grouped(rows, sends, policy) for policy in POLICIES]
        lines.append(f"| {spoken} | `{use}` | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _grouped(rows: Mapping[str, Stored], sends: str, policy: str) -> str:
    """Return the names by what becomes of the call; what becomes of most is told last."""
    wanted = {**DEFAULTS, "sends": sends, "policy": policy, "caller": "sidecar"}
    found: dict[str, list[str]] = {}
    for row in rows.values():
        if all(row[axis] == value for axis, value in wanted.items()):
            found.setdefault(text.short(row), []).append(row["port_name"])
    order = [*PORT_NAMES]
    groups = sorted(found.items(), key=lambda one: -len(one[1]))
    if len(groups) == 1:
        return f"**{groups[0][0]}**: all"
    most, *others = groups
    told = [f"**{said}**: {', '.join(sorted(there, key=order.index))}" for said, there in others]
    return "<br>".join([*told, f"**{most[0]}**: all others"])


def matrices(rows: Mapping[str, Stored]) -> str:
    """Return the core of the table: a matrix for each policy and caller."""
    parts = []
    for policy, mode in POLICIES.items():
        for caller, told in (("sidecar", "with a sidecar"), ("none", "without one")):
            table = text.matrix(rows, {"policy": policy, "caller": caller})
            named = replace(table, header=("port name", *table.header[1:]))
            parts.append(f"### {mode}, a caller {told}\n\n{_markdown(named)}\n")
    return "\n".join(parts)


def _markdown(table: Table) -> str:
    rule = "|" + "---|" * len(table.header)
    return "\n".join([_line(table.header), rule, *map(_line, table.rows)])


def _line(cells: tuple[str, ...]) -> str:
    return f"| {' | '.join(cells)} |"
