"""`istio-lab new failure NAME`: writes a failure's file and its notebook, to start from."""

from __future__ import annotations

import argparse
import json
import keyword
import re
from pathlib import Path
from typing import Any

from lab import failures
from lab.commands import new_failure_template
from lab.common import files, places
from lab.common.errors import BadArguments
from lab.model import store
from lab.notebook import execute

FAILURES = Path(failures.__file__).parent
TEMPLATE = Path(new_failure_template.__file__)
SAMPLE = "my_failure"
"""The name that the template has."""
PARAMETERS = """\
cluster = "auto"  # LAB_CLUSTER if it is set, else embedded where it is built, else recorded
port_name = "udp-web"
"""
OPEN = """\
import lab

run = lab.open_run("my_failure", cluster=cluster, port_name=port_name)
run
"""
NOTEBOOK = (
    "# A Service port with a misleading name\n\n**The symptom:** write what a person sees first.",
    PARAMETERS,
    OPEN,
    "## Before: two controls\n\nNothing is secured here: the marker must be readable on the wire.",
    'display(run.before(), run.wire("plain"))',
    "## During\n\n**Question.** Two ports of the same server: which of the two calls can be read?",
    'display(run.during(), run.wire("named", "misnamed"))',
    "Say what was seen, and why.\n\n## Where did the client's sidecar send it?",
    'run.route("named", "misnamed")',
    "## Remedies\n\nEach is tried on what fails: as it is, with the remedy, and taken back.\n\n"
    "**Question.** What is on the wire once the port has another name?",
    'display(run.remedies(), run.diff("http-name"))',
    "## The verdict\n\nFrom the stored files alone.",
    "display(run.verdict(), run.price())",
    "## What to take home\n\n- Write what an engineer should remember.",
)
"""The cells of the notebook, prose and code."""
CODE = frozenset((1, 2, 4, 6, 8, 10, 12))
"""Which of them are code."""
NEXT = """\
Written:
  {file}
  {notebook}
It loads, and runs. It is a sample: what it calls and claims is yet to become yours.
Missing: pins (what is known of each claim and remedy), and recorded evidence.

Next, in seven steps (CONTRIBUTING.md says more of each):
  1. Write {file}: worlds, calls, claims, controls, remedies.
  2. Give {notebook} the failure's parameters, and run it:
     make reproduce FAILURE={name} KEEP=1. It ends with 3, as nothing is pinned yet.
  3. Tell it in the notebook.
  4. Pin the words that you saw, each beside its claim or remedy. Run it again: it ends with 0.
  5. Record it: istio-lab record.
  6. Run it with PARAMS that turn it round, then istio-lab record --turned.
  7. Check it: make notebooks readme, then make check, then make test."""


def add(parser: argparse.ArgumentParser) -> None:
    """Take what is to be written, and its name."""
    parser.add_argument("what", choices=["failure"])
    parser.add_argument("name", help="lower case, digits and _: the file's name")


def run(options: argparse.Namespace) -> int:
    """Write both files, and say what is missing and what comes next. Raises NeedsUnmet."""
    places.require_checkout("istio-lab new")
    written = write(options.name)
    file, notebook = (str(store.from_here(path)) for path in written)
    print(NEXT.format(file=file, notebook=notebook, name=options.name))
    return 0


def write(name: str, folder: Path = FAILURES, notebooks: Path = execute.NOTEBOOKS) -> list[Path]:
    """Write the failure's file and its notebook; returns both paths.

    Raises BadArguments for a name that no file may have, or that is there already.
    """
    if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name) or keyword.iskeyword(name):
        raise BadArguments(
            f"{name!r} cannot be a failure's name",
            hint="lower-case words, joined by _: istio-lab new failure tcp_port_name",
        )
    paths = [folder / f"{name}.py", notebooks / f"{name}.ipynb"]
    for path in paths:
        if path.exists():
            raise BadArguments(f"{store.from_here(path)} is there already", hint="another name")
    files.write_text(paths[0], TEMPLATE.read_text().replace(SAMPLE, name))
    files.write_text(paths[1], json.dumps(notebook(name), indent=1) + "\n")
    return paths


def notebook(name: str) -> dict[str, Any]:
    """Return the notebook of a failure that was just written, without outputs."""
    cells = [_cell(name, index, text) for index, text in enumerate(NOTEBOOK)]
    kernel = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
    about = {"kernelspec": kernel, "language_info": {"name": "python"}}
    return {"cells": cells, "metadata": about, "nbformat": 4, "nbformat_minor": 5}


def _cell(name: str, index: int, text: str) -> dict[str, Any]:
    source = text.replace(SAMPLE, name).rstrip().splitlines(keepends=True)
    made = {"id": f"{name.replace('_', '-')}-{index:02}", "metadata": {}, "source": source}
    if index not in CODE:
        return {"cell_type": "markdown", **made}
    tags = {"tags": ["parameters"]} if text == PARAMETERS else {}
    return {
        "cell_type": "code",
        "execution_count": None,
        "outputs": [],
        **made,
        "metadata": tags,
    }
