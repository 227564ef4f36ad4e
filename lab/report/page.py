"""Writes the report of a run, or of several side by side: templates filled in, files linked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lab.common import files, forked, places, untrusted
from lab.common.errors import BadEvidence, LabError, NeedsUnmet
from lab.model import store
from lab.render import call_pcapng, comparison, comparison_text, wording
from lab.report import cells, executed, figure, signs, stored
from lab.report.cells import CellsReport
from lab.report.consoles import ConsolePicture
from lab.report.files import Files, href
from lab.report.sanitize import finalize
from lab.report.sections import SECTIONS, Shown, shown_by
from lab.report.stored import FailureReport, ReportedRun

if TYPE_CHECKING:
    import jinja2

INDEX = "index.html"
FOLDER = "report"
TEMPLATES = Path(__file__).parent / "templates"


Drawn = Mapping[tuple[str, str], Shown | None]
"""(failure, section) -> what the section shows."""


def write(
    places: Sequence[Path],
    *,
    notebooks: bool = True,
    drawn: Drawn | None = None,
    consoles: Mapping[Path, Sequence[ConsolePicture]] | None = None,
) -> Path:
    """Write the page of one run, or of several side by side; return its file.

    places: folders of runs; `store.RECORDED` is the committed evidence. notebooks: whether executed
    notebooks become pages too, which takes longer than all the rest. drawn: sections of the only
    run that were drawn before. consoles: a run's folder -> pictures by Kiali's console.

    Raises NeedsUnmet where nothing can be written, and BadEvidence for a run whose folder `report`
    leads out of the run.
    """
    runs = [stored.read(place) for place in dict.fromkeys(places)]
    try:
        pages = [
            _write_one(run, notebooks, drawn or {}, (consoles or {}).get(run.folder, ()))
            for run in runs
        ]
        return pages[0] if len(pages) == 1 else _write_several(runs, pages)
    except OSError as error:
        raise NeedsUnmet(
            f"the report cannot be written: {error.strerror}", hint=store.ELSEWHERE
        ) from None


def _write_one(
    run: ReportedRun, notebooks: bool, drawn: Drawn, consoles: Sequence[ConsolePicture]
) -> Path:
    folder = _folder(run)
    made = executed.write(run, folder, _notebook) if notebooks else {}
    packets = {report.failure.name: _packets(report, folder) for report in run.reports}
    files.write_text(folder / INDEX, render_run(run, folder, made, packets, drawn, consoles))
    return folder / INDEX


def _packets(report: FailureReport, folder: Path) -> dict[str, Path]:
    """Write the packets of each call that shows an answer; return call -> file of those written."""
    written = {}
    for name in shown_by(report):
        path = folder / "packets" / report.failure.name / call_pcapng.file_name(name)
        with suppress(BadEvidence):  # the section says why there are none
            call_pcapng.write(report.case, name, path)
            written[name] = path
    return written


def _notebook(report: FailureReport | CellsReport, body: str) -> str:
    return render("notebook.html", report.folder.parents[1], report=report, body=body)


def _folder(run: ReportedRun) -> Path:
    """Return the folder of a run's page; that of committed evidence lies among the runs."""
    if run.folder == store.RECORDED:
        return store.runs() / "recorded" / FOLDER
    untrusted.require_inside(run.folder / FOLDER, run.folder)
    return run.folder / FOLDER


def _write_several(runs: Sequence[ReportedRun], pages: Sequence[Path]) -> Path:
    page = store.runs() / "side-by-side" / "+".join(run.name for run in runs) / INDEX
    files.write_text(page, render_runs(runs, pages, page.parent))
    return page


def render_run(
    run: ReportedRun,
    folder: Path,
    notebooks: Mapping[str, str] | None = None,
    packets: Mapping[str, Mapping[str, Path]] | None = None,
    drawn: Drawn | None = None,
    consoles: Sequence[ConsolePicture] = (),
) -> str:
    """Return the page of one run as HTML; folder: where it will lie, which links start from.

    notebooks: failure -> the page of its executed notebook, in the same folder. packets: failure
    -> call -> its packets' file there. drawn: sections that were drawn before.
    """
    shown = [
        (report, Files(report.folder, folder, (packets or {}).get(report.failure.name)))
        for report in run.reports
    ]
    drawn = {**_drawn(shown, drawn or {}), **(drawn or {})}
    parts = [_part(report, files, notebooks or {}, drawn) for report, files in shown]
    if run.cells:
        parts.append(cells.part(run.cells, (notebooks or {}).get(run.cells.failure.name, "")))
    return render(
        "run.html",
        run.folder.parent,
        run=run,
        parts=parts,
        claims=_sorted([(part, c) for part in parts for c in part["report"].verdict.claims], "id"),
        remedies=_sorted(
            [(part, r) for part in parts for r in part["report"].verdict.remedies], "claim"
        ),
        tally=_tally(run),
        explained=wording.EXPLAINED.get(run.exit_code, ""),
        command=_command(run),
        kept=_kept(run, folder),
        consoles=consoles,
    )


