"""Two runs side by side: what differs is named; what cannot be said is never the same."""

from __future__ import annotations

import dataclasses
import functools
import shutil
from pathlib import Path
from xml.etree import ElementTree

import pytest
import recordings

from lab import failures
from lab.__main__ import main
from lab.common import files
from lab.judge.case import Case
from lab.judge.proof import Proof
from lab.judge.verdict import RemedyVerdict, Verdict, judge
from lab.model import evidence, store
from lab.model.evidence import CallRecord, Evidence
from lab.render import comparison_figure
from lab.render.comparison import Comparison, Run, compare
from lab.render.comparison_text import answers_table, planes_table, text
from lab.render.display import Picture

# In these two a stranger without TLS is refused; where it is answered, both turn round.
TURNED = {("rest_mtls", "C0", "today's form"), ("rest_mtls", "C0a", "today's form")}


def every() -> Run:
    return Run("all", tuple(recordings.verdicts()))


def one(verdict: Verdict) -> Run:
    return Run("one", (verdict,))


def of_call(name: str, **changes: object) -> Evidence:
    """The recorded evidence of rest_mtls with one call altered."""

    def changed(call: CallRecord) -> CallRecord:
        return dataclasses.replace(call, **changes) if call.name == name else call

    found = recordings.case("rest_mtls").evidence
    assert found.call(name)
    return dataclasses.replace(found, calls=tuple(changed(call) for call in found.calls))


def stranger_gets_in() -> Evidence:
    marker = recordings.case("rest_mtls").evidence.call("plain-stranger")
    assert marker
    return of_call("plain-stranger", outcome="answered", status=200, received=marker.marker)


def rest(found: Evidence) -> Verdict:
    return judge(Case(failures.load("rest_mtls"), found, store.RECORDED / "rest_mtls"))


def of_plane(verdict: Verdict, source: str, security: str, why: str = "as altered") -> Verdict:
    """The first claim's proof with one plane's answer exchanged."""
    first, *others = verdict.claims
    assert first.proof
    planes = tuple(
        dataclasses.replace(said, security=security, why=why) if said.source == source else said
        for said in first.proof.planes
    )
    proof: Proof = dataclasses.replace(first.proof, planes=planes)
    as_posted = dataclasses.replace(first.as_posted, proof=proof)
    claim = dataclasses.replace(first, as_posted=as_posted)
    return dataclasses.replace(verdict, claims=(claim, *others))


def turned(compared: Comparison, state: str = "differs") -> set[tuple[str, str, str]]:
    return {
        (row.failure, row.name, pair.what)
        for row in compared.rows
        for pair in (*row.answers, *row.planes)
        if pair.state == state
    }


def test_a_run_has_no_difference_from_itself() -> None:
    compared = compare(every(), every())
    assert compared.exit_code == 0
    verdicts = every().verdicts
    answers = sum(2 * len(v.claims) + len(v.remedies) for v in verdicts)
    assert {row[4] for row in answers_table(compared).rows} == {"same"}
    assert len(answers_table(compared).rows) == answers
    assert compared.sentence.startswith(f"No difference: {answers} answers")
    assert f"{len(compared.planes)} of {len(compared.planes)} plane answers agree." in text(
        compared, 100
    )


def test_a_call_that_ends_otherwise_turns_exactly_its_answers_and_names_them() -> None:
    compared = compare(one(recordings.verdict("rest_mtls")), one(rest(stranger_gets_in())))
    assert turned(compared) == TURNED
    assert not turned(compared, "cannot say")
    assert compared.exit_code == 1
    assert compared.sentence == "What differs: rest_mtls (C0 today's form, C0a today's form)."
    told = text(compared, 100)
    assert "right  not reproduced: plain-stranger: saw answered 200" in told
    rows = [row for row in answers_table(compared).rows if row[4] != "same"]
    assert rows == [
        ("rest_mtls", f"{claim} today's form", "reproduced", "not reproduced", "differs")
        for claim in ("C0", "C0a")
    ]


def test_left_and_right_are_not_exchanged() -> None:
    compared = compare(one(rest(stranger_gets_in())), one(recordings.verdict("rest_mtls")))
    row = next(row for row in answers_table(compared).rows if row[4] != "same")
    assert row[2:4] == ("not reproduced", "reproduced")


def test_a_plane_that_differs_is_the_only_one_listed_and_the_others_are_counted() -> None:
    before = recordings.verdict("rest_mtls")
    compared = compare(one(before), one(of_plane(before, "control plane", "plaintext")))
    assert turned(compared) == {("rest_mtls", "C0", "control plane")}
    assert planes_table(compared).rows == (
        ("rest_mtls", "C0", "control plane", "mutual TLS", "plaintext", "differs"),
    )
    assert compared.exit_code == 1
    assert compared.sentence == "What differs: rest_mtls (planes of C0)."
    assert f"{len(compared.planes) - 1} of {len(compared.planes)} plane answers" in text(
        compared, 100
    )


