"""What surprises: cells that are otherwise than Istio's documentation makes one expect."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from lab.render.display import Table
from lab.truth_table.axes import PAYLOADS, POLICIES, PORT_NAMES
from lab.truth_table.text import Stored


@dataclass(frozen=True)
class Surprise:
    """A kind of cells, with what one would expect of them."""

    seen: str
    expected: str
    source: str
    """Where the expectation comes from."""
    holds: Callable[[Stored], bool]


SECURITY = "https://istio.io/latest/docs/concepts/security/#mutual-tls-authentication"
SELECTION = "https://istio.io/latest/docs/ops/configuration/traffic-management/protocol-selection/"
REQUIREMENTS = (
    "https://istio.io/latest/docs/ops/deployment/application-requirements/#server-first-protocols"
)


def _in_mesh(row: Stored) -> bool:
    """Return whether both ends have a sidecar that takes the call, and no rule asks otherwise."""
    meshed = row["caller"] == "sidecar" and row["server"] == "sidecar"
    mutual = row["rule"] in ("none", "istio-mutual") and "disable" not in (
        row["policy"],
        row["port_policy"],
    )
    return meshed and mutual


SURPRISES = (
    Surprise(
        "answered in plaintext between two sidecars",
        "auto mTLS: sidecars speak mutual TLS to each other",
        SECURITY,
        lambda row: (
            _in_mesh(row)
            and row["address"] in ("clusterip", "headless")
            and row["wire"] == "plaintext"
            and row["outcome"] in ("arrives", "answered by a proxy")
        ),
    ),
    Surprise(
        "refused, but readable on the network by then",
        "STRICT: only mutual TLS is accepted, so nothing is in plaintext",
        SECURITY,
        lambda row: (
            row["policy"] == "strict"
            and row["port_policy"] == "none"
            and row["caller"] == "sidecar"
            and (row["outcome"], row["wire"]) == ("refused", "plaintext")
        ),
    ),
    Surprise(
        "in plaintext in spite of a rule with ISTIO_MUTUAL",
        "the rule makes the caller's sidecar use mutual TLS",
        SECURITY,
        lambda row: (row["rule"], row["wire"]) == ("istio-mutual", "plaintext"),
    ),
    Surprise(
        "hangs in the caller's own proxy, and nothing leaves the pod",
        "a port's protocol is known by its name, or detected",
        SELECTION,
        lambda row: (row["outcome"], row["by"]) == ("hangs", "client's proxy"),
    ),
    Surprise(
        "hangs in the server's proxy, under PERMISSIVE",
        "PERMISSIVE accepts plaintext as it comes",
        REQUIREMENTS,
        lambda row: (
            (row["outcome"], row["by"], row["policy"]) == ("hangs", "server's proxy", "permissive")
        ),
    ),
    Surprise(
        "TLS of the application's own, refused by PERMISSIVE",
        "PERMISSIVE accepts plaintext and mutual TLS, and passes on what else comes",
        SECURITY,
        lambda row: (
            row["sends"] == "tls"
            and row["policy"] == "permissive"
            and row["port_policy"] == "none"
            and row["rule"] == "none"
            and row["outcome"] == "refused"
        ),
    ),
)


def table(rows: Iterable[Stored]) -> Table:
    """Return each kind with the number of its cells, and what is sent to which names in them."""
    every = [row for row in rows if row["gateway"] == "none" and row["policy"] in POLICIES]
    body = []
    for one in SURPRISES:
        found = [row for row in every if one.holds(row)]
        sent, names = _values(found, "sends", PAYLOADS), _values(found, "port_name", PORT_NAMES)
        example = found[0]["cell"] if found else "-"
        body.append((one.seen, one.expected, str(len(found)), sent, names, example))
    header = ("what is seen", "what one expects", "cells", "what is sent", "port names", "for one")
    return Table("", header, tuple(body), _sources())


def _values(rows: Iterable[Stored], axis: str, order: Mapping[str, object]) -> str:
    found = {row[axis] for row in rows}
    return "all" if found == {*order} else ", ".join(one for one in order if one in found)


def _sources() -> str:
    return "Expected by: " + ", ".join(dict.fromkeys(one.source for one in SURPRISES))
