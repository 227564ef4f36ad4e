"""`istio-lab table` on a recorded table: no cluster is asked."""

from __future__ import annotations

import argparse
import json
import re
import shutil
from pathlib import Path

import pytest

from lab.commands import table
from lab.common.errors import BadArguments
from lab.truth_table import compare, results
from lab.truth_table.recorded import PREDICTIONS

RECORDED = Path(__file__).parent / "recorded"


def run(*words: str) -> int:
    parser = argparse.ArgumentParser()
    table.add(parser)
    return table.run(parser.parse_args(words))


def test_a_matrix_shows_what_is_sent_by_what_the_port_is_called(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run("show", "--run", str(RECORDED), "--where", "policy=permissive", "caller=none") == 0
    shown = capsys.readouterr().out
    assert "policy permissive, caller none: port name by what is sent" in shown
    line = next(line for line in shown.splitlines() if line.startswith("https "))
    assert "hangs plain" in line


def test_cells_are_listed_by_a_pattern(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("show", "h2/*", "--run", str(RECORDED)) == 0
    shown = capsys.readouterr().out
    assert "7 cells" in shown
    assert "arrives, application" in shown


def test_a_cell_is_explained_by_its_witnesses_and_by_the_walk(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run("why", "upgrade-tls/grpc/permissive/sidecar", "--run", str(RECORDED)) == 0
    shown = capsys.readouterr().out
    assert "packets at the caller's eth0: no connection" in shown
    assert "response_code_details upgrade_failed" in shown
    assert "(agrees)" in shown
    assert "The client's proxy answers by itself with status 403: upgrade_failed." in shown


@pytest.mark.parametrize(
    ("cell", "told"),
    [
        (
            "http1.0/http/permissive/none/address=pod",
            "The server's proxy answers by itself with status 426: low_version.",
        ),
        (
            "server-first/grpc/permissive/sidecar",
            "the HTTP inspector needs a whole request line, or bytes that begin no method; no",
        ),
        (
            "three-bytes/grpc-web/permissive/sidecar",
            "the chains for it want protocol http/1.1 or h2c",
        ),
    ],
)
def test_cells_are_foretold_with_the_walk_from_a_runs_configuration(
    cell: str, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("predict", "--cells", cell, "--run", str(RECORDED)) == 0
    shown = capsys.readouterr().out
    assert told in shown
    assert "Measured" not in shown


def test_a_run_whose_model_foretold_something_else_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = Path(shutil.copytree(RECORDED, tmp_path / "run" / "truth_table"))
    stored = (other / PREDICTIONS).read_text()
    (other / PREDICTIONS).write_text(stored.replace('"arrives"', '"refused"'))
    run("predict", "--cells", "h2/none/permissive/none", "--run", str(other))
    assert "the model as it was then foretold: refused, by application." in capsys.readouterr().out


def test_a_table_in_shards_is_read_as_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "truth_table"
    shutil.copytree(RECORDED, folder / "shards" / "1")
    results.save(results.judge_run(folder), folder)
    assert {*results.load(folder)} == {*results.load(RECORDED)}
    assert run("why", "grpc/grpc/permissive/sidecar", "--run", str(folder)) == 0
    assert "arrives at the application; on the wire: mutual_tls" in capsys.readouterr().out


def test_what_surprises_is_told_with_what_one_expects(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("surprises", "--run", str(RECORDED)) == 0
    shown = capsys.readouterr().out
    assert "answered in plaintext" in shown
    assert "protocol-selection" in shown


def test_a_heat_map_says_in_words_what_it_shows() -> None:
    from lab.truth_table.notebook import open_table

    picture = open_table(RECORDED).heat_map(caller="none")
    assert "caller none: port name by what is sent. -: 46, plain: 7" in picture.alt
    assert picture.svg.count(">plain</text>") == sum(
        row.count("plain") for row in picture.table.rows
    )


def test_tables_are_compared_and_a_difference_ends_with_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = Path(shutil.copytree(RECORDED, tmp_path / "run" / "truth_table"))
    assert run("diff", str(RECORDED), str(other)) == 0
    text = (other / results.CSV).read_text()
    (other / results.CSV).write_text(text.replace("mutual_tls", "plaintext", 1))
    assert run("diff", str(RECORDED), str(other)) == 1
    assert "1 of 48 cells that all of them have differ" in capsys.readouterr().out


def test_tables_of_two_stacks_say_on_what_they_were_measured_and_which_cells_one_lacks(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = Path(shutil.copytree(RECORDED, tmp_path / "1.30" / "truth_table"))
    lines = (other / results.CSV).read_text().splitlines(keepends=True)
    kept = [line for number, line in enumerate(lines) if number != 5 and ",tls,tls," not in line]
    (other / results.CSV).write_text("".join(line for line in kept if "address=pod" not in line))
    mesh = {"config": {"enableAutoMtls": False}, "istiod": {"PILOT_ENABLE_SENDING_HBONE": "false"}}
    about = {"stack": {"istio": "1.30.2", "envoy": "1.37.1"}, "mesh": mesh, "chosen": "--sample 9"}
    (other / compare.ABOUT).write_text(json.dumps({"cluster": "kind", **about}))
    first = Path(shutil.copytree(RECORDED, tmp_path / "1.31" / "truth_table"))
    about = {"stack": {"istio": "1.31"}, "mesh": {"config": {"enableAutoMtls": True}}}
    (first / compare.ABOUT).write_text(json.dumps({"cluster": "embedded", **about}))
    assert run("diff", str(first), str(other)) == 0
    shown = re.sub(" +", " ", capsys.readouterr().out)
    assert "Istio 1.31 1.30.2" in shown
    assert "mesh config enableAutoMtls true false" in shown
    assert "mesh istiod PILOT_ENABLE_SENDING_HBONE not recorded" in shown
    assert re.search(r"1.30 lacks \d+ of 48 cells: it has none with address=pod \(\d+\)", shown)
    assert re.search(r"\d were not chosen \(--sample 9\)", shown)


def test_an_axis_that_changes_no_answer_is_told() -> None:
    core = "http1.1/http/strict/sidecar"
    row = results.load(RECORDED)["h2/tls/permissive/sidecar"]
    rows = {f"{core}/host=other": row, f"{core}/rule=disable": {**row, "outcome": "refused"}}
    told = [*compare.departures(rows, {core: row})]
    assert told == [
        "host=other: 0 of 1 cells are answered otherwise than without it",
        "rule=disable: 1 of 1 cells are answered otherwise than without it",
    ]


def test_tables_without_a_common_cell_cannot_be_compared(tmp_path: Path) -> None:
    other = Path(shutil.copytree(RECORDED, tmp_path / "run" / "truth_table"))
    text = (other / results.CSV).read_text()
    (other / results.CSV).write_text(re.sub(r"(?m)^([^,]+)/permissive/", r"\1/strict/", text))
    assert run("diff", str(RECORDED), str(other)) == 3


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("show", "--run", "nowhere"), "no table 'nowhere'"),
        (("show", "--run", str(RECORDED), "--where", "polcy=strict"), "did you mean policy"),
        (("why", "h2/none/permissive/nobody", "--run", str(RECORDED)), "did you mean h2/none/"),
        (("predict", "--cells", "h3/*", "--run", str(RECORDED)), "no cell 'h3/*' in this table"),
        (("why", "h2/http/strict/sidecar", "--run", "recorded"), "has its answers only"),
        (("run", "--cells", "h3/*"), "no cell is named 'h3/*'"),
    ],
)
def test_what_is_not_there_is_told_with_what_is(words: tuple[str, ...], told: str) -> None:
    with pytest.raises(BadArguments, match=told.replace("*", r"\*")):
        run(*words)
