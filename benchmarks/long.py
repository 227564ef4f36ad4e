"""Run the tests that need not run at every change, and keep what came of them.

    .venv/bin/python benchmarks/long.py            as `make test-long`; writes benchmarks/long.json
    .venv/bin/python benchmarks/long.py --check    ends with 1 where it does not hold

Words after these go to pytest: `benchmarks/long.py tests/long` runs a part. The results of the
other tests are kept, each with its own commit, if they are of the same stack.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from defusedxml import ElementTree

from clusters.stacks import assembly
from lab.model import store

RESULT = Path(__file__).with_name("long.json")
SHOWN = ("istio", "envoy", "kubernetes")
"""The parts of a stack whose versions a result holds for."""
OTHER = ("failure", "error", "skipped")
"""JUnit's elements for a test that did not pass."""


def default_stack() -> dict[str, str]:
    """Return the versions that a run uses where none is asked for."""
    stack = assembly.wanted().stack
    return {name: getattr(stack, name) for name in SHOWN}


def problem(result: Path = RESULT) -> str:
    """Return why the stored results do not hold for the default stack; empty where they do."""
    again = "\n  -> make test-long, and commit the file"
    if not result.exists():
        return f"{result.name} is not there{again}"
    kept = json.loads(result.read_text())
    if kept["stack"] != default_stack():
        ran, default = _named(kept["stack"]), _named(default_stack())
        return f"{result.name} is of {ran}; the default stack is {default}{again}"
    failed = [name for name, test in kept["tests"].items() if test["result"] != "passed"]
    return f"{result.name}: {', '.join(failed)} did not pass{again}" if failed else ""


def _named(stack: dict[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in stack.items())


def run(words: list[str]) -> int:
    """Run the tests; returns pytest's exit code, after the results are written."""
    with tempfile.TemporaryDirectory(prefix="lab-long-") as folder:
        report = Path(folder) / "junit.xml"
        argv = [sys.executable, "-m", "pytest", "-m", "long", f"--junitxml={report}", *words]
        code = subprocess.run(argv, cwd=store.ROOT).returncode
        if report.exists():
            kept = {**_of_this_stack(), **results(report)}
            RESULT.write_text(json.dumps(told(kept), indent=1) + "\n")
    return code


def told(tests: dict[str, Any]) -> dict[str, Any]:
    """Return what is kept of a run of the tests."""
    seconds = round(sum(test["seconds"] for test in tests.values()), 1)
    own = {"cores": os.cpu_count(), "stack": default_stack(), "seconds": seconds}
    return {**own, "tests": dict(sorted(tests.items()))}


def results(report: Path) -> dict[str, Any]:
    """Return the result of each test in a JUnit report, its seconds, when and on which commit."""
    at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    of = {"at": at, "commit": store.commit().get("commit", "")}
    return {
        f"{case.get('classname')}::{case.get('name')}": {
            "result": next((one.tag for one in case if one.tag in OTHER), "passed"),
            "seconds": round(float(case.get("time", "0")), 1),
            **of,
        }
        for case in ElementTree.parse(report).iter("testcase")
    }


def _of_this_stack() -> dict[str, Any]:
    if not RESULT.exists():
        return {}
    before: dict[str, Any] = json.loads(RESULT.read_text())
    return dict(before["tests"]) if before["stack"] == default_stack() else {}


def main(argv: list[str]) -> int:
    """Run the tests, or check what is kept of them."""
    if argv != ["--check"]:
        return run(argv)
    found = problem()
    if found:
        print(found, file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
