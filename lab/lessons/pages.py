"""The notebooks of the lessons, and the course's page: written from the lessons' own files."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lab.lessons import exercises
from lab.lessons.lesson import Lesson
from lab.model import store

FOLDER = store.ROOT / "notebooks" / "lessons"
COURSE = FOLDER / "00_course.ipynb"
EXPLORER = FOLDER / "explorer.ipynb"
INSTRUCTOR = store.ROOT / "docs" / "lessons.md"
_METADATA = {
    "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def path(name: str) -> Path:
    """Return where a lesson's notebook lies."""
    return FOLDER / f"{name}.ipynb"


def notebook(lesson: Lesson) -> str:
    """Return a lesson's notebook, without outputs: they would give the answers."""
    return _written(
        [
            ("md", _head(lesson)),
            (
                "parameters",
                'cluster = "auto"  # LAB_CLUSTER if it is set, else embedded or recorded',
            ),
            (
                "code",
                f'import lab\n\nlesson = lab.open_lesson("{lesson.name}", cluster=cluster)\nlesson',
            ),
            ("md", _PREDICT),
            ("code", "lesson.predict(answer=..., wire=...)"),
            ("md", _CALL),
            ("code", "lesson.call()"),
            ("md", _LOOK),
            ("code", "lesson.look()"),
            ("code", "# !kubectl get pods"),
            ("md", _DIAGNOSE),
            ("code", "lesson.diagnose(...)"),
            ("md", _REPAIR),
            ("code", "# !kubectl patch, apply or delete (kubectl edit: in a terminal)"),
            ("code", "lesson.check()"),
            ("md", _HINT),
            ("code", "lesson.hint()"),
            ("md", _SOLUTION),
            ("code", "lesson.solution()"),
            ("code", "lesson.check()"),
            ("md", _AGAIN.format(failure=lesson.failure)),
            ("code", "lesson.reset()"),
        ]
    )


def _head(lesson: Lesson) -> str:
    return (
        f"# {lesson.title}\n\nAbout {lesson.minutes} minutes. Afterwards you can "
        f"{lesson.learned}.\n\n> {lesson.report}\n\n"
        "The next cells start the lesson: a namespace of its own with its pods, or, where no "
        "cluster can run, the recorded part. [All lessons](00_course.ipynb)."
    )


_PREDICT = """\
## Predict

Before you look: what will come of the reported call? Replace each `...` by one of the words that \
the cell shows, in quotes, and run it again."""
_CALL = """\
## Make the call

The call is made now, and its packets are captured at both pods. The table has what you predicted, \
and what was seen."""
_LOOK = """\
## Look

Find out why. `kubectl` and `istioctl` use this lesson's namespace, in a cell after `!` and in a \
terminal that `istio-lab shell` opens. An EnvoyFilter named `lab-check` is the lesson's own."""
_DIAGNOSE = """\
## Diagnose

Give the letter of the cause: `lesson.diagnose("a")`."""
_REPAIR = """\
## Repair

Change the mesh by `kubectl`, in the next cell or in a terminal. Then check: every call of the \
lesson is made again, and the packets decide. A repair by another way than ours counts. As long \
as nothing is repaired, the check says *not yet*."""
_HINT = """\
### Hints

Each time that it is run, the next cell says more: where to look, what is so, what to change. It \
reads what the objects are now."""
_SOLUTION = """\
## Solution

The next cells repair the mesh in one right way, and check it."""
_AGAIN = """\
## Begin again

The next cell makes everything as it was. The whole story, with all packets and remedies, is in \
[{failure}](../{failure}.ipynb)."""


def course() -> str:
    """Return the course's page: order, minutes, what is learned, and what needs a cluster."""
    lessons = [exercises.load(name) for name in exercises.names()]
    rows = [
        f"| {number} | [{one.title}]({one.name}.ipynb) | {one.minutes} | {one.learned} |"
        for number, one in enumerate(lessons, 1)
    ]
    minutes = sum(one.minutes for one in lessons)
    text = "\n".join(
        [
            "# Course: how a mesh fails\n",
            "Each lesson has a mesh that is broken, and a report of a symptom. You predict, look, "
            "diagnose and repair, by kubectl and istioctl. Then the lesson makes the calls again, "
            "and the packets decide.\n",
            f"All lessons take about {minutes} minutes; one after the other, the first five take "
            f"an "
            "hour. You need to know Pods, Services and Deployments; [words of the "
            "mesh](../../docs/words.md) are explained.\n",
            "| | lesson | minutes | afterwards you can |",
            "|---|---|---|---|",
            *rows,
            "",
            "**Without a cluster** (macOS, Windows, no rights) you predict, see a recorded call, "
            "diagnose and read hints and solution. Nothing can be repaired there. **With one**, a "
            "lesson starts in seconds, and all of it works. A cluster runs on Linux.\n",
            "[Explorer](explorer.ipynb): what becomes of a single call, by port name, protocol, "
            "policy and caller.",
        ]
    )
    return _written(
        [
            ("md", text),
            ("md", _CLUSTER),
            ("code", "import lab\n\nlab.cluster_progress()"),
            ("md", _SKIP),
            ("code", "lab.lessons_to_skip()"),
            ("md", _PROGRESS),
            ("code", "lab.lessons_so_far()"),
        ]
    )


_CLUSTER = """\
## The cluster

`make learn` starts it in the background. Run the next cell to see how far it is. Meanwhile each \
lesson works with its recorded part: open it again when the cluster is up."""
_SKIP = """\
## If you know Istio: what to skip

The next cell shows each report with four diagnoses. Give your letters, as in \
`lab.lessons_to_skip(plaintext_port="b", excluded_port="d")`. A lesson whose cause you name from \
its report alone can be skipped."""
_PROGRESS = """\
## What you have done

What you predicted and what was true, and how long each repair took. It is kept in a file of your \
own, `notebooks/lessons.json`. Run the cell again when you have done a lesson."""


