"""What is recorded of each failure, read once, opened once and judged once for all tests.

It is shared: a test that alters something alters a copy (`dataclasses.replace`, or `altered`).
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from lab import failures
from lab.judge.case import Case
from lab.judge.verdict import Verdict, judge
from lab.model import store
from lab.model.evidence import Evidence
from lab.model.failure import Failure


@cache
def case(name: str) -> Case:
    """The recorded evidence of a failure, with all that was observed in it already."""
    return Case.open(failures.load(name), store.RECORDED / name)


@cache
def turned(name: str) -> Case:
    """The same of the world turned round."""
    return Case.open(failures.load(name), store.TURNED / f"{name}-turned")


def parts(of: Case) -> tuple[Failure, Evidence, Path]:
    """What another Case is made with, as it is or with something in it replaced."""
    return of.failure, of.evidence, of.folder


@cache
def verdict(name: str) -> Verdict:
    """What is concluded of the recorded evidence of a failure."""
    return judge(case(name))


def verdicts() -> list[Verdict]:
    """The same of every failure."""
    return [verdict(name) for name in failures.names()]
