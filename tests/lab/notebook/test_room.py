"""Which failures have pods at a time."""

from __future__ import annotations

from lab.notebook.room import Room

PODS = {"rest": 10, "tcp": 10, "https": 9}


class Cluster:
    """Pods that are gone only after they were asked for twice, as real ones need a moment."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def freed(self, name: str) -> bool:
        self.asked.append(name)
        return self.asked.count(name) > 1


def test_without_a_limit_all_run_at_once() -> None:
    room = Room(PODS, None, Cluster().freed)
    assert [room.take(name) for name in PODS] == [True, True, True]
    assert room.taken == room.fit == 29


def test_the_next_waits_until_the_pods_of_one_that_has_ended_are_gone() -> None:
    cluster = Cluster()
    room = Room(PODS, 20, cluster.freed, between=0)
    assert [room.take(name) for name in PODS] == [True, True, False]
    room.make()
    assert not cluster.asked
    room.ended("tcp")
    room.make()
    assert not room.take("https")
    room.make()
    assert room.take("https")
    assert cluster.asked == ["tcp", "tcp"]
    assert room.taken == 19


def test_pods_stay_where_no_other_failure_needs_their_room() -> None:
    cluster = Cluster()
    room = Room(PODS, 20, cluster.freed)
    assert room.take("rest")
    room.ended("rest")
    assert room.take("tcp")
    assert not cluster.asked


def test_a_failure_that_never_fits_runs_once_no_other_has_pods() -> None:
    cluster = Cluster()
    room = Room(PODS, 9, cluster.freed, between=0)
    assert room.take("rest")
    assert not room.take("tcp")
    room.ended("rest")
    room.make()
    assert not room.take("tcp")
    room.make()
    assert room.take("tcp")


def test_the_api_is_not_asked_again_at_once() -> None:
    cluster = Cluster()
    room = Room(PODS, 9, cluster.freed, between=3600)
    assert room.take("rest")
    room.ended("rest")
    room.make()
    room.make()
    assert cluster.asked == ["rest"]