def draw(place: Path, name: str) -> Drawn:
    """Draw the figures of one failure of a run, as its page shows them."""
    report = stored.read_failure(place, name)
    if report is None:
        return {}
    folder = place / FOLDER
    files = Files(report.folder, folder, _packets(report, folder))
    return {(name, one.name): one.build(report, files) for one in SECTIONS if one.draws}


def _drawn(shown: Sequence[tuple[FailureReport, Files]], known: Drawn) -> Drawn:
    """Build the sections that draw and are not known yet, side by side."""
    wanted = [
        (report, files, one)
        for report, files in shown
        for one in SECTIONS
        if one.draws and (report.failure.name, one.name) not in known
    ]
    built = forked.results([partial(one.build, report, files) for report, files, one in wanted])
    keys = [(report.failure.name, one.name) for report, _, one in wanted]
    return dict(zip(keys, built, strict=True))


def _part(
    report: FailureReport, files: Files, notebooks: Mapping[str, str], drawn: Drawn
) -> dict[str, Any]:
    shown = [
        (one, drawn[report.failure.name, one.name] if one.draws else one.build(report, files))
        for one in SECTIONS
    ]
    return {
        "report": report,
        "files": files,
        "notebook": notebooks.get(report.failure.name, ""),
        "sections": [(section, found) for section, found in shown if found is not None],
    }


def _sorted(pairs: list[tuple[Any, Any]], key: str) -> list[tuple[Any, Any]]:
    """Sort by the post's claims, whichever failure they belong to."""
    return sorted(pairs, key=lambda pair: str(getattr(pair[1], key)))


def _tally(run: ReportedRun) -> dict[str, int]:
    """Count how often each verdict was reached, of claims as posted and of remedies."""
    said: list[str] = [claim.as_posted.word for verdict in run.verdicts for claim in verdict.claims]
    said += [remedy.word for verdict in run.verdicts for remedy in verdict.remedies]
    return {word: said.count(word) for word in signs.VERDICT if word in said}


def _command(run: ReportedRun) -> str:
    """Return the command that repeats the run."""
    return run.text("command") or places.REPRODUCE


def _kept(run: ReportedRun, folder: Path) -> list[tuple[str, str]]:
    """Return name and address of the run's own files."""
    names = ("summary.md", "summary.json", "junit.xml", "run.log", "truth_table/index.html")
    there = [run.folder / name for name in names if (run.folder / name).is_file()]
    return [
        (path.relative_to(run.folder).as_posix(), href(path, folder))
        for path in there
        if not path.is_symlink()
    ]


def render_runs(runs: Sequence[ReportedRun], pages: Sequence[Path], folder: Path) -> str:
    """Return the page of several runs as HTML: a table of all, then each beside the first."""
    return render(
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
    """One question, and the answer of each run."""

    failure: str
    what: str
    says: str
    words: tuple[str, ...]

    @property
    def state(self) -> comparison.State:
        """`differs` where any run differs from the first; `cannot say` where any has no answer."""
        first, *others = self.words
        found = {comparison.Pair("", first, other, "", "").state for other in others}
        return next((one for one in comparison.STATES if one in found), "same")


def rows(runs: Sequence[ReportedRun]) -> list[Row]:
    """Return a row for every question that any of the runs answers."""
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


def _pair(number: int, left: ReportedRun, right: ReportedRun) -> dict[str, Any]:
    from lab.render import comparison_figure

    compared = comparison.compare(left.compared, right.compared)
    try:
        drawn = comparison_figure.picture(compared)
        svg, problem = figure.inline(drawn, f"pair-{number}"), ""
    except Exception as wrong:  # evidence may come from anybody; the tables say the same
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


def render(template: str, above: Path, *, also: Path | None = None, **shown: Any) -> str:
    """Return a template filled in. above: the folder that runs lie in, for names of files.

    also: a folder of more templates.
    """
    folders = [TEMPLATES, *([also] if also else [])]
    return _environment(above, folders).get_template(template).render(**shown)


def _environment(above: Path, folders: Sequence[Path]) -> jinja2.Environment:
    """Return the environment of the templates in some folders.

    above: the folder that runs lie in; names of files are shown from there on.
    """
    import jinja2

    made = jinja2.Environment(
        autoescape=True,
        loader=jinja2.FileSystemLoader(folders),
        undefined=jinja2.StrictUndefined,
        finalize=finalize((above, store.runs(), store.ROOT)),
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals.update(
        signs=signs,
        shows=wording.SHOWS,
        style=(TEMPLATES / "style.css").read_text(),
        sign_shapes=(TEMPLATES / "signs.svg").read_text(),
    )
    made.tests["address"] = lambda text: text.startswith("https://")
    return made


def last_words(places: Sequence[Path], drawn: Drawn | None = None) -> tuple[Path | None, str]:
    """Write the pages at the end of a run; return the page, or None and a sentence why not.

    drawn: figures of the only run that were drawn before.

    No error of the report is raised: it must not take the verdicts with it.
    """
    try:
        return write(places, notebooks=False, drawn=drawn), ""
    except (LabError, BadEvidence) as problem:
        return None, str(problem).partition("\n")[0]
    except Exception as problem:
        return None, f"the report cannot be written: {type(problem).__name__}: {problem}"
