"""A container that ends three times alike ends the wait for its world; another one does not."""

from __future__ import annotations

from typing import Any

import pytest

from lab.record.crashes import Crashes


def pod(restarts: int, code: int | None, *, running: bool = False, init: bool = False) -> Any:
    state = {"running": {}} if running else {"waiting": {"reason": "CrashLoopBackOff"}}
    last = {} if code is None else {"terminated": {"exitCode": code}}
    status = {"name": "app", "restartCount": restarts, "state": state, "lastState": last}
    key = "initContainerStatuses" if init else "containerStatuses"
    return {"metadata": {"name": "b", "namespace": "n"}, "status": {key: [status]}}


@pytest.mark.parametrize("init", [False, True])
def test_the_third_end_alike_is_told_with_its_code(init: bool) -> None:
    crashes = Crashes()
    looks = [pod(0, 7, init=init), pod(1, 7, running=True, init=init), pod(1, 7, init=init)]
    assert [crashes.look([one]) for one in looks] == [None, None, None]
    found = crashes.look([pod(2, 7, init=init)])
    assert found is not None
    assert found[1:] == ("app", 7)


def test_one_that_ends_otherwise_each_time_is_waited_for() -> None:
    crashes = Crashes()
    assert [crashes.look([pod(n, code)]) for n, code in enumerate([1, 2, 1])] == [None] * 3


def test_one_that_has_not_ended_or_is_ready_by_now_is_none() -> None:
    ready = pod(5, 1, running=True)
    ready["status"]["containerStatuses"][0]["ready"] = True
    assert Crashes().look([pod(0, None, running=True), ready]) is None
