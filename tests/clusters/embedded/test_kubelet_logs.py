"""Which part of a container's log is given, and when its lines are said to be written."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from clusters.embedded.kubelet import logs
from clusters.embedded.kubelet.logs import LogTimes, Wanted
from lab.common.wait import until

NOW = 1_800_000_000.0


class Known(LogTimes):
    """A log that grew to 4 bytes at NOW + 1, to 9 at NOW + 2, to 14 at NOW + 3."""

    def __init__(self, path: Path) -> None:
        self._marks = {path: ([0, 4, 9, 14], [NOW, NOW + 1, NOW + 2, NOW + 3])}


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "app.0.log"
    path.write_bytes(b"one\ntw\ro\nthree\n")
    return path


def given(log: Path, **query: str) -> bytes:
    return b"".join(logs.read(log, Wanted.of_query(query), Known(log), lambda _size: True))


def test_without_a_wish_it_is_the_whole_log(log: Path) -> None:
    assert given(log) == b"one\ntw\ro\nthree\n"


def test_the_last_lines_and_the_first_bytes(log: Path) -> None:
    assert given(log, tailLines="2") == b"tw\ro\nthree\n"
    assert given(log, tailLines="0") == b""
    assert given(log, limitBytes="5") == b"one\nt"
    assert given(log, tailLines="1", limitBytes="2") == b"th"


def test_since_begins_with_the_first_line_that_was_begun_then(log: Path) -> None:
    assert given(log, sinceTime="2027-01-15T08:00:01.5Z") == b"tw\ro\nthree\n"
    # At 2 s the second line was there; of the third, nothing.
    assert given(log, sinceTime="2027-01-15T08:00:02.5Z") == b"three\n"
    assert given(log, sinceTime="2027-01-15T08:00:02.5Z", tailLines="9") == b"three\n"


def test_each_line_has_the_time_at_which_it_was_seen(log: Path) -> None:
    assert given(log, timestamps="true").splitlines()[0] == b"2027-01-15T08:00:01.000000000Z one"
    assert given(log, timestamps="true").count(b"2027-01-15T08:00:0") == 3


def test_what_is_written_meanwhile_is_followed_to_its_end(log: Path) -> None:
    def over(size: int) -> bool:
        if size < 20:
            with log.open("ab") as more:
                more.write(b"four\n")
            return False
        return True

    parts = logs.read(log, Wanted.of_query({"follow": "true", "tailLines": "0"}), Known(log), over)
    with log.open("ab") as more:
        more.write(b"begun\n")
    assert b"".join(parts) == b"begun\n"


def test_a_log_that_grows_is_noted_within_its_interval(log: Path) -> None:
    times = LogTimes()
    times.watch(log)
    before = time.time()
    size = log.stat().st_size
    until(lambda: times.size_at(log, time.time()) == size, "its size", timeout=10 * logs.EVERY)
    assert before <= times.written(log, size - 1) <= before + 4 * logs.EVERY
    assert times.size_at(log, before - 60) == 0
