"""What crosses a hop as a reader in between sees it."""

from __future__ import annotations

import itertools

import pytest

from lab import flights, packets
from lab.flights import Flight
from lab.store import ROOT

MARKER = b"marker-0123456789"


def of(name: str) -> list[Flight]:
    path = ROOT / "tests" / "captures" / f"{name}.pcap"
    return flights.of(packets.connections(packets.read(path))[0], MARKER)


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("plain", {"open", "plaintext", "close"}),
        ("tls13", {"open", "hello", "encrypted", "reset"}),
        ("starttls", {"open", "plaintext", "hello", "encrypted", "reset"}),
        ("reset", {"open", "reset"}),
    ],
)
def test_a_connection_is_made_of_these(name: str, kinds: set[str]) -> None:
    found = of(name)
    assert {flight.kind for flight in found} == kinds
    assert found[0].kind == "open"
    assert [flight.time for flight in found] == sorted(flight.time for flight in found)


def test_only_what_is_plaintext_is_told_to_be_read() -> None:
    for name in ("plain", "tls13", "starttls"):
        for flight in of(name):
            assert (flight.readable == "can be read") == (flight.kind == "plaintext")
            assert (flight.readable == "cannot be read") == (flight.kind == "encrypted")


def test_neighbouring_flights_with_payload_are_of_the_two_sides_in_turn() -> None:
    sides = [f.side for f in of("tls13") if f.kind in ("hello", "encrypted", "plaintext")]
    assert all(one != other for one, other in itertools.pairwise(sides))


def test_a_plaintext_says_its_length_its_first_line_and_the_marker() -> None:
    first = next(flight for flight in of("plain") if flight.kind == "plaintext")
    assert first.words[0].startswith("plaintext, ")
    assert first.words[-1] == "the call's marker can be read in it"
    assert len(first.words) == 3
