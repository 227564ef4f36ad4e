"""The results of `make test-long` hold for the default stack, and for no other."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest

from lab.model import store

JUNIT = """<testsuites><testsuite>
<testcase classname="tests.a" name="test_one" time="1.25"/>
<testcase classname="tests.a" name="test_two" time="2"><failure message="no"/></testcase>
</testsuite></testsuites>"""


@pytest.fixture(scope="module")
def long() -> ModuleType:
    """benchmarks/long.py, which is no package's."""
    spec = importlib.util.spec_from_file_location("long", store.ROOT / "benchmarks" / "long.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("part", ["istio", "envoy", "kubernetes"])
def test_results_of_another_default_stack_are_refused(
    part: str, long: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = tmp_path / "long.json"
    monkeypatch.setattr(long, "RESULT", result)
    monkeypatch.setattr(long.problem, "__defaults__", (result,))
    assert "is not there" in long.problem(result)
    passed = {"result": "passed", "seconds": 1.0}
    kept = long.told({"a::b": passed})
    result.write_text(json.dumps(kept))
    assert long.main(["--check"]) == 0
    kept["stack"][part] = "0.1"
    result.write_text(json.dumps(kept))
    assert f"is of istio {kept['stack']['istio']}, envoy" in long.problem(result)
    assert long.main(["--check"]) == 1


def test_a_long_test_that_failed_is_named(long: ModuleType, tmp_path: Path) -> None:
    failed = {"result": "failure", "seconds": 1.0}
    result = tmp_path / "long.json"
    result.write_text(json.dumps(long.told({"a::b": failed})))
    assert long.problem(result).startswith("long.json: a::b did not pass\n")


def test_each_tests_result_seconds_and_commit_are_kept(long: ModuleType, tmp_path: Path) -> None:
    report = tmp_path / "junit.xml"
    report.write_text(JUNIT)
    found = long.results(report)
    assert {name: (one["result"], one["seconds"]) for name, one in found.items()} == {
        "tests.a::test_one": ("passed", 1.2),
        "tests.a::test_two": ("failure", 2.0),
    }
    assert {one["commit"] for one in found.values()} == {store.commit().get("commit", "")}
