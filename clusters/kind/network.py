"""The network of the engine's that kind makes once, for all its clusters."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from clusters.kind.engine import Engine
from lab.common import scratch

NOTE = "kind-network"
"""A file that holds the network's id where the lab was the first to need it."""


@contextmanager
def noted(engine: Engine) -> Iterator[None]:
    """Note the network as made for the lab if it comes into being in this block."""
    before = _id(engine)
    try:
        yield
    finally:
        if not before:
            (scratch.states() / NOTE).write_text(_id(engine))


def remove(engine: Engine) -> None:
    """Remove the network where it was made for the lab and no cluster uses it."""
    ours, there = scratch.states() / NOTE, _id(engine)
    mark = ours.read_text() if ours.exists() else ""
    others = engine.docker("ps", "--all", "--quiet", "--filter=label=io.x-k8s.kind.cluster")
    if there and (engine.own or mark == there) and not others.strip():
        engine.run("network", "rm", "kind")
        there = ""
    if mark and mark != there:
        ours.unlink()


def _id(engine: Engine) -> str:
    """Return the network's id, or nothing where there is none."""
    return engine.run("network", "inspect", "--format={{.Id}}", "kind").stdout.decode().strip()
