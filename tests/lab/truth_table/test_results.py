"""A recorded table of 48 cells, judged again: recordings decide, and what is altered shows."""

from __future__ import annotations

import gzip
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lab.common.errors import BadEvidence
from lab.truth_table import answers, page, predictions, results, stored_mesh, text
from lab.truth_table.predictions import Foretold
from lab.truth_table.recorded import Call, Recorded

RECORDED = Path(__file__).parent / "recorded"


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return Path(shutil.copytree(RECORDED, tmp_path / "truth_table"))


def by_key(recorded: Recorded) -> dict[str, Call]:
    return {call.cell.key: call for call in recorded.calls}


def test_the_recordings_give_the_table_that_is_stored_beside_them(copy: Path) -> None:
    results.save(results.judge(Recorded(copy)), copy)
    assert results.load(copy) == {
        key: {**results.load(copy)[key], **row} for key, row in results.load(RECORDED).items()
    }


def test_the_model_foretells_of_the_stored_configuration_what_it_foretold_live() -> None:
    recorded = Recorded(RECORDED)
    mesh = stored_mesh.read(recorded)
    calls = [(call.asked, call.caller.ip) for call in recorded.calls]
    assert predictions.foretell(mesh, calls) == recorded.foretold


def test_each_cell_is_as_foretold() -> None:
    assert [row.cell.key for row in results.judge(Recorded(RECORDED)) if not row.agrees] == []


def test_both_formats_hold_the_same(copy: Path) -> None:
    from pyarrow import parquet

    results.save(results.judge(Recorded(copy)), copy)
    rows = parquet.read_table(copy / results.PARQUET).to_pylist()
    stored = results.load(copy)
    assert [{k: str(v) for k, v in row.items()} for row in rows] == [*stored.values()]


@pytest.mark.parametrize(
    ("cell", "wanted"),
    [
        ("grpc/grpc/permissive/sidecar", ("arrives", "application", "mutual_tls", "HTTP/2")),
        ("h2/none/permissive/none", ("arrives", "application", "plaintext", "HTTP/2")),
        ("line/tls/permissive/sidecar", ("arrives", "application", "mutual_tls",
                                         "bytes that are not HTTP")),
        ("tls/tls/permissive/none", ("arrives", "application", "tls", "TLS")),
        ("upgrade-tls/grpc/permissive/sidecar", ("answered by a proxy", "client's proxy",
                                                 "none", "")),
        ("http1.0/http/permissive/none/address=pod", ("answered by a proxy", "server's proxy",
                                                      "plaintext", "")),
        ("h2/http/permissive/sidecar/rule=simple-own-ca", ("refused", "server's proxy", "tls",
                                                           "")),
        ("server-first/grpc/permissive/sidecar", ("hangs", "client's proxy", "none", "")),
        ("three-bytes/https/permissive/none", ("hangs", "server's proxy", "plaintext", "")),
    ],
)  # fmt: skip
def test_an_answer_says_who_ended_the_call_and_what_crossed(
    cell: str, wanted: tuple[str, ...]
) -> None:
    recorded = Recorded(RECORDED)
    found = answers.answer(recorded, by_key(recorded)[cell])
    assert (found.outcome, found.by, found.wire, found.given) == wanted


def edit_lines(path: Path, change: Callable[[dict[str, Any]], dict[str, Any] | None]) -> None:
    kept = (change(json.loads(line)) for line in path.read_text().splitlines() if line.strip())
    path.write_text("".join(json.dumps(line) + "\n" for line in kept if line is not None))


def test_without_the_servers_word_tls_is_not_mutual(copy: Path) -> None:
    edit_lines(
        copy / "logs" / "permissive-server.jsonl",
        lambda line: {**line, "downstream_peer_uri_san": None},
    )
    recorded = Recorded(copy)
    call = by_key(recorded)["grpc/grpc/permissive/sidecar"]
    assert answers.answer(recorded, call).wire == "tls"


def test_without_the_applications_word_a_call_did_not_arrive(copy: Path) -> None:
    edit_lines(copy / "logs" / "permissive-server.app.jsonl", lambda _: None)
    rows = {row.cell.key: row for row in results.judge(Recorded(copy))}
    row = rows["line/tls/permissive/sidecar"]
    assert row.measured.outcome != "arrives"
    assert not row.agrees


