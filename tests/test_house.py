"""What is generated or said twice agrees."""

from __future__ import annotations

import re
import subprocess
import textwrap
import tomllib
from pathlib import Path

import yaml

from lab import failures
from lab.commands import generate, new
from lab.model import store
from lab.render import wording


def test_conda_and_pip_are_asked_for_the_same_packages() -> None:
    project = tomllib.loads((store.ROOT / "pyproject.toml").read_text())["project"]
    conda = yaml.safe_load((store.ROOT / "environment.yml").read_text())
    wanted = [*project["dependencies"], *project["optional-dependencies"]["lab"]]
    assert conda["dependencies"][-1]["pip"] == wanted
    assert f"python{project['requires-python']}" in conda["dependencies"]


def test_the_lock_has_a_hash_for_each_package_and_no_address() -> None:
    text = (store.ROOT / "requirements.lock").read_text()
    assert not re.search(r"https?://|--(extra-)?index-url|@ ", text)
    entries = re.split(r"\n(?=\S)", text.strip())
    assert len(entries) > 50
    assert all("--hash=sha256:" in entry for entry in entries)


def test_the_lock_holds_everything_that_the_project_names() -> None:
    whole = tomllib.loads((store.ROOT / "pyproject.toml").read_text())
    wanted = [*whole["project"]["dependencies"], *whole["dependency-groups"]["dev"]]
    wanted += whole["project"]["optional-dependencies"]["lab"]
    locked = re.findall(
        r"^([\w.-]+)==", (store.ROOT / "requirements.lock").read_text(), re.MULTILINE
    )
    names = {re.sub(r"[-_.]+", "-", name).lower() for name in locked}
    for entry in wanted:
        name = re.split(r"[<>=!~]", entry)[0]
        assert re.sub(r"[-_.]+", "-", name).lower() in names, entry


def test_readmes_table_and_picture_are_those_of_the_recorded_runs() -> None:
    assert generate.main(["verify"]) == 0


def test_a_failure_is_a_file_of_data_and_names_itself() -> None:
    for name in failures.names():
        failure = failures.load(name)
        assert failure.name == name
        assert failure.controls


def test_the_sample_of_contributing_is_what_new_failure_writes_and_loads(tmp_path: Path) -> None:
    text = (store.ROOT / "CONTRIBUTING.md").read_text()
    code = re.search(r"```python\n(.*?)```", text, re.DOTALL)
    assert code
    sample = textwrap.dedent(code[1])
    assert sample == new.TEMPLATE.read_text()
    path = tmp_path / "my_failure.py"
    path.write_text(sample)
    assert failures.load_file(path).name == "my_failure"


def test_the_files_that_contributing_names_are_there() -> None:
    text = (store.ROOT / "CONTRIBUTING.md").read_text()
    links = re.findall(r"\]\(([^)#:]+)[^)]*\)", text)
    assert links
    assert [link for link in links if not (store.ROOT / link).exists()] == []


def test_the_documented_job_for_ci_is_the_one_that_the_workflow_has() -> None:
    text = (store.ROOT / "docs" / "ci.md").read_text()
    block = re.search(r"```yaml\n(jobs:.*?)```", text, re.DOTALL)
    assert block
    told = yaml.safe_load(block[1])["jobs"]["embedded"]
    path = store.ROOT / ".github" / "workflows" / "embedded.yml"
    runs = yaml.safe_load(path.read_text())["jobs"]["embedded"]
    summary = [step for step in runs["steps"] if step.get("name") == "Summary"]
    assert len(summary) == 1
    assert {**runs, "steps": [s for s in runs["steps"] if s not in summary]} == told


def test_the_documentation_tells_every_code_as_a_run_does() -> None:
    text = (store.ROOT / "docs" / "ci.md").read_text()
    assert all(f"| {code} | {said} |" in text for code, said in wording.EXPLAINED.items())


def test_no_runtime_file_is_tracked() -> None:
    argv = ["git", "-C", str(store.ROOT), "ls-files", "runs", ".venv", "*.egg-info", "*.pyc"]
    assert subprocess.run(argv, capture_output=True, text=True, check=True).stdout == ""


def test_make_help_lists_every_target_that_readme_names() -> None:
    said = subprocess.run(
        ["make", "-C", str(store.ROOT), "--no-print-directory", "help"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    named = set(re.findall(r"`?make ([a-z]+)", (store.ROOT / "README.md").read_text()))
    assert named
    assert all(f"make {name} " in said for name in named)
