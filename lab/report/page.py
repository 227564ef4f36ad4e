"""Writes the report of a run, or of several side by side: templates filled in, files linked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lab.common import files, untrusted
from lab.common.errors import BadEvidence, LabError, NeedsUnmet
from lab.model import store
from lab.render import call_pcapng, comparison, comparison_text, wording
from lab.report import executed, figure, stored, words
from lab.report.files import Files, href
from lab.report.sections import SECTIONS, shown_by
from lab.report.stored import Run, Told
from lab.report.values import finalize

if TYPE_CHECKING:
    import jinja2

INDEX = "index.html"
FOLDER = "report"
TEMPLATES = Path(__file__).parent / "templates"


def write(places: Sequence[Path], *, notebooks: bool = True) -> Path:
    """The page of one run, or of several side by side; returns its file.

    places: folders of runs; `store.RECORDED` is what is committed. notebooks: whether executed
    notebooks become pages too, which takes longer than all the rest. Raises NeedsUnmet where
    nothing can be written, and BadEvidence for a run whose `report` leads out of it.
    """
    runs = [stored.read(place) for place in dict.fromkeys(places)]
    try:
        pages = [_write_one(run, notebooks) for run in runs]
        return pages[0] if len(pages) == 1 else _write_several(runs, pages)
    except OSError as error:
        raise NeedsUnmet(
            f"the report cannot be written: {error.strerror}", hint=store.ELSEWHERE
        ) from None


def _write_one(run: Run, notebooks: bool) -> Path:
    folder = _folder(run)
    made = executed.write(run, folder, _notebook) if notebooks else {}
    packets = {told.failure.name: _packets(told, folder) for told in run.told}
    files.write_text(folder / INDEX, one(run, folder, made, packets))
    return folder / INDEX


def _packets(told: Told, folder: Path) -> dict[str, Path]:
    """Writes the packets of each call that an answer is shown by; those that are to be had."""
    written = {}
    for name in shown_by(told):
        path = folder / "packets" / told.failure.name / call_pcapng.file_name(name)
        with suppress(BadEvidence):  # the section says why there are none
            call_pcapng.write(told.case, name, path)
            written[name] = path
    return written


def _notebook(told: Told, body: str) -> str:
    return _render("notebook.html", told.folder.parents[1], told=told, body=body)


def _folder(run: Run) -> Path:
    """Where a run's page belongs; that of what is committed lies beside the runs."""
    if run.folder == store.RECORDED:
        return store.runs() / "recorded" / FOLDER
    untrusted.require_inside(run.folder / FOLDER, run.folder)
    return run.folder / FOLDER


def _write_several(runs: Sequence[Run], pages: Sequence[Path]) -> Path:
    page = store.runs() / "side-by-side" / "+".join(run.name for run in runs) / INDEX
    files.write_text(page, several(runs, pages, page.parent))
    return page


def one(
    run: Run,
    folder: Path,
    notebooks: Mapping[str, str] | None = None,
    packets: Mapping[str, Mapping[str, Path]] | None = None,
) -> str:
    """The page of one run as HTML; folder: where it will lie, which links start from.

    notebooks: failure -> the page of its executed notebook, in the same folder. packets: failure
    -> call -> its packets' file there.
    """
    parts = [
        _part(
            told,
            Files(told.folder, folder, (packets or {}).get(told.failure.name)),
            notebooks or {},
        )
        for told in run.told
    ]
    return _render(
        "run.html",
        run.folder.parent,
        run=run,
        parts=parts,
        claims=_sorted([(part, c) for part in parts for c in part["told"].verdict.claims], "id"),
        remedies=_sorted(
            [(part, r) for part in parts for r in part["told"].verdict.remedies], "claim"
        ),
        tally=_tally(run),
        explained=wording.EXPLAINED.get(run.exit_code, ""),
        command=_command(run),
        kept=_kept(run, folder),
    )


def _part(told: Told, files: Files, notebooks: Mapping[str, str]) -> dict[str, Any]:
    shown = [(section, section.of(told, files)) for section in SECTIONS]
    return {
        "told": told,
        "files": files,
        "notebook": notebooks.get(told.failure.name, ""),
        "sections": [(section, found) for section, found in shown if found is not None],
    }


