"""Generated things in the repository: notebooks' outputs, parts of pages, the figure."""

from __future__ import annotations

import json
import os
import re
import sys
import tempfile
from pathlib import Path

from lab import failures
from lab.commands import explain
from lab.common import files
from lab.model import store
from lab.notebook import execute
from lab.truth_table import page
from lab.truth_table import verdict as cells

README = store.ROOT / "README.md"
PICTURE = store.ROOT / "evidence" / "tcp_mtls" / "graph.svg"
SYMPTOMS = store.ROOT / "docs" / "symptoms.md"
_PART = re.compile(r"(<!-- failures -->\n).*?(<!-- end -->)", re.DOTALL)


def table() -> str:
    """Return README's table of failures, from their files and the recorded evidence."""
    from lab.commands.show import recorded_run

    head = ["| | the claim | as posted, today | today's form |", "|---|---|---|---|"]
    verdicts = [recorded_run(name).judge() for name in failures.names()]
    verdicts.append(cells.judge(cells.recorded()))
    rows = [
        f"| [{claim.id}](notebooks/{verdict.failure}.ipynb) | {claim.says} "
        f"| {claim.as_posted.word} | {claim.today.word} |"
        for verdict in verdicts
        for claim in verdict.claims
    ]
    return "\n".join([*head, *sorted(rows)]) + "\n"


def readme() -> str:
    """Return README as it would be written now."""
    return _PART.sub(lambda match: match.group(1) + table() + match.group(2), README.read_text())


def picture() -> str:
    """Return the figure of the recorded run of tcp_mtls."""
    from lab.commands.show import recorded_run
    from lab.render.edges_figure import picture as draw

    return draw(recorded_run("tcp_mtls").case).svg


def executed(path: Path) -> str:
    """Return a notebook executed from recorded evidence, without times and machine's names."""
    os.environ["LAB_CLUSTER"] = "recorded"
    with tempfile.TemporaryDirectory() as folder:
        execute.execute(path.stem, Path(folder), Path(folder), {})
        ran = json.loads((Path(folder) / "notebook.ipynb").read_text())
    source = json.loads(path.read_text())
    cells = [cell for cell in ran["cells"] if "injected-parameters" not in _tags(cell)]
    for cell, original in zip(cells, source["cells"], strict=True):
        cell["metadata"], cell["id"] = original["metadata"], original["id"]
    ran["cells"], ran["metadata"] = cells, source["metadata"]
    return json.dumps(ran, indent=1, ensure_ascii=False) + "\n"


def _tags(cell: dict[str, dict[str, list[str]]]) -> list[str]:
    return cell["metadata"].get("tags", [])


def main(argv: list[str]) -> int:
    """Write `notebooks` or `readme` anew, or `verify` that nothing generated is out of date."""
    if argv == ["notebooks"]:
        for path in sorted(execute.NOTEBOOKS.glob("*.ipynb")):
            files.write_text(path, executed(path))
        return 0
    if argv == ["readme"]:
        files.write_text(README, readme())
        files.write_text(page.PAGE, page.page())
        files.write_text(SYMPTOMS, explain.page())
        files.write_text(PICTURE, picture())
        return 0
    stale = []
    if README.read_text() != readme():
        stale.append("README.md: make readme")
    if page.PAGE.read_text() != page.page():
        stale.append(f"{page.PAGE.name}: make readme")
    if not SYMPTOMS.exists() or SYMPTOMS.read_text() != explain.page():
        stale.append(f"{SYMPTOMS.name}: make readme")
    if PICTURE.read_text() != picture():
        stale.append(f"{PICTURE.name}: make readme")
    print("\n".join(stale) or "all generated parts are up to date")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
