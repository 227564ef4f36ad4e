"""`istio-lab table` on a recorded table: no cluster is asked."""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

import pytest

from lab.commands import table
from lab.common.errors import BadArguments
from lab.truth_table import results

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
    assert "1 of 48 cells differ" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("show", "--run", "nowhere"), "no table 'nowhere'"),
        (("show", "--run", str(RECORDED), "--where", "polcy=strict"), "did you mean policy"),
        (("why", "h2/none/permissive/nobody", "--run", str(RECORDED)), "did you mean h2/none/"),
        (("run", "--cells", "h3/*"), "no cell is named 'h3/*'"),
    ],
)
def test_what_is_not_there_is_told_with_what_is(words: tuple[str, ...], told: str) -> None:
    with pytest.raises(BadArguments, match=told.replace("*", r"\*")):
        run(*words)