def test_the_applications_word_on_the_connection_that_had_the_port_before_is_not_the_calls(
    copy: Path,
) -> None:
    edit_lines(
        copy / "logs" / "permissive-server.app.jsonl",
        lambda line: {**line, "time": line["time"] - 12},
    )
    rows = {row.cell.key: row for row in results.judge(Recorded(copy))}
    assert rows["line/tls/permissive/sidecar"].measured.outcome != "arrives"


def test_two_cells_calls_that_are_exchanged_are_noticed(copy: Path) -> None:
    """Of one over mutual TLS and one in plaintext, each has the other's ports."""
    calls = {
        line["id"]: line
        for line in map(json.loads, (copy / "calls.jsonl").read_text().splitlines())
    }
    one, other = "h2/none/permissive/none", "tls/tls/permissive/none"
    for field in ("source", "marker", "request_id"):
        calls[one][field], calls[other][field] = calls[other][field], calls[one][field]
    (copy / "calls.jsonl").write_text("".join(json.dumps(line) + "\n" for line in calls.values()))
    wrong = {row.cell.key for row in results.judge(Recorded(copy)) if not row.agrees}
    assert wrong == {one, other}


def test_captures_that_are_exchanged_are_noticed(copy: Path) -> None:
    one, other = (copy / "captures" / f"permissive-{who}.pcap" for who in ("client", "stranger"))
    content = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(content)
    rows = results.judge(Recorded(copy))
    assert not any(row.agrees for row in rows if row.measured.given)


def foretold(folder: Path, cell: str) -> Foretold:
    recorded = Recorded(folder)
    call = by_key(recorded)[cell]
    found = predictions.foretell(stored_mesh.read(recorded), [(call.asked, call.caller.ip)])
    return found[cell][0]


def edit_dump(folder: Path, pod: str, change: Callable[[str], str]) -> None:
    path = folder / "config" / f"permissive-{pod}.json.gz"
    before = gzip.decompress(path.read_bytes()).decode()
    after = change(before)
    assert before != after
    path.write_bytes(gzip.compress(after.encode()))


CHANGED = {  # what is changed: whose proxy, how, and a cell that then goes another way
    "a transport socket": (
        "client",
        "transport_socket_matches",
        "x",
        "grpc/grpc/permissive/sidecar",
    ),
    "a filter chain": ("server", '"raw_buffer"', '"tls"', "h2/none/permissive/none"),
    "a route": ("client", '"prefix": "/"', '"prefix": "/x"', "grpc/grpc/permissive/sidecar"),
    "an upgrade": ("client", '"websocket"', '"TLS/1.2"', "upgrade-tls/grpc/permissive/sidecar"),
}


@pytest.mark.parametrize(("pod", "old", "new", "cell"), CHANGED.values(), ids=CHANGED)
def test_a_configuration_that_is_changed_changes_what_is_foretold(
    pod: str, old: str, new: str, cell: str, copy: Path
) -> None:
    before = foretold(copy, cell)
    edit_dump(copy, pod, lambda text: text.replace(old, new))
    assert foretold(copy, cell) != before


def test_a_dump_that_is_cut_off_is_told_in_a_sentence(copy: Path) -> None:
    path = copy / "config" / "permissive-client.json.gz"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(BadEvidence, match="is damaged: it cannot be unpacked"):
        stored_mesh.read(Recorded(copy))


def test_tables_that_differ_are_compared_by_cell() -> None:
    table = results.load(RECORDED)
    key = "h2/none/permissive/none"
    other = {**table, key: {**table[key], "wire": "tls"}}
    assert list(results.differing([table, other])) == [key]
    assert results.differing([table, table]) == {}


def test_a_file_that_is_no_table_is_refused(tmp_path: Path) -> None:
    (tmp_path / results.CSV).write_text("a,b\n1,2\n")
    with pytest.raises(BadEvidence, match="has not the columns of a truth table"):
        results.load(tmp_path)


@pytest.mark.parametrize("policy", ["strict", "permissive"])
@pytest.mark.parametrize("spoken", [*page.SPOKEN])
def test_the_name_that_the_page_recommends_is_answered_over_mutual_tls(
    spoken: str, policy: str
) -> None:
    sends, use = page.SPOKEN[spoken]
    row = results.load(page.RECORDED)[f"{sends}/{use}/{policy}/sidecar"]
    assert text.short(row) == "mTLS"
