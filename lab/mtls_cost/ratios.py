"""Ratios of two variants, round by round, and how sure they are."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from lab.mtls_cost.measurement import Measurement, Sample

LEVEL = 0.95


@dataclass(frozen=True)
class Pair:
    """Two variants, and what their ratio is the cost of."""

    says: str
    variant: str
    base: str


PAIRS = (
    Pair("two sidecars", "plaintext", "no-sidecar"),
    Pair("mTLS", "mtls", "plaintext"),
    Pair("the applications' TLS", "own-tls", "plaintext"),
    Pair("mTLS around the applications' TLS", "own-tls-in-mtls", "own-tls"),
    Pair("mTLS in place of the applications' TLS", "mtls", "own-tls"),
)

FIGURES: Mapping[str, Callable[[Sample], float]] = {
    "CPU": Sample.cpu_per_request,
    "p50": lambda one: one.latency["50"],
    "p90": lambda one: one.latency["90"],
    "p99": lambda one: one.latency["99"],
}


@dataclass(frozen=True)
class Interval:
    """A median, and between which of the sorted values it lies with LEVEL at least."""

    low: float
    median: float
    high: float
    count: int
    sure: bool = True
    """False: there are too few values for LEVEL, and these are the lowest and the highest."""

    def holds(self, value: float) -> bool:
        return self.low <= value <= self.high


def interval(values: Sequence[float]) -> Interval | None:
    """Return the median's interval by order statistics; None: there is no value.

    Nothing is assumed of how the values are spread: that the k-th lowest is above the median is as
    likely as k heads of a fair coin (Conover, Practical Nonparametric Statistics, 3.2).
    """
    if not values:
        return None
    ordered = sorted(values)
    count = len(ordered)
    outside, rank = 2 * 0.5**count, 1
    sure = outside <= 1 - LEVEL
    while rank < count // 2:
        outside += 2 * math.comb(count, rank) * 0.5**count
        if outside > 1 - LEVEL:
            break
        rank += 1
    middle = statistics.median(ordered)
    return Interval(ordered[rank - 1], middle, ordered[count - rank], count, sure)


def ratio(measurement: Measurement, load: str, pair: Pair, figure: str) -> Interval | None:
    """Return the ratio of a figure, of those rounds in which both samples count."""
    variant, base = (measurement.counted(f"{load}/{name}") for name in (pair.variant, pair.base))
    value = FIGURES[figure]
    both = sorted(variant.keys() & base.keys())
    return interval([value(variant[one]) / value(base[one]) for one in both])


def per_thousand(measurement: Measurement, key: str, part: str = "") -> Interval | None:
    """Return CPU seconds per 1,000 requests: of one part, or of all."""
    samples = measurement.counted(key).values()
    return interval([1000 * one.cpu_per_request(part) for one in samples])


def frame_bytes(measurement: Measurement, key: str) -> Interval | None:
    """Return the bytes of frames per request, both ways."""
    samples = measurement.counted(key).values()
    return interval([(one.sent + one.received) / one.requests for one in samples])
