"""What istioctl says of a world, asked as a program that prints what it was asked."""

from __future__ import annotations

from pathlib import Path

import pytest

from clusters.base import PodRef
from lab import failures
from lab.record import istioctl
from lab.record.world import LiveWorld

PRINTS = """#!/bin/sh
echo "$* with $KUBECONFIG"
echo
echo "Warning [IST0137] (Deployment shop/web) associated with [shop/web shop/lab-served]"
echo "Info [IST0118] (Service shop/web)" >&2
exit 79
"""


@pytest.fixture
def live() -> LiveWorld:
    world = failures.load("tcp_mtls").world("posted")
    made = LiveWorld(world, "shop", "run")
    made.pods = {
        "web": PodRef("shop", "web-1", "10.0.0.1", ("app", "istio-proxy")),
        "bare": PodRef("shop", "bare-1", "10.0.0.2", ("app",)),
    }
    return made


def test_it_is_asked_of_the_namespace_and_of_pods_with_a_sidecar(
    live: LiveWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "istioctl"
    program.write_text(PRINTS)
    program.chmod(0o755)
    monkeypatch.setenv(istioctl.PROGRAM, str(program))
    monkeypatch.setenv(istioctl.KUBECONFIG, "ours")
    analyzed, described = istioctl.ask(live, ["bare", "web"])
    assert analyzed.typed == "istioctl analyze --namespace shop"
    assert analyzed.said == (
        "analyze --namespace shop with ours",
        "Info [IST0118] (Service shop/web)",
    ), "a warning of the lab's own Service is left out"
    assert described.typed == "istioctl x describe pod web-1 --namespace shop"


def test_a_program_that_cannot_be_run_is_told_and_breaks_nothing(
    live: LiveWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(istioctl.PROGRAM, str(tmp_path / "gone"))
    monkeypatch.setenv(istioctl.KUBECONFIG, "ours")
    (analyzed,) = istioctl.ask(live, [])
    assert analyzed.said[0].startswith("no answer: ")


def test_nothing_is_asked_in_a_run_that_was_not_told_to(live: LiveWorld) -> None:
    assert istioctl.ask(live, ["web"]) == ()
