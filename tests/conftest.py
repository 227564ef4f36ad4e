from __future__ import annotations

import contextlib
import gc
import itertools
import os
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import browser
import kept
import pytest
import selection
from kubectl import Kubectl
from listing import listing, outside
from person import Person

from clusters.embedded.cluster import Embedded
from clusters.kind import engine as engines
from clusters.kind.cluster import Kind
from clusters.kind.images import Programs
from clusters.stacks import assembly
from lab.common.errors import LabError

_NUMBERS = itertools.count()


def pytest_configure(config: pytest.Config) -> None:
    """Register the hooks that lie in files of their own."""
    gc.set_threshold(50_000, 20, 20)  # as lab.commands.line does
    config.pluginmanager.register(selection)
    config.pluginmanager.register(kept)
    config.pluginmanager.register(browser)
    if hasattr(config, "workerinput"):
        # In the process that starts the workers, pytest imports readline, which sets them.
        for name in ("COLUMNS", "LINES"):
            os.environ.pop(name, None)


def _kind_runs() -> bool:
    return os.getuid() == 0 or engines.find() is not None


def pytest_collection_finish(session: pytest.Session) -> None:
    """What the selected tests run on is built now: minutes that are of no test's own time."""
    gc.freeze()  # what was collected stays; no test's garbage is looked for in it
    marks = {mark.name for item in session.items for mark in item.iter_markers()}
    if session.config.option.collectonly:
        return
    with contextlib.suppress(LabError):  # each test that takes it will say why
        if "cluster" in marks:
            assembly.wanted("1.31").ensure(_say, tools=True)
        if "kind" in marks and _kind_runs():
            Programs.ensure("1.31", _say)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)  # a worker of pytest-xdist has no other stream


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Before any fixture: what kind takes is minutes of building, in vain where it cannot run."""
    if item.get_closest_marker("kind") and not _kind_runs():
        pytest.skip("no Docker engine answers, and only root can start one")


@pytest.fixture(scope="session")
def cluster() -> Iterator[Embedded]:
    """One embedded cluster for all tests; its tokens are renewed after three seconds.

    It is started as by a job in the background, in which Ctrl-C is ignored.
    """
    made = Embedded(f"test-{os.getpid()}", token_renew_at=0.005)
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        made.up(lambda _step: None, owned=True)
        signal.signal(signal.SIGINT, before)
        yield made
    finally:
        made.down()


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures are empty: for tests that look at what a page says beside its figures.

    Drawing them takes nine tenths of the time that a page takes.
    """
    empty = b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1 1"/>'
    monkeypatch.setattr("lab.render.svg.data", lambda *_what, **_how: empty)


@pytest.fixture
def person() -> Iterator[Person]:
    """Somebody who is not root."""
    with tempfile.TemporaryDirectory(prefix="lab-") as folder:
        Path(folder).chmod(0o755)
        yield Person(Path(folder))


@pytest.fixture(scope="session")
def host_before_kind() -> dict[str, list[str]]:
    """The host before the session's kind cluster was made."""
    return {**listing(), **outside()}


@pytest.fixture(scope="session")
def _kind(host_before_kind: dict[str, list[str]]) -> Iterator[Kind]:
    made = Kind(f"test-{os.getpid()}", nodes=2)
    try:
        yield made
    finally:
        made.down()


@pytest.fixture
def kind_cluster(_kind: Kind) -> Kind:
    """One kind cluster of two nodes for all tests; a test that ends it leaves that to the next."""
    _kind.up(lambda _step: None)
    return _kind


@pytest.fixture(scope="session")
def kubectl(cluster: Embedded) -> Kubectl:
    return Kubectl(cluster)


@pytest.fixture
def namespace(kubectl: Kubectl) -> Iterator[str]:
    name = f"test-{next(_NUMBERS)}"
    kubectl("create", "namespace", name)
    yield name
    kubectl("delete", "namespace", name, "--wait=false")


@pytest.fixture
def in_pod(cluster: Embedded) -> Callable[..., str]:
    """Run a command in a pod through the lab, and return its output."""
    from clusters.base import PodRef

    def run(namespace: str, pod: str, *argv: str, container: str | None = None) -> str:
        done = cluster.exec(PodRef(namespace, pod, "", ()), argv, container=container)
        return (done.stdout + done.stderr).decode()

    return run
