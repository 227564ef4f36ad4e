"""Which failures get room for their pods first."""

from __future__ import annotations

from lab.notebook.order import longest_calls_first


def test_calls_that_hang_come_before_those_that_are_answered() -> None:
    waiting, answered = "who_speaks_first", "headless_one_socket"
    assert longest_calls_first({answered: 6, waiting: 3}) == [waiting, answered]


def test_of_two_that_hang_as_long_the_one_with_fewer_pods_comes_first() -> None:
    many, few = "tcp_mtls", "old_answers"  # 17.9 and 18.6 seconds
    assert longest_calls_first({many: 10, few: 3}) == [few, many]
    assert longest_calls_first({many: 3, few: 10}) == [many, few]


def test_what_is_not_recorded_as_a_failure_comes_before_all() -> None:
    assert longest_calls_first({"who_speaks_first": 3, "port_names": 14})[0] == "port_names"
    assert longest_calls_first({"who_speaks_first": 3, "mine": 1})[0] == "mine"