def explorer() -> str:
    """Return the notebook in which single calls are chosen, walked and made."""
    return _written(
        [
            ("md", _EXPLORER),
            ("code", "import lab\n\ncall = lab.open_call()\ncall"),
            ("md", _CHOOSE),
            ("code", 'call.choose(port_name="udp", sends="line", policy="permissive").walk()'),
            ("code", "call.measured()"),
            ("md", _WAIT),
            ("code", 'call.choose(port_name="none", sends="server-first").walk()'),
            ("code", "call.measured()"),
            ("md", _NOW),
            ("code", "call.call()"),
        ]
    )


_EXPLORER = """\
# One call: what becomes of it

Choose how a Service's port is named, what the client sends, the server's policy, and whether the
caller has a sidecar. The model walks the call through the configuration that the proxies held when
the truth table was measured; the table below the picture has what the packets showed. The choices
are lists: the Tab key goes from one to the next, the arrow keys change it."""
_CHOOSE = """\
## Without widgets

Where no list shows, as on a page that is only read, choose by words. A line over TCP, at a port
named `udp`: will it be mutual TLS?"""
_WAIT = """\
## A call that hangs

The server speaks first, and the port has no name. Who waits for whom?"""
_NOW = """\
## For real

The call that is chosen is made on a cluster, in a mesh of its own, which takes about half a minute.
Where no cluster runs, the cell says so."""


def _written(cells: list[tuple[str, str]]) -> str:
    """Return cells as a notebook's file."""
    made = [_cell(number, kind, source) for number, (kind, source) in enumerate(cells)]
    whole = {"cells": made, "metadata": _METADATA, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(whole, indent=1, ensure_ascii=False) + "\n"


def _cell(number: int, kind: str, source: str) -> dict[str, Any]:
    own = {"id": f"cell-{number:02}", "source": source.splitlines(keepends=True)}
    if kind == "md":
        return {"cell_type": "markdown", "metadata": {}, **own}
    tags = {"tags": ["parameters"]} if kind == "parameters" else {}
    return {"cell_type": "code", "execution_count": None, "metadata": tags, "outputs": [], **own}


def written() -> dict[Path, str]:
    """Return every file of the course, and its text."""
    lessons = {path(name): notebook(exercises.load(name)) for name in exercises.names()}
    return {COURSE: course(), EXPLORER: explorer(), INSTRUCTOR: instructor(), **lessons}


def instructor() -> str:
    """Return the page for who gives the course: what lessons ask, and typical wrong answers."""
    lessons = [exercises.load(name) for name in exercises.names()]
    return "\n".join([_INSTRUCTOR, *(line for one in lessons for line in _told(one))])


_INSTRUCTOR = """\
# Lessons

A lesson is a mesh that is broken, and a colleague's report of a symptom. A learner predicts what
crosses the network, makes the call, diagnoses, and repairs the mesh by kubectl. The lesson then
makes its calls again, and the packets decide: *correct*, *not yet*, or *cannot be checked*.

```console
$ make learn              # start a cluster in the background, and open the course in JupyterLab
$ make lessons            # run every lesson's notebook, and say whether each still holds
$ istio-lab lessons plaintext_port --cluster kind
```

This page is for who gives the course: it has the answers. It is written from the lessons' own files
([lab/lessons/exercises](../lab/lessons/exercises)) by `make readme`; CONTRIBUTING says how to
[add a lesson](../CONTRIBUTING.md#add-a-lesson).

- **Timing.** One lesson takes 10 to 15 minutes, half of it before the repair. Five fill an hour
  with a talk after each; start with *plaintext_port* and *excluded_port*.
- **Before the call**, let each learner predict, and say why. Wrong predictions teach most.
- **After the call**, ask what was measured and what was concluded: by packets, by a log, by an
  object.
- **At the repair**, ask what would show that it is not one: a symptom that is gone with mTLS still
  missing is the most frequent wrong answer. The lesson tells the two apart.
- **Without a cluster** (macOS, Windows) predictions are scored by a recorded call; nothing can be
  repaired.
- What each learner did is in `notebooks/lessons.json`, a file of their own; the course's last cell
  shows it.
- A lesson's namespace is made as it was by `lesson.reset()`, and removed when its notebook is
  closed.
"""


def _told(lesson: Lesson) -> Iterator[str]:
    """Yield a lesson's part of that page."""
    right, *others = lesson.causes
    yield f"\n## {lesson.title}\n"
    yield (
        f"[{lesson.name}](../notebooks/lessons/{lesson.name}.ipynb), {lesson.minutes} minutes. "
        f"Afterwards one can {lesson.learned}. The story behind it: "
        f"[{lesson.failure}](../notebooks/{lesson.failure}.ipynb).\n"
    )
    yield f"> {lesson.report}\n"
    yield f"**The cause**: {right.says}. {right.because}\n"
    yield "| typical wrong diagnosis | what refutes it |\n|---|---|"
    yield from (f"| {one.says} | {one.because} |" for one in others)
    yield "\n| repair | what the lesson says |\n|---|---|"
    for one in (lesson.solution, *lesson.others):
        yield f"| {one.says} | correct |"
    yield from (
        f"| {one.says} | not yet; the hint says: ... {one.hint} ... |" for one in lesson.wrong
    )
    yield f"\n{lesson.remember}"
