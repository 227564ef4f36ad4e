"""`istio-lab new failure`, and the check of failures."""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path

import pytest

from lab import failures
from lab.commands import check_failures, new
from lab.commands import list as list_command
from lab.common.errors import BadArguments, BadFailure
from lab.model import store
from lab.model.failure import Failure
from lab.notebook import execute


def test_what_it_writes_loads_and_its_notebook_fits(tmp_path: Path) -> None:
    file, notebook = new.write("port_of_ours", tmp_path, tmp_path)
    failure = failures.load_file(file)
    assert failure.name == "port_of_ours"
    declared = {p.name: p.default for p in execute.declared(notebook)}
    assert declared.pop("cluster") == "auto"
    assert declared == {name: p.default for name, p in failure.parameters.items()}
    cells = json.loads(notebook.read_text())["cells"]
    code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    assert 12 <= len(cells) <= 22
    assert 0.35 <= len(code) / len(cells) <= 0.65
    assert all(1 <= len(source.splitlines()) <= 5 for source in code)
    assert 'lab.open_run("port_of_ours"' in code[1]
    assert "my_failure" not in file.read_text() + notebook.read_text()


@pytest.mark.parametrize("name", ["My-Failure", "1st", "class", "a__b", "../up", ""])
def test_a_name_that_no_file_may_have_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(BadArguments, match="cannot be a failure's name"):
        new.write(name, tmp_path, tmp_path)
    assert not [*tmp_path.iterdir()]


def test_a_name_that_is_there_is_refused_and_nothing_is_written() -> None:
    before = (store.ROOT / "lab/failures/tcp_mtls.py").read_text()
    with pytest.raises(BadArguments, match=r"tcp_mtls\.py is there already"):
        new.write("tcp_mtls")
    assert (store.ROOT / "lab/failures/tcp_mtls.py").read_text() == before


def test_it_says_what_is_missing_and_what_comes_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = [tmp_path / "ours.py", tmp_path / "ours.ipynb"]
    monkeypatch.setattr(new, "write", lambda _name: paths)
    assert new.run(argparse.Namespace(what="failure", name="ours")) == 0
    said = capsys.readouterr().out
    assert "Missing: pins" in said
    assert [line[2:4] for line in said.splitlines() if line[2:3].isdigit()] == [
        f"{n}." for n in range(1, 8)
    ]
    assert "make reproduce FAILURE=ours KEEP=1" in said


def test_the_failures_here_may_be_committed(capsys: pytest.CaptureFixture[str]) -> None:
    assert check_failures.main() == 0
    assert (
        capsys.readouterr().out == "every failure is short enough, fits together, and is pinned\n"
    )


@pytest.mark.parametrize(("name", "most"), [("old_answers", 130), ("rest_mtls", 135)])
def test_one_that_has_a_line_too_many_may_not(name: str, most: int, tmp_path: Path) -> None:
    text = (store.ROOT / f"lab/failures/{name}.py").read_text()
    full = text + "# a line more\n" * (most - len(text.splitlines()))
    path = tmp_path / f"{name}.py"
    path.write_text(full)
    assert check_failures.problems(tmp_path) == []
    path.write_text(full + "# and another\n")
    assert check_failures.problems(tmp_path) == [
        f"{path}:{most + 1}: it has {most + 1} lines, and may have {most} at most"
    ]


def test_a_failure_has_a_limit_of_its_own_only_where_it_needs_one() -> None:
    for name, most in check_failures.OWN_LINES.items():
        lines = (store.ROOT / f"lab/failures/{name}.py").read_text().splitlines()
        assert check_failures.LINES < len(lines) <= most


def test_one_without_pins_and_a_wrong_one_may_not(tmp_path: Path) -> None:
    new.write("unpinned", tmp_path, tmp_path)
    claim, remedy = check_failures.problems(tmp_path)
    assert claim.startswith(f"{tmp_path}/unpinned.py:")
    assert ': M1 has no pin: write the words that a run shows as pinned=("...", "...")' in claim
    assert ': http-name has no pin: write the words that a run shows as pinned=d.pin("..' in remedy
    (tmp_path / "unpinned.py").write_text("FAILURE = None\n")
    assert "it does not hold a FAILURE" in check_failures.problems(tmp_path)[0]


def test_make_check_runs_it() -> None:
    makefile = (store.ROOT / "Makefile").read_text()
    check = makefile.partition("\ncheck:")[2].partition("\n\n")[0]
    assert "-m lab.commands.check_failures" in check


def test_a_claim_that_another_failure_has_may_not(tmp_path: Path) -> None:
    for name in ("one", "other"):
        new.write(name, tmp_path, tmp_path)
    (twice,) = [one for one in check_failures.problems(tmp_path) if "already" in one]
    assert twice.startswith(f"{tmp_path}/other.py:")
    assert f"claim M1 is there already, {tmp_path}/one.py:" in twice


def test_a_notebook_with_another_default_than_its_failure_may_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(execute.NOTEBOOKS, tmp_path / "notebooks")
    notebook = tmp_path / "notebooks" / "grpc_h2c.ipynb"
    text = notebook.read_text()
    default = next(iter(failures.load("grpc_h2c").parameters.values())).default
    assert f'\\"{default}\\"' in text
    notebook.write_text(text.replace(f'\\"{default}\\"', '\\"another\\"'))
    monkeypatch.setattr(execute, "NOTEBOOKS", tmp_path / "notebooks")
    monkeypatch.setattr(store, "ROOT", tmp_path)
    (wrong,) = check_failures.other_parameters(failures.names())
    assert wrong.startswith("notebooks/grpc_h2c.ipynb: its cell tagged `parameters` has ")
    assert "'another'" in wrong
    assert "lab/failures/grpc_h2c.py has" in wrong


def test_a_failure_that_is_wrong_does_not_hide_the_others_in_the_list(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    load = failures.load

    def broken(name: str) -> Failure:
        if name == "grpc_h2c":
            raise BadFailure("grpc_h2c.py:1: it is broken")
        return load(name)

    monkeypatch.setattr(failures, "load", broken)
    assert list_command.run(argparse.Namespace()) == 254
    said = capsys.readouterr()
    assert len(said.out.splitlines()) == len(failures.names()) - 1
    assert said.err == "lab: grpc_h2c.py:1: it is broken\n"
