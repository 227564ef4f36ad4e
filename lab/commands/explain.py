"""`istio-lab explain WORDS`: the failures that look so, how to tell them apart, what heals."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator

from lab import failures
from lab.common.errors import BadArguments
from lab.model.failure import Failure, Symptom


def add(parser: argparse.ArgumentParser) -> None:
    """Take what a person sees: a status, a flag, a client's or a log's words."""
    parser.add_argument("seen", nargs="+", help="WRONG_VERSION_NUMBER, 426, 'connection reset'")


def run(options: argparse.Namespace) -> int:
    """Print the failures that look so. Raises BadArguments where none does."""
    typed = " ".join(options.seen)
    found = [*matching(typed)]
    if not found:
        known = ", ".join(sorted({word for _, one in _every() for word in one.words}))
        raise BadArguments(f"no failure of the lab looks like {typed!r}", hint=f"known: {known}")
    print("\n\n".join("\n".join(_lines(failure, symptom)) for failure, symptom in found))
    return 0


def matching(typed: str) -> Iterator[tuple[Failure, Symptom]]:
    """Yield the symptoms that have one of their words in a text, or the text in one of them."""
    for failure, symptom in _every():
        if any(_within(word, typed) or _within(typed, word) for word in symptom.words):
            yield failure, symptom


def _within(part: str, whole: str) -> bool:
    """Return whether a text has another in it as whole words: `UC` is in no `success`."""
    return bool(re.search(rf"(?<!\w){re.escape(part)}(?!\w)", whole, re.IGNORECASE))


def _every() -> Iterator[tuple[Failure, Symptom]]:
    for name in failures.names():
        failure = failures.load(name)
        yield from ((failure, symptom) for symptom in failure.symptoms)


def healing(failure: Failure) -> list[str]:
    """Return what is pinned to heal a failure, each with its price."""
    return [
        f"{remedy.says} (price: {remedy.price})"
        for remedy in failure.remedies
        if any(pin.words[0] == "heals" for pin in remedy.pins)
    ]


def _lines(failure: Failure, symptom: Symptom) -> Iterator[str]:
    yield f"{failure.name}: {failure.title}"
    yield f"  seen:    {', '.join(symptom.words)} ({symptom.where})"
    yield f"  to tell: {symptom.tell}"
    yield f"           shows {symptom.says}"
    for number, text in enumerate(healing(failure)):
        yield f"  {'' if number else 'heals:':<8} {text}"
    yield f"  more:    istio-lab show {failure.name}; notebooks/{failure.name}.ipynb"


def page() -> str:
    """Return docs/symptoms.md: every word that a person may see, with the failures behind it."""
    head = [
        "# Symptoms",
        "",
        "From what a person sees to the failures that look so. The list is made of the failures'",
        "files by `make readme`; `istio-lab explain 'WRONG_VERSION_NUMBER'` prints a part of it,",
        "with the remedies.",
        "",
        "| what is seen | by whom | failure | to tell it from others | which shows |",
        "|---|---|---|---|---|",
    ]
    rows = sorted(
        f"| {', '.join(f'`{word}`' for word in one.words)} | {one.where} "
        f"| [{failure.name}](../notebooks/{failure.name}.ipynb) "
        f"| `{one.tell.replace('|', chr(92) + '|')}` | {one.says} |"
        for failure, one in _every()
    )
    return "\n".join([*head, *rows]) + "\n"
