"""A connection that got another port behind its pod's own firewall keeps its host and its time."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest

from lab.truth_table import results
from lab.truth_table.joined import Joined
from lab.truth_table.recorded import CALLS, Recorded

RECORDED = Path(__file__).parent / "recorded"
REMOTE = "downstream_remote_address"
HOST = "10.244.0.110"
FIRST, SECOND, THIRD = (f"{kind}/tls/permissive/sidecar" for kind in ("h2", "line", "split-line"))
PORTS = {FIRST: 44350, SECOND: 44358, THIRD: 44374}
"""Three calls to one port of the server, from one host, within 0.1 s."""


def joined(folder: Path, renamed: Mapping[str, str], without: str = "") -> dict[str, str]:
    """Return the address in the line of each call: some name another, one is missing."""
    copy = Path(shutil.copytree(RECORDED, folder / "truth_table"))
    log = copy / "logs" / "permissive-server.jsonl"
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    new = {f"{HOST}:{PORTS[cell]}": address for cell, address in renamed.items()}
    kept = [line for line in lines if line[REMOTE] != f"{HOST}:{PORTS.get(without)}"]
    edited = ({**line, REMOTE: new.get(line[REMOTE], line[REMOTE])} for line in kept)
    log.write_text("".join(json.dumps(line) + "\n" for line in edited))
    recorded = Recorded(copy)
    found = {call.cell.key: Joined(recorded, call).server_line for call in recorded.calls}
    return {cell: str((found[cell] or {}).get(REMOTE)) for cell in PORTS}


@pytest.mark.parametrize("cell", [FIRST, SECOND, THIRD])
def test_a_line_with_another_port_is_the_connections_that_began_when_it_did(
    cell: str, tmp_path: Path
) -> None:
    addresses = {one: f"{HOST}:{port}" for one, port in PORTS.items()}
    wanted = addresses | {cell: f"{HOST}:13772"}
    assert joined(tmp_path, {cell: f"{HOST}:13772"}) == wanted


def test_a_line_of_another_host_is_not_joined(tmp_path: Path) -> None:
    assert joined(tmp_path, {SECOND: "10.244.0.99:13772"})[SECOND] == "None"


def test_a_connection_without_a_line_does_not_get_that_of_a_later_one(tmp_path: Path) -> None:
    found = joined(tmp_path, {THIRD: f"{HOST}:13772"}, without=FIRST)
    assert (found[FIRST], found[THIRD]) == ("None", f"{HOST}:13772")


def test_a_connection_that_a_proxy_made_while_its_caller_was_late_is_the_calls(
    tmp_path: Path,
) -> None:
    """A caller notes late that it was connected where its threads outnumber the processors."""
    copy = Path(shutil.copytree(RECORDED, tmp_path / "truth_table"))
    was = {row.cell.key: row.measured for row in results.judge(Recorded(copy))}
    calls = [*map(json.loads, (copy / CALLS).read_text().splitlines())]
    late = ({**one, "connecting": one["started"], "started": one["started"] + 0.2} for one in calls)
    (copy / CALLS).write_text("".join(json.dumps(one) + "\n" for one in late))
    assert {row.cell.key: row.measured for row in results.judge(Recorded(copy))} == was
