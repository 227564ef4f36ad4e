"""A lesson in JupyterLab on a real mesh, by keyboard alone: predicted, diagnosed, repaired."""

from __future__ import annotations

from pathlib import Path

import pytest
from jupyterlab import Notebook, served

from clusters.embedded.cluster import Embedded
from lab.kiali.picture import chromium
from lab.lessons import exercises

pytestmark = [pytest.mark.cluster, pytest.mark.long, pytest.mark.timeout(600)]


def test_a_lesson_is_solved_by_keyboard(cluster: Embedded, tmp_path: Path) -> None:
    lesson = exercises.load("policy_number")
    (right,) = (key for key, cause in lesson.choices.items() if cause is lesson.causes[0])
    own = {
        "LAB_CLUSTER": "embedded",
        "LAB_CLUSTER_NAME": cluster.name,
        "LAB_RUNS": str(tmp_path / "runs"),
    }
    with served(tmp_path, own) as address, chromium() as browser:
        page = Notebook(browser, address.replace("00_start_here", f"lessons/{lesson.name}"))
        page.run_to("lesson.predict(")
        page.write('lesson.predict(answer="answered", wire="plaintext")')
        page.run_to("lesson.call()")
        assert page.run().count("right") == 2
        page.run_to("lesson.diagnose(")
        assert page.write(f'lesson.diagnose("{right}")').startswith("Right: ")
        page.run_to("# !kubectl edit")
        page.write(f"!{lesson.solution.script}")
        assert page.run().startswith("Correct")
        page.run_to("lesson.reset()")
        assert "The lesson is as it was at its beginning." in page.run()
