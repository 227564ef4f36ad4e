"""Explains a verdict: which packet, which log line, which configuration decided it."""

from __future__ import annotations

import textwrap
from collections.abc import Container, Iterator
from pathlib import Path

from lab.common import places, untrusted
from lab.common.errors import BadEvidence
from lab.judge.proof import PlaneSaid, Proof
from lab.judge.verdict import ClaimVerdict, RemedyVerdict, Said, Verdict
from lab.model import store
from lab.render import tables


def lines(verdict: Verdict, folder: Path) -> list[str]:
    """Return the whole explanation of one failure, as lines; folder: where its evidence lies."""
    told = [f"{verdict.failure}: {verdict.title}", ""]
    told += _controls(verdict)
    for one in verdict.said:
        told += ["", *_explain(verdict, one, folder)]
    for cell in verdict.drifted:
        told += ["", *tables.drift(verdict, cell)]
        told.append(f"  istio-lab table why {cell.name} --run {folder}")
    return told


def lines_of(verdict: Verdict, folder: Path, names: Container[str], width: int = 100) -> list[str]:
    """Explain these claims and remedies only (`C4`, `tcp-name`), folded to a page's width."""
    told: list[str] = []
    for one in verdict.said:
        if (one.id if isinstance(one, ClaimVerdict) else one.name) in names:
            told += [*([""] if told else []), *_explain(verdict, one, folder)]
    return [part for line in told for part in _fold(line, width)]


def _explain(verdict: Verdict, one: ClaimVerdict | RemedyVerdict, folder: Path) -> list[str]:
    if isinstance(one, ClaimVerdict):
        told = [f"{one.id}. Claim: {one.says}"]
        for name, said in one.answers:
            told += [f"  {name}: {said.word.upper()}", *_parts(said.why)]
            told += _in_graphs(said)
            again = said is one.today and said.proof == one.as_posted.proof is not None
            told += ["  Seen on the same call."] if again else _decided(said.proof, folder)
    else:
        told = [f"Remedy {one.name}: {one.says}", f"  {one.word.upper()}", *_parts(one.why)]
        told += _decided(one.proof, folder)
    return told + drift(verdict, one)


def _fold(line: str, width: int) -> list[str]:
    """Fold a line to a width; a command stays whole, so that it can be copied."""
    start = line.lstrip()
    if not start or start.startswith("tshark "):
        return [line]
    indent = " " * (len(line) - len(start))
    return textwrap.wrap(
        start,
        width,
        initial_indent=indent,
        subsequent_indent=indent + "    ",
        break_on_hyphens=False,
        break_long_words=False,
    )


def _controls(verdict: Verdict) -> list[str]:
    told = ["Controls, which must hold before anything can be concluded:"]
    for says, holds, text in verdict.controls:
        told.append(f"  {'holds' if holds else 'FAILS'}  {says}")
        told += [] if holds else _parts(text)
    return told


def _parts(why: str) -> list[str]:
    return [f"    - {part}" for part in why.split("; ")]


_VERB = {"wire": "say", "stats": "counted"}


def _decided(proof: Proof | None, folder: Path) -> list[str]:
    """Give each plane's answer on the call that shows a verdict, and where it can be read."""
    if proof is None:
        return []
    told = [f"  Seen on: $ {proof.typed}", f"    outcome: {proof.outcome}; {proof.agreement}"]
    if len(set(proof.nodes)) > 1:
        told.append(f"    from node {proof.nodes[0]} to node {proof.nodes[1]}")
    for said in proof.planes:
        told.append(
            f"    {said.source} {_VERB.get(said.plane, 'says')} {said.security}: {said.why}"
        )
        told += [f"      {place}" for place in _places(said, proof, folder)]
        told += [f"      {number}. {step}" for number, step in enumerate(said.walk, 1)]
    for odd in proof.disagreements:
        told += [f"    {odd.name}: {odd.told}", f"      likely cause: {odd.likely}"]
    return told


def _in_graphs(said: Said) -> list[str]:
    """Say what each generation of Kiali would have drawn, for a claim about a graph's lock."""
    if not said.graph or said.proof is None:
        return []
    drawn = [f"    {one.generation}: {one.drawn}: {one.because}" for one in said.proof.graphs]
    return [f"  In a graph: {said.graph}", "  By a model of Kiali's rules:", *drawn]


def _places(said: PlaneSaid, proof: Proof, folder: Path) -> Iterator[str]:
    """Say where a plane's answer can be read, and quote what stands there."""
    if not said.where:
        return
    name, _, position = said.where.partition(" ")
    if said.source == "packets":
        frame = position.removeprefix("frame ")
        if proof.first_bytes:
            yield f"{name}, {position}:"
            yield f"{proof.first_bytes}  |{proof.first_text}|"
            yield f"tshark -r {_short(folder / name)} -Y 'frame.number == {frame}' -V"
        return
    yield f"{name}, {position}"
    if position.startswith("line "):
        yield quoted(folder / name, int(position.removeprefix("line ")))


def _short(path: Path) -> Path:
    """Shorten a path inside the checkout to one from its root on; a wheel's stays as it is."""
    inside = path.is_relative_to(store.ROOT) and not places.INSTALLED
    return path.relative_to(store.ROOT) if inside else path


def quoted(path: Path, number: int) -> str:
    """Quote the fields of a log line that say how its connection was secured and how it ended."""
    try:
        line = untrusted.parse(untrusted.read_text(path, path.parent).splitlines()[number - 1])
    except (BadEvidence, IndexError, ValueError):
        return "that line is missing from the file"
    wanted = (
        "response_code",
        "response_flags",
        "response_code_details",
        "upstream_cluster",
        "downstream_tls_version",
        "downstream_peer_uri_san",
        "requested_server_name",
    )
    return ", ".join(f"{key}={line[key]}" for key in wanted if line.get(key) not in (None, "-", 0))


def drift(verdict: Verdict, said: ClaimVerdict | RemedyVerdict) -> list[str]:
    """Say what was pinned and when it was last seen, for a verdict that differs from its pin."""
    if said.agreement != "differs" or not said.pinned:
        return []
    last = _last_agreed(verdict, said.id if isinstance(said, ClaimVerdict) else said.name)
    return [
        f"  DIFFERS from its pin: expected {' / '.join(said.pinned)} ({said.pin_why})",
        f"    seen {' / '.join(said.words)}; last as pinned in {last or 'no stored run'}",
    ]


def _last_agreed(verdict: Verdict, name: str) -> str:
    """Name the newest stored run before this one in which a claim or remedy was as pinned."""
    for run in reversed(store.stored()):
        if run.name >= verdict.run:
            continue
        try:
            told = untrusted.read_json(run / verdict.failure / "verdict.json", run)
            for one in [*told["claims"], *told.get("remedies", [])]:
                if name in (one.get("id"), one.get("name")) and one["agreement"] == "as pinned":
                    return f"{run.name} (Istio {told['stack']['istio']}, {told['stack']['envoy']})"
        except (BadEvidence, AttributeError, KeyError, TypeError):
            continue  # a damaged verdict.json says nothing
    return ""
