"""What is said of packets, and at which of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.model.store import ROOT
from lab.packets import comments, flights, pcap
from lab.packets.pcap import ACK, SYN, Connection, Segment

CAPTURES = ROOT / "tests" / "captures"
MARKER = b"marker-0123456789"
CLIENT, SERVER = ("10.0.0.1", 40000), ("10.0.0.2", 80)


def connection(name: str) -> Connection:
    return pcap.connections(pcap.read(CAPTURES / f"{name}.pcap"))[0]


def said(name: str) -> list[tuple[str, str, str]]:
    return [
        (one.side, one.kind, one.words) for one in comments.find_remarks(connection(name), MARKER)
    ]


def talk(*payloads: tuple[str, bytes]) -> Connection:
    """A connection with these payloads, one segment each."""
    segments = [Segment(0.0, CLIENT, SERVER, 100, 0, SYN, b"", False, 1)]
    segments.append(Segment(0.1, SERVER, CLIENT, 500, 101, SYN | ACK, b"", False, 2))
    at = {"client": 101, "server": 501}
    for number, (side, payload) in enumerate(payloads, 3):
        ends = (CLIENT, SERVER) if side == "client" else (SERVER, CLIENT)
        segments.append(Segment(number / 10, *ends, at[side], 0, ACK, payload, False, number))
        at[side] += len(payload)
    return pcap.connections(segments)[0]


def test_a_tls_1_3_connection_shows_its_hellos_and_no_more() -> None:
    found = said("tls13")
    hello = next(words for side, kind, words in found if (side, kind) == ("client", "hello"))
    assert hello.startswith("ClientHello: SNI outbound_.9000_._.tcp-echo.with-istio.svc")
    assert "ALPN offered: istio-peer-exchange, istio; versions offered: TLSv1.3" in hello
    assert (
        "server",
        "hello",
        "ServerHello: TLSv1.3 chosen; all that follows is encrypted",
    ) in found
    encrypted = [side for side, kind, _ in found if kind == "encrypted"]
    assert sorted(encrypted) == ["client", "server"]
    assert not [kind for _, kind, _ in found if kind in ("plaintext", "marker", "alert")]


def test_tls_1_2_shows_who_was_asked_for_a_certificate_and_gave_one() -> None:
    words = [words for _, _, words in said("tls12-mutual")]
    assert "a client certificate is asked for, in the clear" in words
    assert "the client's certificate, in the clear" in words
    assert "the client's certificate, in the clear" not in [w for _, _, w in said("tls12")]


def test_an_alert_in_the_clear_is_told_by_number_and_name() -> None:
    alerts = [words for _, kind, words in said("tls12-alert") if kind == "alert"]
    assert alerts
    assert all(words.startswith("TLS alert ") and "no known" not in words for words in alerts)


def test_who_breaks_a_connection_off_is_told() -> None:
    found = said("reset")
    assert [side for side, kind, _ in found if kind == "reset"] == ["server"]
    assert found[0] == ("client", "open", "SYN: opens a connection")


def test_plaintext_after_and_before_tls_is_told_apart() -> None:
    kinds = [(side, kind) for side, kind, _ in said("starttls")]
    assert kinds.index(("client", "plaintext")) < kinds.index(("client", "hello"))
    hello = connection("tls13").sent("client")
    record = hello[: 5 + int.from_bytes(hello[3:5], "big")]
    found = comments.find_remarks(
        talk(("client", record), ("client", b"then in the clear")), MARKER
    )
    kinds = [(one.kind, one.segment.frame) for one in found if one.side == "client"]
    assert kinds == [("open", 1), ("hello", 3), ("plaintext", 4)]


def test_a_marker_is_told_at_the_packet_that_completes_it_and_counted_there() -> None:
    both = MARKER + b" " + MARKER
    found = comments.find_remarks(
        talk(("client", MARKER[:5]), ("client", MARKER[5:] + both)), MARKER
    )
    marked = [(one.segment.frame, one.words) for one in found if one.kind == "marker"]
    assert marked == [(4, "the call's marker can be read in it, 3x")]


def test_a_hello_in_two_segments_is_told_at_the_second() -> None:
    sent = connection("tls13").sent("client")
    record = sent[: 5 + int.from_bytes(sent[3:5], "big")]
    found = comments.find_remarks(talk(("client", record[:100]), ("client", record[100:])), MARKER)
    assert [one.segment.frame for one in found if one.kind == "hello"] == [4]


def test_a_hello_in_two_records_is_told_at_the_packet_of_the_second() -> None:
    sent = connection("tls13").sent("client")
    message = sent[5 : 5 + int.from_bytes(sent[3:5], "big")]
    records = [sent[:3] + len(p).to_bytes(2, "big") + p for p in (message[:60], message[60:])]
    found = comments.find_remarks(talk(("client", records[0]), ("client", records[1])), MARKER)
    assert [one.segment.frame for one in found if one.kind == "hello"] == [4]


def test_what_is_sent_again_is_told_once_at_its_first_packet() -> None:
    once = talk(("client", MARKER))
    again = pcap.connections([*once.segments, once.segments[-1]._replace(frame=9, time=9.0)])[0]
    marked = [
        one.segment.frame for one in comments.find_remarks(again, MARKER) if one.kind == "marker"
    ]
    assert marked == [3]


def test_a_connection_of_very_many_packets_and_markers_is_told_in_time() -> None:
    """Quadratic work would take hours; the suite's own timeout ends it."""
    found = comments.find_remarks(talk(*[("client", MARKER)] * 20_000), MARKER)
    assert sum(remark.kind == "marker" for remark in found) == 20_000
    assert (
        len(flights.read_flights(talk(*[("client", MARKER), ("server", b"ok")] * 10_000), MARKER))
        == 20_001
    )


@pytest.mark.parametrize(
    ("data", "line"),
    [
        (b"GET / HTTP/1.1\r\nHost: b\r\n", "GET / HTTP/1.1"),
        (b"\0\0\x06\x04\0\0\0\0\0", "(binary)"),
        (b"\x1b]0;title\x07 of a terminal", ".]0;title. of a terminal"),
        (b"x" * 61, "x" * 60 + "…"),
        (b"\n", "(binary)"),
    ],
)
def test_a_plaintext_is_shown_by_one_printable_line(data: bytes, line: str) -> None:
    assert comments.first_line(data) == line


@pytest.mark.parametrize("path", sorted(CAPTURES.glob("*.pcap")), ids=lambda path: path.stem)
def test_every_remark_is_on_a_packet_of_its_own_connection(path: Path) -> None:
    for one in pcap.connections(pcap.read(path)):
        for remark in comments.find_remarks(one, MARKER):
            assert remark.segment in one.segments
            assert one.side_of(remark.segment) == remark.side
