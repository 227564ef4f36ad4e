"""Captures and TLS from anybody: read for what they are, or refused in words."""

from __future__ import annotations

import struct
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, get_args

import pytest
from damage import effort, mangled
from hypothesis import given
from hypothesis import strategies as st

from lab.common.errors import BadEvidence
from lab.model.store import ROOT
from lab.packets import comments, flights, pcap, tls
from lab.packets.pcap import ACK, FIN, SYN, Connection, Segment
from lab.planes import Security, Seen
from lab.planes.capture_file import CaptureFile, on_loopback
from lab.planes.wire import ConnectionQuery, read

CAPTURES = ROOT / "tests" / "captures"
SOUND = {path.stem: path.read_bytes() for path in sorted(CAPTURES.glob("*.pcap"))}
MARKER = b"marker-0123456789"
CLIENT, SERVER = ("10.1.0.1", 40000), ("10.1.0.2", 80)
HEADER = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 101)


def looked_at(data: bytes, edge: ConnectionQuery | None = None) -> Seen | None:
    """What the wire plane says of a capture; None where it cannot even be opened."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "some.pcap"
        path.write_bytes(data)
        try:
            found = pcap.connections(pcap.read(path))
        except BadEvidence:
            found = []
        for connection in found:
            assert isinstance(connection.whole, bool)
            assert connection.ended_by
            told = comments.find_remarks(connection, MARKER)
            assert all(remark.segment in connection.segments for remark in told)
            assert len(flights.read_flights(connection, MARKER)) <= len(connection.segments) * 2
        if edge is None and found:
            edge = ConnectionQuery(found[0].client[0], (found[0].server,), found[0].client[1])
        if edge is None:
            return None
        file = CaptureFile(path, 0)
        assert on_loopback(file, MARKER) in (True, False, None)
        seen = read(edge, file, file, MARKER)
        assert seen.security in get_args(Security)
        assert seen.why
        return seen


def edge_of(name: str) -> ConnectionQuery:
    first = pcap.connections(pcap.read(CAPTURES / f"{name}.pcap"))[0]
    return ConnectionQuery(first.client[0], (first.server,), first.client[1])


@pytest.mark.parametrize("name", SOUND)
@given(data=st.data())
@effort(12)
def test_a_damaged_capture_is_never_more_secure_than_it_was(name: str, data: st.DataObject) -> None:
    edge = edge_of(name)
    whole, seen = looked_at(SOUND[name], edge), looked_at(data.draw(mangled(SOUND[name])), edge)
    assert whole
    assert seen
    if whole.security != "mutual_tls":
        assert seen.security != "mutual_tls"
    if whole.security in ("plaintext", "none"):
        assert seen.security != "tls"


@pytest.mark.parametrize("name", SOUND)
@given(data=st.data())
@effort(12)
def test_the_beginning_of_a_capture_is_never_more_secure_than_all_of_it(
    name: str, data: st.DataObject
) -> None:
    edge = edge_of(name)
    cut = data.draw(st.integers(0, len(SOUND[name])))
    whole, seen = looked_at(SOUND[name], edge), looked_at(SOUND[name][:cut], edge)
    assert whole
    assert seen
    if seen.security in ("tls", "mutual_tls"):
        assert whole.security in ("tls", "mutual_tls")
    if seen.security == "mutual_tls":
        assert whole.security == "mutual_tls"


@given(st.sampled_from([b"", b"\xd4\xc3\xb2\xa1", HEADER]), st.binary(max_size=300))
@effort(60)
def test_any_bytes_are_a_capture_or_refused(begin: bytes, rest: bytes) -> None:
    looked_at(begin + rest)


class Sent(NamedTuple):
    """A piece of what one side said."""

    by_client: bool
    data: bytes


TALKS = st.lists(
    st.builds(Sent, st.booleans(), st.binary(min_size=1, max_size=60)), min_size=1, max_size=8
)
NUMBERS = st.integers(0, 2**32 - 1)


def segments(talk: Sequence[Sent], numbers: tuple[int, int]) -> list[Segment]:
    """A connection as two hosts have it: handshake, data each acknowledged, FIN from both."""
    made: list[Segment] = []
    next_ = {True: numbers[0], False: numbers[1]}

    def add(by_client: bool, flags: int, data: bytes = b"") -> None:
        ends = (CLIENT, SERVER) if by_client else (SERVER, CLIENT)
        acknowledged = next_[not by_client] if flags & ACK else 0
        number = len(made) + 1
        made.append(
            Segment(
                number * 0.01, *ends, next_[by_client], acknowledged, flags, data, False, number
            )
        )
        next_[by_client] = (next_[by_client] + len(data) + bool(flags & (SYN | FIN))) % 2**32

    add(True, SYN)
    add(False, SYN | ACK)
    add(True, ACK)
    for by_client, data in talk:
        add(by_client, ACK, data)
        add(not by_client, ACK)
    for by_client in (True, False):
        add(by_client, FIN | ACK)
        add(not by_client, ACK)
    return made


def written(found: Sequence[Segment], order: str, nanoseconds: bool, link: int) -> bytes:
    """A capture of these, as tcpdump writes it."""
    magic = 0xA1B23C4D if nanoseconds else 0xA1B2C3D4
    frames = [struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, 262144, link)]
    for one in found:
        tcp = struct.pack(
            ">HHIIBBHHH",
            *(one.source[1], one.target[1], one.sequence, one.acknowledged),
            *(0x50, one.flags, 65535, 0, 0),
        )
        packed = [bytes(map(int, end[0].split("."))) for end in (one.source, one.target)]
        length = 40 + len(one.payload)
        ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, length, 0, 0, 64, 6, 0, *packed)
        ahead = {1: b"\0" * 12 + b"\x08\x00", 101: b"", 113: b"\0" * 14 + b"\x08\x00"}
        frame = ahead[link] + ip + tcp + one.payload
        seconds, fraction = divmod(round(one.time * 100), 100)
        fraction *= 10_000_000 if nanoseconds else 10_000
        frames += [struct.pack(order + "IIII", seconds, fraction, len(frame), len(frame)), frame]
    return b"".join(frames)


@given(
    TALKS,
    st.tuples(NUMBERS, NUMBERS),
    st.sampled_from("<>"),
    st.booleans(),
    st.sampled_from([1, 101, 113]),
)
@effort(60)
def test_what_is_written_as_a_capture_is_read_back(
    talk: list[Sent], numbers: tuple[int, int], order: str, nanoseconds: bool, link: int
) -> None:
    wanted = segments(talk, numbers)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "made.pcap"
        path.write_bytes(written(wanted, order, nanoseconds, link))
        found = pcap.read(path)
    assert [one._replace(time=0) for one in found] == [one._replace(time=0) for one in wanted]
    assert [one.time for one in found] == pytest.approx([one.time for one in wanted])


def joined(found: Sequence[Segment]) -> Connection:
    (connection,) = pcap.connections(found)
    return connection


@given(st.data(), TALKS, st.tuples(NUMBERS, NUMBERS))
@effort(80)
def test_bytes_are_joined_whatever_the_order_and_however_often_they_came(
    data: st.DataObject, talk: list[Sent], numbers: tuple[int, int]
) -> None:
    made = segments(talk, numbers)
    rest = data.draw(st.permutations(made[2:]))
    again = data.draw(st.lists(st.sampled_from(made), max_size=5))
    found = joined([*made[:2], *rest, *again])
    for side, by_client in (("client", True), ("server", False)):
        wanted = b"".join(one.data for one in talk if one.by_client == by_client)
        assert found.sent(side) == wanted
    assert found.whole
    assert (found.client, found.server) == (CLIENT, SERVER)


@given(st.data(), TALKS, st.tuples(NUMBERS, NUMBERS))
@effort(80)
def test_bytes_that_are_missing_are_missed(
    data: st.DataObject, talk: list[Sent], numbers: tuple[int, int]
) -> None:
    made = segments(talk, numbers)
    lost = data.draw(st.sampled_from([one for one in made if one.payload]))
    assert not joined([one for one in made if one is not lost]).whole
    # Where nobody says what was received, holes and segments cut off still tell.
    made = [one._replace(flags=one.flags & ~ACK) if one.payload else one for one in made]
    spoken = [one for one in made if one.payload or one.flags & SYN]
    lost = data.draw(st.sampled_from([one for one in spoken if one.payload]))
    if any(one.source == lost.source for one in spoken[spoken.index(lost) + 1 :]):
        assert not joined([one for one in spoken if one is not lost]).whole
    short = lost._replace(cut=True, payload=lost.payload[:-1])
    assert not joined([short if one is lost else one for one in spoken]).whole


HELLOS = [
    body
    for name in ("tls13", "tls12")
    for side in ("client", "server")
    for _, body in tls.handshakes(
        tls.records(joined(pcap.read(CAPTURES / f"{name}.pcap")).sent(side))
    )
]


@given(st.data())
@effort(150)
def test_any_bytes_are_tls_or_not_and_none_is_lost(data: st.DataObject) -> None:
    hello = data.draw(st.sampled_from(HELLOS))
    body = data.draw(st.binary(max_size=200) | mangled(hello))
    kinds = st.integers(0, 255) | st.sampled_from([20, 21, 22, 23])
    lengths = st.just(len(body)) | st.integers(0, 65535)
    record = struct.pack(">BBBH", data.draw(kinds), 3, 3, data.draw(lengths)) + body
    found = tls.records(record)
    bodies = b"".join(struct.pack(">BBBH", k, 3, 3, len(b)) + b for k, b in found.records)
    assert bodies + found.rest == record or found.records
    assert sum(5 + len(one.body) for one in found.records) + len(found.rest) == len(record)
    shown = tls.shown(found, tls.records(body))
    assert isinstance(shown.certificate_requested, bool)
    for parsed in (tls.client_hello(body), tls.server_hello(body)):
        assert parsed is None or parsed
