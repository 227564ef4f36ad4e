"""Ratios of two variants, and the range of their median, held against what binomials say."""

from __future__ import annotations

import random

import pytest

from lab.mtls_cost import ratios
from lab.mtls_cost.measurement import Crossed, Measurement, Sample
from lab.mtls_cost.ratios import Pair


def sample(number: int, key: str, cpu: float, dropped: str = "") -> Sample:
    latency = {"50": cpu, "90": cpu, "99": cpu}
    return Sample(number, key, 100, 100, 400, {"client": cpu}, latency, 1, 1, dropped=dropped)


def measurement(*samples: Sample) -> Measurement:
    return Measurement({}, {}, {}, {}, {"http/mtls": Crossed("tls")}, samples)


def test_of_ten_values_the_median_lies_between_the_second_and_the_ninth() -> None:
    found = ratios.interval([float(one) for one in range(10, 0, -1)])
    assert found == ratios.Interval(2.0, 5.5, 9.0, 10)


@pytest.mark.parametrize(("count", "rank"), [(6, 1), (8, 1), (9, 2), (12, 3), (20, 6)])
def test_ranks_are_those_of_the_tables_of_the_sign_test(count: int, rank: int) -> None:
    found = ratios.interval([float(one) for one in range(1, count + 1)])
    assert found
    assert (found.low, found.high) == (rank, count + 1 - rank)


def test_five_values_are_too_few() -> None:
    found = ratios.interval([1.0, 2.0, 3.0, 4.0, 5.0])
    assert found
    assert not found.sure


def test_the_range_has_the_true_median_in_it_at_least_as_often_as_it_says() -> None:
    draw = random.Random(1)
    hits = 0
    for _ in range(2000):
        found = ratios.interval([draw.expovariate(1.0) for _ in range(10)])
        assert found
        hits += found.holds(0.6931)
    assert hits / 2000 >= 0.95


def test_a_ratio_is_of_samples_of_one_round_that_both_count() -> None:
    found = ratios.ratio(
        measurement(
            sample(0, "http/mtls", 2.0),
            sample(0, "http/plaintext", 1.0),
            sample(1, "http/mtls", 9.0),
            sample(1, "http/plaintext", 1.0, dropped="too slow"),
            sample(2, "http/mtls", 6.0),
            sample(2, "http/plaintext", 2.0),
        ),
        "http",
        Pair("mTLS", "mtls", "plaintext"),
        "CPU",
    )
    assert found
    assert (found.low, found.high, found.count) == (2.0, 3.0, 2)


def test_where_nothing_counts_there_is_no_ratio() -> None:
    pair = Pair("mTLS", "mtls", "plaintext")
    assert ratios.ratio(measurement(sample(0, "http/mtls", 1.0)), "http", pair, "CPU") is None
