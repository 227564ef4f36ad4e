"""The post's claims C1 and C5, each with the cells of the truth table that decide it.

A clause is a sentence about some cells: the call of each is answered over mutual TLS, or the call
of none is. The post's own mesh is between two sidecars, so all of them have both.
"""

from __future__ import annotations

from dataclasses import dataclass

from lab.model.failure import Word


@dataclass(frozen=True)
class Clause:
    """What is said of some cells."""

    says: str
    cells: tuple[str, ...]
    carried: bool = True
    """Whether the calls are answered over mutual TLS; False: none of them is."""
    else_: Word = "not reproduced"
    """What the claim is where a cell is certainly otherwise."""


@dataclass(frozen=True)
class Question:
    """One question about a claim: reproduced where every clause holds."""

    question: str
    clauses: tuple[Clause, ...]


@dataclass(frozen=True)
class TableClaim:
    """A claim that the truth table decides, with the words that it is known to get."""

    id: str
    says: str
    as_posted: Question
    today: Question
    pinned: tuple[Word, Word]
    because: str

    @property
    def questions(self) -> tuple[Question, Question]:
        return self.as_posted, self.today

    @property
    def cells(self) -> tuple[str, ...]:
        """Return the cells that decide it, each once."""
        clauses = (clause for one in self.questions for clause in one.clauses)
        return tuple(dict.fromkeys(cell for clause in clauses for cell in clause.cells))


def between_sidecars(*pairs: str) -> tuple[str, ...]:
    """Return the cells of `sent/port name`, under STRICT and under PERMISSIVE."""
    return tuple(
        f"{pair}/{policy}/sidecar" for pair in pairs for policy in ("strict", "permissive")
    )


NINE = between_sidecars(
    *("grpc/grpc", "http1.1/http", "h2/http2", "tls/https", "line/mongo", "server-first/mysql"),
    *("line/redis", "line/tcp", "server-first/tcp", "tls/tls"),
)
"""Each name with what its own protocol sends: a MySQL server greets first, the clients of MongoDB
and Redis do not. https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase.html"""

C1 = TableClaim(
    "C1",
    "supported protocols: grpc, http, http2, https, mongo, mysql, redis, tcp, tls, udp",
    as_posted=Question(
        "Does each of the ten names carry its own protocol, over mutual TLS?",
        (
            Clause("nine of the ten names carry their own protocol", NINE, else_="fails otherwise"),
            Clause("a port named udp is secured as they are", between_sidecars("line/udp")),
        ),
    ),
    today=Question(
        "Does each of the ten names that Istio documents now, with grpc-web in the place of udp?",
        (
            Clause("nine of the ten names carry their own protocol", NINE),
            Clause(
                "so does grpc-web, which is requests over HTTP/1.1",
                between_sidecars("http1.1/grpc-web"),
            ),
        ),
    ),
    pinned=("not reproduced", "reproduced"),
    because="no proxy has a listener or a cluster for a port that is taken for UDP",
)

REST = Clause(
    "REST over HTTP/1.1 is carried, on ports named http and tcp, and on one without a name",
    between_sidecars("http1.1/http", "http1.1/tcp", "http1.1/none"),
    else_="fails otherwise",
)

C5 = TableClaim(
    "C5",
    "fine for REST over HTTP/1.1 without TLS of its own, inflexible beyond",
    as_posted=Question(
        "Is REST over HTTP/1.1 carried, and nothing else, whatever its port is called?",
        (
            REST,
            Clause(
                "HTTP/2, gRPC, WebSocket, own TLS and TCP are not, each on a port of its name",
                between_sidecars(
                    *("h2/http2", "grpc/grpc", "websocket/http", "tls/https"),
                    *("line/tcp", "server-first/tcp"),
                ),
                carried=False,
            ),
        ),
    ),
    today=Question(
        "Does a port named http carry REST, and not HTTP/1.0, upgrades to TLS, own TLS or TCP?",
        (
            REST,
            Clause(
                "HTTP/1.0, an upgrade to TLS, own TLS and TCP are not, on a port named http",
                between_sidecars(
                    *("http1.0/http", "upgrade-tls/http", "tls/http"),
                    *("line/http", "server-first/http"),
                ),
                carried=False,
            ),
        ),
    ),
    pinned=("not reproduced", "reproduced"),
    because="what is inflexible is the port's name: a name of its own carries each protocol",
)

CLAIMS = (C1, C5)
CONTROLS = (
    ("what is not secured is seen in plaintext", "http1.1/http/disable/sidecar", "plain"),
    ("a caller without a sidecar is let in by PERMISSIVE", "http1.1/http/permissive/none", "plain"),
    ("it is refused by STRICT", "http1.1/http/strict/none", "refused plain"),
)
"""(what must hold or nothing may be concluded, the cell that shows it, its answer)"""
SOURCES = (
    "https://istio.io/v1.1/docs/setup/kubernetes/prepare/requirements/",
    "https://istio.io/latest/docs/ops/configuration/traffic-management/protocol-selection/",
)
"""The list of the post, as Istio documented it then, and as it does now: a UDP port is not proxied
(https://istio.io/v1.8/docs/ops/configuration/traffic-management/protocol-selection)."""


def deciding() -> tuple[str, ...]:
    """Return every cell that decides a claim, or whether one may be decided, each once."""
    controls = (cell for _, cell, _ in CONTROLS)
    return tuple(dict.fromkeys((*controls, *(cell for claim in CLAIMS for cell in claim.cells))))