def test_a_remedy_that_no_longer_heals_is_named() -> None:
    before = recordings.verdict("tcp_mtls")
    first, *others = before.remedies
    still: RemedyVerdict = dataclasses.replace(first, word="does not heal", why="still broken")
    after = dataclasses.replace(before, remedies=(still, *others))
    compared = compare(one(before), one(after))
    assert turned(compared) == {("tcp_mtls", first.name, "does it heal")}
    assert compared.sentence == f"What differs: tcp_mtls (remedy {first.name})."
    assert "right  does not heal: still broken" in text(compared, 100)


def test_a_plane_that_cannot_say_is_neither_the_same_nor_different() -> None:
    before = recordings.verdict("rest_mtls")
    unsaid = of_plane(before, "control plane", "unknown")
    compared = compare(one(before), one(unsaid))
    assert turned(compared, "cannot say") == {("rest_mtls", "C0", "control plane")}
    assert compared.exit_code == 3
    assert compare(one(unsaid), one(unsaid)).exit_code == 0  # some calls' planes never can


def test_an_inconclusive_answer_is_not_compared_even_with_its_like() -> None:
    lost = one(rest(of_call("plain-stranger", lost="no answer came back")))
    for left in (one(recordings.verdict("rest_mtls")), lost):
        compared = compare(left, lost)
        assert turned(compared, "cannot say") >= TURNED
        assert not turned(compared)
        assert compared.exit_code == 3
        assert compared.sentence.startswith("No difference was found; what cannot be compared: ")
        assert "C0a today's form" in compared.sentence


def test_a_difference_weighs_more_than_what_cannot_be_compared() -> None:
    right = Run("right", (rest(stranger_gets_in()),), {"tcp_mtls": "it is damaged"})
    compared = compare(every(), right)
    assert compared.exit_code == 1
    for told in ("What differs: rest_mtls (", "tcp_mtls (right cannot be judged)"):
        assert told in compared.sentence


def test_a_failure_that_only_one_run_has_is_said_and_is_not_called_the_same() -> None:
    fewer = one(recordings.verdict("rest_mtls"))
    for compared, side in ((compare(every(), fewer), "left"), (compare(fewer, every()), "right")):
        assert {row.failure for row in compared.rows} == {"rest_mtls"}
        assert f"tcp_mtls is not compared: only {side} has it" in text(compared, 100)
        assert compared.exit_code == 3
        assert f"tcp_mtls (only {side} has it)" in compared.sentence


def test_a_remedy_that_only_one_run_knows_has_no_record_in_the_other() -> None:
    whole = recordings.verdict("tcp_mtls")
    fewer = dataclasses.replace(whole, remedies=whole.remedies[1:])
    compared = compare(one(fewer), one(whole))
    gone = next(row for row in compared.rows if row.name == whole.remedies[0].name)
    assert (gone.answers[0].left, gone.answers[0].right) == ("no record", "heals")
    assert compared.exit_code == 3


def test_two_runs_without_evidence_are_not_called_alike() -> None:
    compared = compare(Run("a", ()), Run("b", ()))
    assert compared.exit_code == 3
    assert "Nothing was compared" in compared.sentence
    assert "left" in text(compared, 80)


def test_both_runs_are_told_and_in_what_they_were_not_made_alike() -> None:
    before = recordings.verdict("rest_mtls")
    after = dataclasses.replace(
        before,
        run="20990101T000000Z-beef",
        stack={**before.stack, "istio": "1.99"},
        parameters={**before.parameters, "mtls": "PERMISSIVE"},
    )
    told = text(compare(Run("old", (before,)), Run("new", (after,))), 100)
    rows = {" ".join(line.split()) for line in told.splitlines()}
    assert f"istio {before.stack['istio']} 1.99 differs" in rows
    assert "rest_mtls mtls STRICT PERMISSIVE differs" in rows
    assert "cluster embedded embedded same" in rows
    assert not any(row.startswith("rest_mtls rule ") for row in rows)
    assert "same recording" not in told


def test_one_recording_under_two_names_is_said_to_be_one() -> None:
    told = text(compare(Run("a", (recordings.verdict("rest_mtls"),)), every()), 100)
    assert "Both hold the same recording of rest_mtls." in told


def test_of_two_reasons_only_what_they_do_not_share_is_told() -> None:
    before = recordings.verdict("rest_mtls")
    left = of_plane(before, "control plane", "plaintext", "shared; the server accepts all")
    right = of_plane(before, "control plane", "tls", "shared; the server accepts tls")
    told = text(compare(one(left), one(right)), 100)
    assert "left   plaintext: the server accepts all" in told
    assert "right  TLS: the server accepts tls" in told


@pytest.mark.parametrize("width", [80, 120])
def test_the_tables_fit_their_terminal(width: int) -> None:
    compared = compare(every(), one(rest(stranger_gets_in())))
    lines = text(compared, width).splitlines()
    assert max(len(line) for line in lines) <= width


