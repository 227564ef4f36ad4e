"""The command line by what a person wants to do: every command and make target is in one group."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from lab.commands import registry
from lab.model import store

NOT_COMMANDS = {  # what commands are made of
    "__init__",
    "arguments",
    "audit_page",
    "check_failures",
    "finish",
    "generate",
    "line",
    "new_failure_template",
    "plan",
    "run_plan",
    "sbom",
    "side_by_side",
    "stored",
    "sudo",
    "table_page",
    "registry",
}


def test_every_command_is_in_one_group_and_has_a_file() -> None:
    grouped = [name for commands in registry.GROUPS.values() for name in commands]
    assert len(grouped) == len({*grouped})
    files = {path.stem for path in (store.ROOT / "lab" / "commands").glob("*.py")} - NOT_COMMANDS
    assert {registry.module(name).__name__.rpartition(".")[2] for name in grouped} == files
    for name in grouped:
        assert callable(registry.module(name).add), name
        assert callable(registry.module(name).run), name


def test_help_shows_every_group_and_command_and_exit_code() -> None:
    argv = [sys.executable, "-S", "-m", "lab", "help"]
    told = subprocess.run(argv, cwd=store.ROOT, capture_output=True, text=True).stdout
    for heading, commands in registry.GROUPS.items():
        assert f"\n{heading}\n" in told
        assert all(
            re.search(rf"^  {name} +{re.escape(text)}$", told, re.MULTILINE)
            for name, text in commands.items()
        )
    assert all(re.search(rf"^  {code} +\w", told, re.MULTILINE) for code in (0, 1, 3, 254, 255))
    assert max(map(len, told.splitlines())) <= 100


def test_the_help_of_every_command_needs_the_standard_library_alone() -> None:
    code = (
        "import sys\nfrom lab.commands import line, registry\n"
        "for name in registry.SUMMARIES:\n"
        "    try: print(line.main([name, '--help']))\n"
        "    except SystemExit as end: assert end.code == 0, name\n"
    )
    argv = [sys.executable, "-S", "-c", code]
    env = {**os.environ, "PYTHONPATH": str(store.ROOT)}
    done = subprocess.run(argv, cwd=store.ROOT, capture_output=True, text=True, env=env)
    assert (done.returncode, done.stderr) == (0, "")
    shown = re.findall(r"^usage: istio-lab (\S+)", done.stdout, re.MULTILINE)
    assert shown == [*registry.SUMMARIES]


def targets(makefile: str) -> set[str]:
    """What a person can type after make: not files, and not what stands for other targets."""
    return set(re.findall(r"^([a-z][a-z-]*):(?!=)", makefile, re.MULTILINE))


def test_every_make_target_is_in_one_group() -> None:
    makefile = (store.ROOT / "Makefile").read_text()
    told = make_help(store.ROOT)
    listed = re.findall(r"^  make ([a-z-]+) ", told, re.MULTILINE)
    assert len(listed) == len({*listed})
    assert {*listed} == targets(makefile)
    assert re.match(r"\n[A-Z].+\n  make ", told), "a heading before the first"
    assert len(re.findall(r"^[A-Z].+$", told, re.MULTILINE)) >= 5


def make_help(folder: Path) -> str:
    argv = ["make", "-C", str(folder), "--no-print-directory", "help"]
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout
