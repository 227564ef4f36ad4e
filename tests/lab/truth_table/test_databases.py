"""Recorded cells of databases and datagrams, judged again: which connection asked, what crossed.

recorded_databases/ holds the cells under PERMISSIVE, and the datagrams, of an ordinary user's run.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from lab.truth_table import answers, crossed, predictions, results, stored_mesh, text
from lab.truth_table.joined import join, opened
from lab.truth_table.recorded import Call, Recorded

RECORDED = Path(__file__).parent / "recorded_databases"
QUERY = "mongo/tcp/permissive/sidecar"


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return Path(shutil.copytree(RECORDED, tmp_path / "truth_table"))


def call(recorded: Recorded, cell: str) -> Call:
    return next(one for one in recorded.calls if one.cell.key == cell)


def test_each_cell_is_as_foretold() -> None:
    rows = results.judge(Recorded(RECORDED))
    assert len(rows) == 4 * 8 * 2 + 16
    assert [row.cell.key for row in rows if not row.agrees] == []


def test_the_model_foretells_of_the_stored_configuration_what_it_foretold_live() -> None:
    recorded = Recorded(RECORDED)
    calls = [(one.asked, one.caller.ip) for one in recorded.calls]
    assert predictions.foretell(stored_mesh.read(recorded), calls) == recorded.foretold


@pytest.mark.parametrize(
    ("cell", "wanted"),
    [
        ("mysql/mysql/permissive/sidecar", ("arrives", "application", "mutual_tls", "MySQL",
                                            "answered")),
        ("mysql/none/permissive/sidecar", ("hangs", "client's proxy", "none", "",
                                           "OperationalError 2013, hangs")),
        ("mysql/mysql/permissive/none", ("hangs", "server's proxy", "none", "",
                                         "OperationalError 2013, hangs")),
        ("mysql-tls/tcp/permissive/sidecar", ("arrives", "application", "mutual_tls", "MySQL",
                                              "answered")),
        ("redis/unknown/permissive/sidecar", ("arrives", "application", "mutual_tls", "Redis",
                                              "answered")),
        ("redis/tcp/permissive/none", ("arrives", "application", "plaintext", "Redis",
                                       "answered")),
        ("redis/http/permissive/none", ("answered by a proxy", "server's proxy", "plaintext", "",
                                        "InvalidResponse")),
        ("mongo/mongo/permissive/sidecar", ("arrives", "application", "mutual_tls", "MongoDB",
                                            "answered")),
        ("mongo/mongo/permissive/none", ("arrives", "application", "plaintext", "MongoDB",
                                         "answered")),
        ("mongo/http/permissive/none", ("answered by a proxy", "server's proxy", "plaintext", "",
                                        "ServerSelectionTimeoutError (ProtocolError)")),
        ("udp/http/strict/sidecar", ("arrives", "application", "plaintext", "a datagram",
                                     "answered")),
    ],
)  # fmt: skip
def test_an_answer_is_told_in_the_words_of_the_protocol(cell: str, wanted: tuple[str, ...]) -> None:
    recorded = Recorded(RECORDED)
    found = answers.answer(recorded, call(recorded, cell))
    assert (found.outcome, found.by, found.wire, found.given, found.client) == wanted


def test_of_pymongos_connections_the_one_that_asked_is_the_cells() -> None:
    recorded = Recorded(RECORDED)
    every = opened(recorded, call(recorded, QUERY))
    assert len(every) > 1
    (asked,) = [one for one in every if one.asked]
    assert join(recorded, call(recorded, QUERY)).call.source == asked.call.source
    assert {crossed.wire(one) for one in every} == {"mutual_tls"}
    assert "the driver's other connections: mutual_tls" in text.why(recorded, call(recorded, QUERY))


def test_without_the_servers_word_nobody_asked(copy: Path) -> None:
    path = copy / "logs" / "permissive-server-databases.app.jsonl"
    path.write_text("\n")
    recorded = Recorded(copy)
    assert not any(one.asked for one in opened(recorded, call(recorded, QUERY)))
    assert answers.answer(recorded, call(recorded, QUERY)).outcome != "arrives"


def test_a_datagram_with_another_marker_is_not_the_calls(copy: Path) -> None:
    path = copy / "calls.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    cell = "udp/http/strict/sidecar"
    other = "lab-0000000000000000"
    changed = [{**line, "marker": other} if line["id"] == cell else line for line in lines]
    path.write_text("".join(json.dumps(line) + "\n" for line in changed))
    recorded = Recorded(copy)
    found = answers.answer(recorded, call(recorded, cell))
    assert (found.outcome, found.wire) == ("hangs", "unknown")
