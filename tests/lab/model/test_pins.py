"""A pin covers the stacks that were run, and no other."""

from __future__ import annotations

import pytest

from lab import failures
from lab.model.pins import MEASURED, Pin


@pytest.mark.parametrize(
    ("cluster", "istio", "envoy", "covered"),
    [
        ("embedded", "1.30", "1.38.3", True),
        ("embedded", "1.30", "1.36.2", False),
        ("embedded", "1.31", "1.36.2", True),
        ("embedded", "1.31.4", "1.40.0", True),
        ("embedded", "1.31", "1.36.2.post1", False),
        ("embedded", "1.31", "1.39.0", False),
        ("embedded", "1.32", "1.38.3", False),
        ("kind", "1.31", "1.38.3", True),
        ("kind", "1.31", "1.38.3-dev", False),
        ("kind", "1.30", "1.38.3", False),
        ("existing", "1.31", "1.38.3", True),
        ("existing", "1.31", "1.40.0", False),
        ("another", "1.31", "1.38.3", False),
        ("embedded", "1.31", "", False),
    ],
)
def test_a_pin_covers_what_was_measured(
    cluster: str, istio: str, envoy: str, covered: bool
) -> None:
    assert Pin(("heals",), "why").covers(istio, envoy, cluster) is covered


def test_no_pin_of_a_failure_claims_more_than_was_measured() -> None:
    for name in failures.names():
        for pins in failures.load(name).pins.values():
            assert all(set(pin.stacks) <= set(MEASURED) for pin in pins)


def test_a_pin_of_one_kind_of_cluster_says_nothing_of_another() -> None:
    pins = failures.load("https_in_mtls")
    assert pins.pin("mesh-strict", "1.31", "1.38.3", "existing").words == ("skipped",)
    assert pins.pin("mesh-strict", "1.31", "1.38.3", "kind").words == ("does not heal",)
