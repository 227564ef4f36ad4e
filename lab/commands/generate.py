"""Generated things in the repository: notebooks' outputs, parts of pages, the figure."""

from __future__ import annotations

import json
import os
import re
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from lab import failures
from lab.commands import explain
from lab.common import files
from lab.lessons import pages, progress
from lab.model import store
from lab.notebook import execute
from lab.truth_table import page
from lab.truth_table import verdict as cells

README = store.ROOT / "README.md"
PICTURE = store.ROOT / "evidence" / "tcp_mtls" / "graph.svg"
SYMPTOMS = store.ROOT / "docs" / "symptoms.md"
REPORTED = store.ROOT / "docs" / "failures.md"
POST = "C"
"""What the ids of the post's claims begin with."""
_PART = re.compile(r"(<!-- failures -->\n).*?(<!-- end -->)", re.DOTALL)


def _claims() -> list[tuple[str, str, str]]:
    """Return the id and the row of each claim, by its id: from files and recorded evidence."""
    from lab.commands.show import recorded_run

    verdicts = [recorded_run(name).judge() for name in failures.names()]
    verdicts.append(cells.judge(cells.recorded()))
    rows = (
        (claim.id, verdict.failure, f"{claim.says} | {claim.as_posted.word} | {claim.today.word} |")
        for verdict in verdicts
        for claim in verdict.claims
    )
    return sorted(
        (one, failure, f"[{one}](NOTEBOOKS/{failure}.ipynb) | {row}") for one, failure, row in rows
    )


def table() -> str:
    """Return README's table: the post's claims."""
    head = ["| | the claim | as posted, today | today's form |", "|---|---|---|---|"]
    rows = [f"| {row}" for claim, _, row in _claims() if claim.startswith(POST)]
    return "\n".join([*head, *rows]).replace("NOTEBOOKS", "notebooks") + "\n"


def reported() -> str:
    """Return docs/failures.md: the claims that users' reports made the lab test."""
    head = [
        "# Failures that users report",
        "",
        "Beside the post's claims, the lab tests what users reported in issue trackers; notebooks",
        "name the sources. *As reported* is what one believes before the failure; *today's",
        "form* is what is true. The last column has the warnings of `istioctl analyze` in the",
        "reported world. All words are those of the recorded evidence; `make readme` writes this",
        "page.",
        "",
        "[Symptoms](symptoms.md) leads from what you see to a failure.",
        "",
        "| | what one believes | as reported | today's form | `istioctl analyze` |",
        "|---|---|---|---|---|",
    ]
    rows = [
        f"| {row} {_analyzed(failure)} |"
        for claim, failure, row in _claims()
        if not claim.startswith(POST)
    ]
    return "\n".join([*head, *rows]).replace("NOTEBOOKS", "../notebooks") + "\n"


def _analyzed(failure: str) -> str:
    """Return the codes of istioctl's warnings of a failure's reported world, as recorded."""
    from lab.commands.show import recorded_run

    asked = recorded_run(failure).evidence.worlds["posted"].tools
    said = "\n".join(line for one in asked for line in one.said if "analyze" in one.typed)
    return ", ".join(dict.fromkeys(re.findall(r"IST\d{4}", said))) or "nothing"


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
        os.environ[progress.VARIABLE] = str(Path(folder) / progress.FILE)
        execute.execute(path.stem, Path(folder), Path(folder), {})
        ran = json.loads((Path(folder) / "notebook.ipynb").read_text())
    source = json.loads(path.read_text())
    cells = [cell for cell in ran["cells"] if "injected-parameters" not in _tags(cell)]
    for cell, original in zip(cells, source["cells"], strict=True):
        cell["metadata"], cell["id"] = original["metadata"], original["id"]
        if execute.YOURS in _tags(cell):
            cell["outputs"], cell["execution_count"] = [], None
    ran["cells"], ran["metadata"] = cells, source["metadata"]
    return json.dumps(ran, indent=1, ensure_ascii=False) + "\n"


def _tags(cell: dict[str, dict[str, list[str]]]) -> list[str]:
    return cell["metadata"].get("tags", [])


def _text(text: str) -> Callable[[], str]:
    return lambda: text


def main(argv: list[str]) -> int:
    """Write `notebooks` or `readme` anew, or `verify` that nothing generated is out of date."""
    if argv == ["notebooks"]:
        for path in sorted(execute.NOTEBOOKS.glob("*.ipynb")):
            files.write_text(path, executed(path))
        return 0
    written = {
        README: readme,
        page.PAGE: page.page,
        SYMPTOMS: explain.page,
        REPORTED: reported,
        PICTURE: picture,
        **{path: _text(text) for path, text in pages.written().items()},
    }
    if argv == ["readme"]:
        for path, make in written.items():
            files.write_text(path, make())
        return 0
    stale = [
        f"{path.name}: make readme"
        for path, make in written.items()
        if not path.exists() or path.read_text() != make()
    ]
    print("\n".join(stale) or "all generated parts are up to date")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
