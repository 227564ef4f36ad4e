"""A Job that is waited for: complete, not complete, or never seen to end."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from lab.record import jobs

RUNNING: dict[str, Any] = {"running": {}}


def ended(code: int) -> dict[str, Any]:
    return {"terminated": {"exitCode": code}}


def cluster(
    own: dict[str, Any], proxy: dict[str, Any], *, complete: bool, native: bool = True
) -> Any:
    """An API that lists one Job and its pod, with these states of their containers."""
    statuses = [{"name": "job", "state": own}]
    sidecar = [{"name": "istio-proxy", "state": proxy}]
    status = {"containerStatuses": statuses if native else [*statuses, *sidecar]}
    status |= {"initContainerStatuses": sidecar} if native else {}
    conditions = [{"type": "Complete", "status": "True"}] if complete else []
    job = {"metadata": {"name": "job"}, "status": {"conditions": conditions}}

    def items(path: str, _query: object = None) -> list[Any]:
        return [job] if path.endswith("/jobs") else [{"status": status}]

    return SimpleNamespace(kube=SimpleNamespace(items=items))


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "STARTED_WITHIN", 0.0)
    monkeypatch.setattr(jobs, "COMPLETE_WITHIN", 0.0)


@pytest.mark.parametrize("native", [True, False])
def test_a_job_that_is_complete_is_answered(native: bool) -> None:
    told = jobs.wait(cluster(ended(0), ended(137), complete=True, native=native), "shop", "job")
    assert (told.outcome, told.lost) == ("answered", "")
    assert told.said == "job ended with 0, istio-proxy ended with 137"


@pytest.mark.parametrize("native", [True, False])
def test_one_whose_sidecar_goes_on_hangs(native: bool) -> None:
    told = jobs.wait(cluster(ended(0), RUNNING, complete=False, native=native), "shop", "job")
    assert (told.outcome, told.said) == ("hang", "job ended with 0, istio-proxy is running")


@pytest.mark.parametrize("own", [RUNNING, ended(1), {"waiting": {}}])
def test_of_one_whose_own_container_is_not_seen_to_end_well_nothing_is_concluded(
    own: dict[str, Any],
) -> None:
    told = jobs.wait(cluster(own, RUNNING, complete=False), "shop", "job")
    assert told.lost.startswith("waited")
    assert "istio-proxy is running" in told.lost
