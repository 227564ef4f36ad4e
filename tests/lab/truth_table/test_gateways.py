"""Twelve cells with each of the gateway's servers, recorded, and judged again: both legs count."""

from __future__ import annotations

import datetime
import gzip
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lab.truth_table import answers, predictions, results, stored_mesh, text
from lab.truth_table.axes import GATEWAYS
from lab.truth_table.recorded import Call, Recorded

RECORDED = Path(__file__).parent / "recorded_gateways"


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return Path(shutil.copytree(RECORDED, tmp_path / "truth_table"))


def by_key(recorded: Recorded) -> dict[str, Call]:
    return {call.cell.key: call for call in recorded.calls}


def wrong(folder: Path) -> set[str]:
    return {row.cell.key for row in results.judge(Recorded(folder)) if not row.agrees}


def test_there_is_a_cell_of_each_server_of_the_gateway() -> None:
    found = {call.cell.gateway for call in Recorded(RECORDED).calls}
    assert found == {name for name, server in GATEWAYS.items() if server}


def test_each_cell_is_as_foretold() -> None:
    assert wrong(RECORDED) == set()


def test_the_model_foretells_of_the_stored_configuration_what_it_foretold_live() -> None:
    recorded = Recorded(RECORDED)
    calls = [(call.asked, call.caller.ip) for call in recorded.calls]
    assert predictions.foretell(stored_mesh.read(recorded), calls) == recorded.foretold


@pytest.mark.parametrize(
    ("cell", "wanted"),
    [
        ("http1.1/none/strict/none/gateway=mutual",
         ("arrives", "application", "tls", "mutual_tls", "HTTP/1.1")),
        ("http1.1/http/strict/none/gateway=simple-no-tls",
         ("refused", "gateway", "plaintext", "none", "")),
        ("http1.0/none/strict/none/gateway=simple-tcp",
         ("arrives", "application", "tls", "mutual_tls", "HTTP/1.0")),
        ("http1.1/http/strict/none/gateway=mutual-no-certificate",
         ("refused", "gateway", "tls", "none", "")),
        ("line/http2/strict/none/gateway=tcp",
         ("refused", "server's proxy", "plaintext", "tls", "")),
        ("line/none/strict/sidecar/gateway=istio-mutual",
         ("arrives", "application", "mutual_tls", "mutual_tls", "bytes that are not HTTP")),
        ("tls/none/strict/none/gateway=passthrough",
         ("arrives", "application", "tls", "mutual_tls", "TLS")),
        ("server-first/http/strict/none/gateway=http", ("hangs", "gateway", "none", "none", "")),
        ("upgrade-tls/http/strict/none/gateway=http",
         ("answered by a proxy", "gateway", "plaintext", "none", "")),
    ],
)  # fmt: skip
def test_an_answer_tells_of_both_legs(cell: str, wanted: tuple[str, ...]) -> None:
    recorded = Recorded(RECORDED)
    found = answers.answer(recorded, by_key(recorded)[cell])
    assert (found.outcome, found.by, found.first_leg, found.wire, found.given) == wanted


def edit_lines(path: Path, change: Callable[[dict[str, Any]], dict[str, Any] | None]) -> None:
    kept = (change(json.loads(line)) for line in path.read_text().splitlines() if line.strip())
    path.write_text("".join(json.dumps(line) + "\n" for line in kept if line is not None))


def test_without_the_gateways_word_the_second_leg_is_not_guessed(copy: Path) -> None:
    edit_lines(copy / "logs" / "strict-gateway.jsonl", lambda _: None)
    cell = "http1.1/none/strict/none/gateway=mutual"
    recorded = Recorded(copy)
    found = answers.answer(recorded, by_key(recorded)[cell])
    assert found.first_leg == "tls"
    assert found.wire == "none"
    assert cell in wrong(copy)


def test_without_the_gateways_word_on_the_certificate_its_tls_is_not_mutual(copy: Path) -> None:
    edit_lines(
        copy / "logs" / "strict-gateway.jsonl",
        lambda line: {**line, "downstream_peer_uri_san": None},
    )
    assert wrong(copy) == {"line/none/strict/sidecar/gateway=istio-mutual"}


def test_a_line_of_the_connection_that_had_the_port_before_is_not_the_calls(copy: Path) -> None:
    def earlier(line: dict[str, Any]) -> dict[str, Any]:
        began = datetime.datetime.fromisoformat(line["start_time"]) - datetime.timedelta(seconds=12)
        return {**line, "start_time": began.isoformat()}

    cell = "line/none/strict/sidecar/gateway=istio-mutual"
    edit_lines(copy / "logs" / "strict-server.jsonl", earlier)
    recorded = Recorded(copy)
    assert answers.answer(recorded, by_key(recorded)[cell]).wire == "tls"
    assert cell in wrong(copy)


def test_legs_that_are_exchanged_are_noticed(copy: Path) -> None:
    """The gateway's packets in place of the caller's, and the other way round."""
    one, other = (copy / "captures" / f"strict-{who}.pcap" for who in ("gateway", "stranger"))
    content = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(content)
    arriving = {row.cell.key for row in results.judge(Recorded(RECORDED)) if row.measured.given}
    assert arriving
    assert arriving <= wrong(copy)


def test_a_gateway_that_is_configured_otherwise_is_foretold_otherwise(copy: Path) -> None:
    path = copy / "config" / "strict-gateway.json.gz"
    before = gzip.decompress(path.read_bytes()).decode()
    after = before.replace(
        '"require_client_certificate": true', '"require_client_certificate": false'
    )
    assert before != after
    path.write_bytes(gzip.compress(after.encode()))
    recorded = Recorded(copy)
    call = by_key(recorded)["http1.1/http/strict/none/gateway=mutual-no-certificate"]
    mesh = stored_mesh.read(recorded)
    (found,) = predictions.foretell(mesh, [(call.asked, call.caller.ip)])[call.cell.key]
    assert found.outcome == "arrives"


def test_a_cell_is_explained_by_the_witnesses_of_both_legs() -> None:
    recorded = Recorded(RECORDED)
    shown = text.why(recorded, by_key(recorded)["http1.1/none/strict/none/gateway=mutual"])
    for said in ("to the gateway: tls", "packets to the gateway", "packets at the gateway's eth0",
                 "(agrees)"):  # fmt: skip
        assert said in shown


def test_a_field_of_a_matrix_shows_what_crossed_to_the_gateway_first() -> None:
    rows = results.load(RECORDED)
    assert text.short(rows["http1.1/none/strict/none/gateway=mutual"]) == "TLS > mTLS"
    assert text.short(rows["http1.1/http/strict/none/gateway=simple-no-tls"]) == "plain > refused"