def _sorted(pairs: list[tuple[Any, Any]], key: str) -> list[tuple[Any, Any]]:
    """In the order of the post's claims, whichever failure they are of."""
    return sorted(pairs, key=lambda pair: str(getattr(pair[1], key)))


def _tally(run: Run) -> dict[str, int]:
    """How often each word was said, of claims as posted and of remedies."""
    said: list[str] = [claim.as_posted.word for verdict in run.verdicts for claim in verdict.claims]
    said += [remedy.word for verdict in run.verdicts for remedy in verdict.remedies]
    return {word: said.count(word) for word in words.VERDICT if word in said}


def _command(run: Run) -> str:
    """What to type to do it again."""
    return run.text("command") or "make reproduce"


def _kept(run: Run, folder: Path) -> list[tuple[str, str]]:
    """Name and address of the run's own files."""
    names = ("summary.md", "summary.json", "junit.xml", "run.log")
    there = [run.folder / name for name in names if (run.folder / name).is_file()]
    return [(path.name, href(path, folder)) for path in there if not path.is_symlink()]


def several(runs: Sequence[Run], pages: Sequence[Path], folder: Path) -> str:
    """The page of several runs as HTML: a table of all, then each beside the first."""
    return _render(
        "several.html",
        store.runs(),
        runs=[
            (run, href(page, folder), comparison_text.about(run.compared))
            for run, page in zip(runs, pages, strict=True)
        ],
        rows=rows(runs),
        pairs=[_pair(number, runs[0], other) for number, other in enumerate(runs[1:], 1)],
    )


@dataclass(frozen=True)
class Row:
    """One answer, in the words of each run."""

    failure: str
    what: str
    says: str
    words: tuple[str, ...]

    @property
    def state(self) -> comparison.State:
        """`differs` where any run differs from the first; unsaid is no difference."""
        first, *others = self.words
        found = {comparison.Pair("", first, other, "", "").state for other in others}
        return next((one for one in comparison.STATES if one in found), "same")


def rows(runs: Sequence[Run]) -> list[Row]:
    """Every answer that any of the runs has, in the words of each."""
    found: dict[tuple[str, str], tuple[str, dict[str, str]]] = {}
    for run in runs:
        for row in comparison.compare(run.compared, run.compared).rows:
            for pair in row.answers:
                told = found.setdefault((row.failure, row.label(pair)), (row.says, {}))
                told[1][run.name] = pair.left
    return [
        Row(*key, says, tuple(told.get(run.name, comparison.NO_RECORD) for run in runs))
        for key, (says, told) in found.items()
    ]


def _pair(number: int, left: Run, right: Run) -> dict[str, Any]:
    from lab.render import comparison_figure

    compared = comparison.compare(left.compared, right.compared)
    try:
        drawn = comparison_figure.picture(compared)
        svg, problem = figure.inline(drawn, f"pair-{number}"), ""
    except Exception as wrong:  # of another's evidence; the tables say the same
        svg, problem = "", f"{type(wrong).__name__}: {wrong}"
    return {
        "number": number,
        "compared": compared,
        "identity": comparison_text.identity(compared),
        "answers": comparison_text.answers_table(compared),
        "planes": comparison_text.planes_table(compared),
        "svg": svg,
        "problem": problem,
    }


def _render(template: str, above: Path, **shown: Any) -> str:
    return _environment(above).get_template(template).render(**shown)


def _environment(above: Path) -> jinja2.Environment:
    """above: the folder that runs lie in; names of files are told from there on."""
    import jinja2

    made = jinja2.Environment(
        autoescape=True,
        loader=jinja2.FileSystemLoader(TEMPLATES),
        undefined=jinja2.StrictUndefined,
        finalize=finalize((above, store.runs(), store.ROOT)),
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals.update(
        words=words,
        shows=wording.SHOWS,
        style=(TEMPLATES / "style.css").read_text(),
        signs=(TEMPLATES / "signs.svg").read_text(),
    )
    made.tests["address"] = lambda text: text.startswith("https://")
    return made


def last_words(places: Sequence[Path]) -> tuple[Path | None, str]:
    """For the end of a run: the page, or None and in a sentence why there is none.

    Whatever goes wrong here takes no verdict with it.
    """
    try:
        return write(places, notebooks=False), ""
    except (LabError, BadEvidence) as problem:
        return None, str(problem).partition("\n")[0]
    except Exception as problem:
        return None, f"the report cannot be written: {type(problem).__name__}: {problem}"
