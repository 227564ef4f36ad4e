"""What crosses a hop as a reader in between sees it."""

from __future__ import annotations

import itertools

import pytest

from lab.model.store import ROOT
from lab.packets import flights, pcap
from lab.packets.flights import Flight
from lab.packets.pcap import ACK, SYN, Segment

MARKER = b"marker-0123456789"


def of(name: str) -> list[Flight]:
    path = ROOT / "tests" / "captures" / f"{name}.pcap"
    return flights.read_flights(pcap.connections(pcap.read(path))[0], MARKER)


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


def test_what_follows_a_tls_record_in_the_clear_is_plaintext() -> None:
    hello = pcap.connections(pcap.read(ROOT / "tests" / "captures" / "tls13.pcap"))[0]
    sent = hello.sent("client")
    record = sent[: 5 + int.from_bytes(sent[3:5], "big")]
    client, server = ("10.0.0.1", 40000), ("10.0.0.2", 80)
    parts = (Segment(0.0, client, server, 0, 0, SYN, b"", False, 1),)
    parts += (Segment(0.1, client, server, 1, 0, ACK, record, False, 2),)
    parts += (Segment(0.3, server, client, 0, 0, SYN | ACK, b"", False, 4),)
    parts += (Segment(0.4, server, client, 1, 0, ACK, b"HTTP/1.1 400", False, 5),)
    parts += (Segment(0.5, client, server, 1 + len(record), 0, ACK, b"oh", False, 6),)
    found = flights.read_flights(pcap.connections(parts)[0], MARKER)
    assert [flight.kind for flight in found] == ["open", "hello", "plaintext", "plaintext"]


def test_neighbouring_flights_with_payload_are_of_the_two_sides_in_turn() -> None:
    sides = [f.side for f in of("tls13") if f.kind in ("hello", "encrypted", "plaintext")]
    assert all(one != other for one, other in itertools.pairwise(sides))


def test_a_plaintext_says_its_length_its_first_line_and_the_marker() -> None:
    first = next(flight for flight in of("plain") if flight.kind == "plaintext")
    assert first.words[0].startswith("plaintext, ")
    assert first.words[-1] == "the call's marker can be read in it"
    assert len(first.words) == 3
