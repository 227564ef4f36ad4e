"""Each lesson on a real mesh: broken, wrongly repaired, repaired, reset."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from clusters.embedded.cluster import Embedded
from lab.lessons import exercises, snapshot
from lab.lessons.lesson import Lesson, Repair
from lab.lessons.live import LiveLesson
from lab.lessons.notebook import NotebookLesson
from lab.render.display import Table, Text

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]
SAMPLE = "plaintext_port"
LESSONS = [
    pytest.param(name, marks=() if name == SAMPLE else pytest.mark.long)
    for name in exercises.names()
]


@pytest.fixture
def live(
    request: pytest.FixtureRequest,
    cluster: Embedded,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> Iterator[LiveLesson]:
    monkeypatch.setenv("LAB_CLUSTER_NAME", cluster.name)
    monkeypatch.setenv("LAB_LESSONS", str(tmp_path / "lessons.json"))
    monkeypatch.setenv("LAB_RUNS", str(tmp_path))
    monkeypatch.setenv("KEEP", "1")  # it is closed here, and not at the end of all tests
    made = LiveLesson(exercises.load(request.param), "embedded")
    yield made
    made.close()


def state(shown: Table | Text) -> str:
    """Return what a check said."""
    return str(shown).partition("\n")[0]


def whole_hint(lesson: NotebookLesson) -> str:
    """Return a hint with all its steps."""
    return " ".join(str(lesson.hint()) for _ in range(3)).replace("\n", " ")


def words(text: str) -> str:
    return " ".join(text.split())


@pytest.mark.parametrize("live", LESSONS, indirect=True)
def test_a_lesson_says_what_is_still_wrong_and_when_it_is_right(live: LiveLesson) -> None:
    lesson = NotebookLesson(live, live, "a test")
    declared: Lesson = live.lesson
    before = snapshot.take(live._cluster.kube, live.namespace, live._kinds)
    lesson.call()
    assert state(lesson.check()) == "Not yet"
    assert "Nothing is left" not in whole_hint(lesson)

    for wrong in declared.wrong:
        live.repair(wrong)
        shown = lesson.check()
        assert state(shown) == "Not yet", (wrong.says, shown)
        lesson._given.clear()
        assert wrong.hint in words(whole_hint(lesson)), (wrong.says, whole_hint(lesson))
        lesson.reset()

    assert state(lesson.check()) == "Not yet"
    lesson.solution()
    shown = lesson.check()
    assert state(shown) == "Correct", shown
    for other in declared.others:
        lesson.reset()
        live.repair(other)
        shown = lesson.check()
        assert state(shown) == "Correct", (other.says, shown)
    lesson.reset()
    assert state(lesson.check()) == "Not yet"
    after = snapshot.take(live._cluster.kube, live.namespace, live._kinds)
    assert snapshot.names(after) == snapshot.names(before)


STRAY = """\
kubectl create configmap stray --from-literal=a=b
kubectl run stray --image=lab/client --labels sidecar.istio.io/inject=false -- sleep infinity
kubectl delete service tcp-echo
kubectl delete peerauthentication default
kubectl annotate deployment tcp-echo stray=yes
kubectl apply -f - <<'EOT'
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: stray}
spec: {host: stray, trafficPolicy: {tls: {mode: DISABLE}}}
EOT
"""


@pytest.mark.parametrize("live", [SAMPLE], indirect=True)
def test_a_reset_leaves_nothing_and_brings_back_everything(live: LiveLesson) -> None:
    before = snapshot.take(live._cluster.kube, live.namespace, live._kinds)
    live.repair(Repair("what a learner might do", STRAY))
    changed = live.reset()
    assert changed == [
        "ConfigMap stray is deleted",
        "Deployment tcp-echo is as it was",
        "DestinationRule stray is deleted",
        "PeerAuthentication default is made again",
        "Pod stray is deleted",
        "Service tcp-echo is made again",
    ]
    after = snapshot.take(live._cluster.kube, live.namespace, live._kinds)
    assert snapshot.names(after) == snapshot.names(before)
    assert live.reset() == []
