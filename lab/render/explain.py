"""Why a verdict is as it is: which packet, which log line, which configuration decided."""

from __future__ import annotations

import textwrap
from collections.abc import Container, Iterator
from pathlib import Path

from lab.common import untrusted
from lab.common.errors import BadEvidence
from lab.judge.proof import PlaneSaid, Proof
from lab.judge.verdict import ClaimVerdict, RemedyVerdict, Said, Verdict
from lab.model import store


def lines(verdict: Verdict, folder: Path) -> list[str]:
    """The whole explanation of one failure; folder: where its evidence lies."""
    told = [f"{verdict.failure}: {verdict.title}", ""]
    told += _controls(verdict)
    return [*told, *[line for one in verdict.said for line in ["", *_said(verdict, one, folder)]]]


def of(verdict: Verdict, folder: Path, names: Container[str], width: int = 100) -> list[str]:
    """What decided these claims and remedies (`C4`, `tcp-name`), folded to a page's width."""
    told: list[str] = []
    for one in verdict.said:
        if (one.id if isinstance(one, ClaimVerdict) else one.name) in names:
            told += [*([""] if told else []), *_said(verdict, one, folder)]
    return [part for line in told for part in _fold(line, width)]


def _said(verdict: Verdict, one: ClaimVerdict | RemedyVerdict, folder: Path) -> list[str]:
    if isinstance(one, ClaimVerdict):
        told = [f"{one.id}. The post says: {one.says}"]
        for name, said in one.answers:
            told += [f"  {name}: {said.word.upper()}", *_parts(said.why)]
            told += _in_graphs(said)
            again = said is one.today and said.proof == one.as_posted.proof is not None
            told += ["  seen on the same call"] if again else _decided(said.proof, folder)
    else:
        told = [f"Remedy {one.name}: {one.says}", f"  {one.word.upper()}", *_parts(one.why)]
        told += _decided(one.proof, folder)
    return told + drift(verdict, one)


def _fold(line: str, width: int) -> list[str]:
    """A command stays whole, so that it can be copied."""
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
    told = ["What had to hold, or nothing could be said:"]
    for says, holds, text in verdict.controls:
        told.append(f"  {'holds' if holds else 'FAILS'}  {says}")
        told += [] if holds else _parts(text)
    return told


def _parts(why: str) -> list[str]:
    return [f"    - {part}" for part in why.split("; ")]


_VERB = {"wire": "say", "stats": "counted"}


def _decided(proof: Proof | None, folder: Path) -> list[str]:
    """Each plane's answer on the call that shows it, and the place where it can be read."""
    if proof is None:
        return []
    told = [f"  seen on: $ {proof.typed}", f"    it was {proof.outcome}; {proof.agreement}"]
    if len(set(proof.nodes)) > 1:
        told.append(f"    from node {proof.nodes[0]} to node {proof.nodes[1]}")
    for said in proof.planes:
        told.append(
            f"    {said.source} {_VERB.get(said.plane, 'says')} {said.security}: {said.why}"
        )
        told += [f"      {place}" for place in _places(said, proof, folder)]
    for odd in proof.disagreements:
        told += [f"    {odd.name}: {odd.told}", f"      likely: {odd.likely}"]
    return told


def _in_graphs(said: Said) -> list[str]:
    """Of what was read off a missing lock: what Kiali's generations would have drawn."""
    if not said.graph or said.proof is None:
        return []
    drawn = [f"    {one.generation}: {one.drawn}: {one.because}" for one in said.proof.graphs]
    return [f"  and in a graph: {said.graph}", "  by a model of Kiali's rules:", *drawn]


def _places(said: PlaneSaid, proof: Proof, folder: Path) -> Iterator[str]:
    """Where to look, and what stands there."""
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
    """From the checkout's root on, where it lies in there."""
    return path.relative_to(store.ROOT) if path.is_relative_to(store.ROOT) else path


def quoted(path: Path, number: int) -> str:
    """The fields of a log line that speak of how it was secured and how it ended."""
    try:
        line = untrusted.parse(untrusted.read_text(path, path.parent).splitlines()[number - 1])
    except (BadEvidence, IndexError, ValueError):
        return "that line is not there any more"
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
    """For a verdict that differs from its pin: what was expected, and when it last was so."""
    if said.agreement != "differs" or not said.pinned:
        return []
    seen = (
        (said.word,) if isinstance(said, RemedyVerdict) else (said.as_posted.word, said.today.word)
    )
    last = _last_agreed(verdict, said.id if isinstance(said, ClaimVerdict) else said.name)
    return [
        f"  DIFFERS from its pin: expected {' / '.join(said.pinned)} ({said.pin_why})",
        f"    seen {' / '.join(seen)}; it last agreed in {last or 'no stored run'}",
    ]


def _last_agreed(verdict: Verdict, name: str) -> str:
    """The newest stored run before this one in which this claim or remedy was as pinned."""
    for run in reversed(store.stored()):
        if run.name >= verdict.run:
            continue
        try:
            told = untrusted.read_json(run / verdict.failure / "verdict.json", run)
            for one in [*told["claims"], *told.get("remedies", [])]:
                if name in (one.get("id"), one.get("name")) and one["agreement"] == "as pinned":
                    return f"{run.name} (Istio {told['stack']['istio']}, {told['stack']['envoy']})"
        except (BadEvidence, AttributeError, KeyError, TypeError):
            continue  # a verdict that is damaged says nothing
    return ""
