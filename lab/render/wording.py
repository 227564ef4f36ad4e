"""Words for people: outcomes, commands, answers, exit codes."""

from __future__ import annotations

import difflib
import re
import textwrap

from lab.judge.observation import Observation
from lab.judge.verdict import Verdict
from lab.model.evidence import CallRecord, Evidence, WorldRecord
from lab.model.failure import Remedy
from lab.model.scenario import World, fill

_OBJECT = re.compile(r"^kind: (\S+)\nmetadata:\s[^\n]*?\s*name: ([\w.-]+)", re.MULTILINE)


def filled(text: str, world: str, evidence: Evidence) -> str:
    """Fill in the namespace that a world had, if it was deployed, into a manifest."""
    record = evidence.worlds.get(world)
    return fill(text, {"namespace": record.namespace}) if record else text


def policies(declared: World, record: WorldRecord) -> str:
    """Return what a world's namespace demands and its clients do, and the names of more rules."""
    peer = policy(declared, "PeerAuthentication", record.mtls)
    return f"PeerAuthentication {peer}, DestinationRule " + policy(
        declared, "DestinationRule", record.rule
    )


def policy(declared: World, kind: str, mode: str) -> str:
    """Return the mode of a world's own policy of a kind, and the names of its others."""
    others = [name for of, name in _OBJECT.findall(declared.objects) if of == kind]
    return " and ".join([*([mode] if mode else []), *others]) or "none"


def difference(remedy: Remedy, evidence: Evidence) -> list[str]:
    """Return what a remedy changes, as lines of a diff; a changed command comes first."""
    change, typed = remedy.change, []
    if remedy.instead:
        typed = [f"- $ {remedy.call.command}", f"+ $ {remedy.instead.command}", ""]
    old, new = (
        filled(text, remedy.call.world, evidence).splitlines()
        for text in (change.before, change.after)
    )
    lines = [*difflib.unified_diff(old, new, lineterm="", n=9)][3:]
    return [*typed, *(part for line in lines for part in _folded(line))]


def _folded(line: str, width: int = 100) -> list[str]:
    """Fold a line of a diff to a page's width; YAML in braces may continue on the next line."""
    mark, text = line[:1], line[1:]
    indent = " " * (len(text) - len(text.lstrip()) + 4)
    parts = textwrap.wrap(
        text,
        width - 1,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return [mark + part for part in parts]


def came_back(record: CallRecord) -> str:
    """Say in a word or two how a call ended."""
    if record.lost:
        return f"lost: {record.lost}"
    return f"{record.outcome} {record.status or ''}".strip()


_METER = re.compile(r"\s*(% Total|Dload|\d+\s+\d+\s+\d.*--:--:--\s+\d*)")


def legible(said: str) -> list[str]:
    """Return the lines of an output without curl's progress meter and without empty lines."""
    lines = (_METER.sub("", line) if "--:--" in line else line for line in said.splitlines())
    return [line.rstrip() for line in lines if line.strip() and not _METER.match(line)]


_WORD = re.compile(r"'[^']*'|\S+")


def shorten(typed: str, length: int = 132) -> str:
    """Shorten a command to its beginning and end, and markers and long words in it."""
    typed = re.sub(r"(lab-[0-9a-f]{8})[0-9a-f]+", r"\1…", typed)
    words = [_middle(word, 32 if word[0] == "'" else 46) for word in _WORD.findall(typed)]
    last = len(words)
    while last > 1 and sum(map(len, words[last - 1 :])) + len(words) - last < length // 2:
        last -= 1
    last -= words[last - 1].startswith("-")  # a value keeps its flag
    first = last
    while first > 1 and len(" ".join([*words[:first], "…", *words[last:]])) > length:
        first -= 1
    while first > 1 and first < last and words[first - 1].startswith("-"):
        first -= 1
    return " ".join([*words[:first], *(["…"] if first < last else []), *words[last:]])


def _middle(word: str, length: int) -> str:
    keep = length // 2
    return word if len(word) <= length else f"{word[:keep]}…{word[-keep + 1 :]}"


EXPLAINED = {
    0: "every verdict is as pinned",
    1: "a verdict differs from its pin",
    3: "a verdict is inconclusive, or nothing is pinned for its stack or parameters",
    254: "bad arguments",
    255: "the run was interrupted or refused, or the lab itself failed",
}


SHOWS = {
    "mutual_tls": "mutual TLS",
    "tls": "TLS",
    "plaintext": "plaintext",
    "mixed": "partly plaintext",
    "none": "nothing crossed",
    "unknown": "unknown",
}


AROUND = f"{SHOWS['mutual_tls']} around own TLS"


def crossed(seen: Observation) -> str:
    """Say how a call crossed the wire; mutual TLS around the application's own TLS is named so."""
    around = seen.security == "mutual_tls" and (seen.app_line or {}).get("spoke") == "tls"
    return AROUND if around else SHOWS[seen.security]


def said(recorded: Evidence | Verdict) -> str:
    """Return `RECORDED` with date and stack, for wherever recorded evidence is shown."""
    stack = recorded.stack
    return (
        f"RECORDED on {recorded.recorded_at[:10]}: {recorded.cluster} cluster, "
        f"Istio {stack['istio']}, Envoy {stack['envoy']} ({stack['flavour']}), "
        f"Kubernetes {stack['kubernetes']}"
    )