@functools.cache
def alike() -> Picture:
    """The figure of all that is recorded beside itself."""
    return comparison_figure.picture(compare(every(), every()))


def marks(svg: str) -> list[str]:
    texts = ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")
    return [found.text or "" for found in texts]


def test_a_figure_is_the_same_each_time_and_marks_what_differs_in_words_too() -> None:
    runs = (every(), Run("turned", (rest(stranger_gets_in()),)))
    first, second = (comparison_figure.picture(compare(*runs)) for _ in range(2))
    assert first.svg == second.svg
    shown = marks(first.svg)
    # One mark for each answer and one word for each row that differs; and the legend's.
    assert shown.count("\N{NOT EQUAL TO}") == 2
    assert shown.count("differs") == 2
    assert "not compared: only left has it" in shown
    assert "\N{NOT EQUAL TO}" not in marks(alike().svg)
    assert "differs" not in marks(alike().svg)
    assert shown.count("not reproduced") == 2
    title = ElementTree.fromstring(first.svg).find("{http://www.w3.org/2000/svg}title")
    assert title is not None
    assert title.text == first.alt
    assert "rest_mtls (C0 today's form, C0a today's form)" in first.alt


def test_a_figure_has_a_row_for_every_claim_and_remedy() -> None:
    compared = compare(every(), every())
    shown = marks(alike().svg)
    for row in compared.rows:
        assert row.name in shown
    assert shown.count("=") == sum(len(row.answers) + 1 + len(row.planes) for row in compared.rows)


@pytest.fixture(autouse=True)
def own_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LAB_RUNS", str(tmp_path / "runs"))
    return tmp_path / "runs"


def stored(found: Evidence | None = None) -> Path:
    """A stored run of rest_mtls: what is recorded, or altered evidence beside its captures."""
    run = store.new_run()
    shutil.copytree(store.RECORDED / "rest_mtls", run / "rest_mtls")
    if found:
        evidence.save(found, run / "rest_mtls")
    files.write_json(run / "summary.json", {})
    return run


def last_words(printed: str) -> str:
    return " ".join(printed.split("Figure: ")[1].split("\n", 1)[1].split())


def test_the_command_ends_with_0_and_puts_its_figure_into_the_second_run(
    capsys: pytest.CaptureFixture[str],
) -> None:
    run = stored()
    assert main(["compare", run.name, str(run)]) == 0
    assert last_words(capsys.readouterr().out).startswith("No difference: ")
    figure = run / f"compare-{run.name}-{run.name}.svg"
    assert figure.read_text().startswith("<?xml")


def test_the_command_ends_with_1_for_a_difference_and_a_recorded_run_is_left_as_it_is(
    own_runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = stored(stranger_gets_in())
    store.link_latest(run)
    before = sorted(store.RECORDED.rglob("*"))
    assert main(["compare", "latest", "recorded"]) == 1
    assert "What differs: rest_mtls (C0 today's form" in last_words(capsys.readouterr().out)
    assert (own_runs / f"compare-{run.name}-recorded.svg").exists()
    assert sorted(store.RECORDED.rglob("*")) == before


def unknown_parameter() -> Evidence:
    return dataclasses.replace(recordings.case("rest_mtls").evidence, parameters={"colour": "blue"})


@pytest.mark.parametrize(
    ("spoilt", "why"),
    [("{", "is damaged"), ("{}", "has schema None"), (None, "cannot be read"), ("", "'colour'")],
)
def test_evidence_that_cannot_be_read_ends_with_3_and_says_why(
    spoilt: str | None, why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    run, other = stored(unknown_parameter() if spoilt == "" else None), stored()
    path = run / "rest_mtls" / "evidence.json"
    if spoilt is None:
        path.unlink()
    elif spoilt:
        path.write_text(spoilt)
    assert main(["compare", run.name, other.name]) == 3
    printed = " ".join(capsys.readouterr().out.split())
    assert "rest_mtls is not compared: left cannot be judged left: " in printed
    assert why in printed
    assert str(run) not in (other / f"compare-{run.name}-{other.name}.svg").read_text()


def test_evidence_is_judged_anew_and_old_conclusions_are_not_looked_at() -> None:
    run, other = stored(stranger_gets_in()), stored()
    files.write_text(run / "rest_mtls" / "verdict.json", '{"claims": "all is well"}')
    assert main(["compare", other.name, run.name]) == 1


def test_a_run_for_reading_only_is_compared_all_the_same(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(_path: Path, _text: str) -> None:
        raise PermissionError("read-only")

    run = stored()
    monkeypatch.setattr(files, "write_text", refuse)
    assert main(["compare", run.name, run.name]) == 0
    assert "Figure: not written: read-only" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["compare", "recorded"], "required: right"),
        (["compare", "recorded", "19990101T000000Z-0000"], "no run '19990101T000000Z-0000'"),
    ],
)
def test_a_run_that_is_not_there_ends_with_254(
    words: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 254
    assert told in capsys.readouterr().err
