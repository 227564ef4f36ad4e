"""The guard around papermill: what it would let through is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_notebooks import written

from lab import failures
from lab.common.errors import BadArguments
from lab.model.parameters import parameters_of
from lab.notebook import execute


@pytest.mark.parametrize("name", failures.names())
def test_a_notebooks_parameters_are_those_of_its_failure(name: str) -> None:
    declared = {p.name: p.default for p in execute.declared(execute.NOTEBOOKS / f"{name}.ipynb")}
    assert declared.pop("cluster") == "auto"
    failure = failures.load(name)
    assert declared == {key: p.default for key, p in failure.parameters.items()}


def test_values_take_the_type_that_the_notebook_declares(tmp_path: Path) -> None:
    path = written(tmp_path, parameters='istio = "1.31"\ncount: int = 3\ndeep = False\nrate = 0.5')
    given = {"istio": "1.30", "count": "7", "deep": "true", "rate": "1"}
    wanted = {"istio": "1.30", "count": 7, "deep": True, "rate": 1.0}
    assert execute.convert(path, given) == wanted
    assert [type(v) for v in execute.convert(path, given).values()] == [str, int, bool, float]


@pytest.mark.parametrize(("name", "value"), [("count", "many"), ("deep", "perhaps"), ("all", "a")])
def test_a_value_of_another_type_is_refused(name: str, value: str, tmp_path: Path) -> None:
    path = written(tmp_path, parameters="count = 3\ndeep = False\nall = []")
    with pytest.raises(BadArguments, match=value):
        execute.convert(path, {name: value})


def test_an_unknown_parameter_is_refused_with_the_nearest_name() -> None:
    path = execute.NOTEBOOKS / "tcp_mtls.ipynb"
    with pytest.raises(BadArguments, match="did you mean mtls"):
        execute.convert(path, {"mtsl": "STRICT"})
    with pytest.raises(BadArguments, match="STRICT, PERMISSIVE, DISABLE"):
        parameters_of(failures.load("tcp_mtls"), {"mtls": "strict"})


def test_the_executed_copy_is_there_even_when_a_cell_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import papermill

    written(tmp_path, "print('so far')", "1 / 0")
    monkeypatch.setattr(execute, "NOTEBOOKS", tmp_path)
    out = tmp_path / "out"
    out.mkdir()
    with pytest.raises(papermill.PapermillExecutionError, match="ZeroDivisionError"):
        execute.execute("one", out, tmp_path, {})
    assert "so far" in (out / "notebook.ipynb").read_text()
    assert [path.name for path in out.iterdir()] == ["notebook.ipynb"]
