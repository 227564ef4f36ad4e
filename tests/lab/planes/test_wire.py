"""The wire plane: what it says of sound captures, and that it says unknown of all others."""

from __future__ import annotations

import struct
from dataclasses import replace
from pathlib import Path

import pytest

from lab.common.errors import BadEvidence
from lab.model.store import ROOT
from lab.packets import pcap, tls
from lab.planes.capture_file import REDIRECTED, CaptureFile, on_loopback, redirected_from
from lab.planes.wire import ConnectionQuery, WireSeen, read

CAPTURES = ROOT / "tests" / "captures"
MARKER = b"marker-0123456789"


def edge(path: Path) -> ConnectionQuery:
    first = pcap.connections(pcap.read(path))[0]
    return ConnectionQuery(first.client[0], (first.server,), first.client[1])


def see(name: str, dropped: int = 0) -> WireSeen:
    path = CAPTURES / f"{name}.pcap"
    file = CaptureFile(path, dropped)
    return read(edge(path), file, file, MARKER)


@pytest.mark.parametrize(
    ("name", "security", "marker"),
    [
        ("plain", "plaintext", 2),
        ("large", "plaintext", 2000),
        ("refused", "plaintext", 1),
        ("tls13", "tls", 0),
        ("tls12", "tls", 0),
        ("tls12-mutual", "mutual_tls", 0),
        ("starttls", "mixed", 0),
        ("reset", "none", 0),
    ],
)
def test_a_sound_capture_is_read_for_what_it_is(name: str, security: str, marker: int) -> None:
    seen = see(name)
    assert seen.security == security, seen.why
    assert seen.packets.marker_count == marker


def test_hellos_tell_name_offer_and_version() -> None:
    packets = see("tls13").packets
    assert packets.sni == "outbound_.9000_._.tcp-echo.with-istio.svc.cluster.local"
    assert packets.alpn_offered == ("istio-peer-exchange", "istio")
    assert packets.tls_version == "TLSv1.3"


def test_tls_1_3_is_never_called_mutual_even_when_it_is() -> None:
    assert see("tls13").security == "tls"


@pytest.mark.parametrize("name", ["plain", "tls13", "tls12-mutual"])
def test_one_lost_packet_makes_it_unknown(name: str) -> None:
    assert see(name, dropped=1).security == "unknown"
    assert "lost 1" in see(name, dropped=1).why


def rewritten(path: Path, keep: list[int], into: Path) -> CaptureFile:
    data = path.read_bytes()
    order = "<" if data[:4] in (b"\xd4\xc3\xb2\xa1", b"\x4d\x3c\xb2\xa1") else ">"
    position, frames = 24, []
    while position < len(data):
        size = struct.unpack_from(order + "I", data, position + 8)[0]
        frames.append(data[position : position + 16 + size])
        position += 16 + size
    into.write_bytes(data[:24] + b"".join(frames[i] for i in keep if i < len(frames)))
    return CaptureFile(into, 0)


def count(path: Path) -> int:
    return len(pcap.read(path))


@pytest.mark.parametrize("name", ["plain", "tls13"])
def test_a_missing_packet_with_payload_is_never_overlooked(name: str, tmp_path: Path) -> None:
    path = CAPTURES / f"{name}.pcap"
    whole = see(name).security
    segments = pcap.read(path)
    for left_out, segment in enumerate(segments):
        keep = [i for i in range(count(path)) if i != left_out]
        file = rewritten(path, keep, tmp_path / "holed.pcap")
        seen = read(edge(path), file, file, MARKER)
        counted = CaptureFile(file.path, 0, len(segments))
        assert read(edge(path), counted, counted, MARKER).security == "unknown"
        # That nobody acknowledged a last packet leaves no trace: tcpdump's own count does.
        last = not any(later.payload for later in segments[left_out + 1 :])
        if (segment.payload and not last) or segment.flags & pcap.SYN:
            assert seen.security == "unknown", f"packet {left_out}: {seen}"
        else:
            assert seen.security in (whole, "unknown")


def test_a_connection_whose_syn_is_not_there_is_unknown(tmp_path: Path) -> None:
    path = CAPTURES / "plain.pcap"
    file = rewritten(path, list(range(1, count(path))), tmp_path / "late.pcap")
    assert read(edge(path), file, file, MARKER).security == "unknown"


def test_packets_in_another_order_or_sent_twice_are_read_the_same(tmp_path: Path) -> None:
    path = CAPTURES / "large.pcap"
    order = list(range(count(path)))
    middle = order[4:-4]
    shuffled = [*order[:4], *reversed(middle), *middle[:3], *order[-4:]]
    file = rewritten(path, shuffled, tmp_path / "shuffled.pcap")
    seen = read(edge(path), file, file, MARKER)
    assert (seen.security, seen.packets.marker_in_client) == ("plaintext", 2000)


def test_a_capture_cut_off_at_any_byte_is_never_more_certain_than_the_whole(tmp_path: Path) -> None:
    path = CAPTURES / "tls12.pcap"
    data, wanted, captured = path.read_bytes(), edge(path), count(path)
    cut = tmp_path / "cut.pcap"
    for length in range(0, len(data), 7):
        cut.write_bytes(data[:length])
        file = CaptureFile(cut, 0, captured)
        assert read(wanted, file, file, MARKER).security == "unknown", length


@pytest.mark.parametrize(
    "content", [b"", b"\0" * 24, b"GIF89a" * 20, b"\x0a\x0d\x0d\x0a" + b"\0" * 60]
)
def test_empty_and_foreign_files_are_unknown(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "foreign.pcap"
    path.write_bytes(content)
    file = CaptureFile(path, 0)
    seen = read(ConnectionQuery("10.0.0.1", (("10.0.0.2", 80),), 4711), file, file, MARKER)
    assert seen.security == "unknown"
    assert "foreign.pcap" in seen.why


def test_a_missing_file_is_unknown(tmp_path: Path) -> None:
    file = CaptureFile(tmp_path / "none.pcap", 0)
    assert (
        read(ConnectionQuery("10.0.0.1", (("10.0.0.2", 80),), 1), file, file, MARKER).security
        == "unknown"
    )


def test_a_connection_seen_at_one_pod_only_is_unknown(tmp_path: Path) -> None:
    path = CAPTURES / "plain.pcap"
    empty = rewritten(path, [], tmp_path / "empty.pcap")
    assert read(edge(path), CaptureFile(path, 0), empty, MARKER).security == "unknown"


def test_without_a_port_only_one_candidate_may_be_meant(tmp_path: Path) -> None:
    path = CAPTURES / "plain.pcap"
    first = pcap.connections(pcap.read(path))[0]
    near = (first.began - 1, first.began + 1)
    file = CaptureFile(path, 0)
    meant = ConnectionQuery(first.client[0], (first.server,), None, near)
    assert read(meant, file, file, MARKER).security == "plaintext"
    far = ConnectionQuery(first.client[0], (first.server,), None, (0.0, 1.0))
    assert read(far, file, file, MARKER).security == "none"
    twice = tmp_path / "twice.pcap"
    other = (CAPTURES / "refused.pcap").read_bytes()[24:]
    twice.write_bytes(path.read_bytes() + other)
    both = CaptureFile(twice, 0)
    wide = ConnectionQuery(first.client[0], (first.server,), None, (0.0, 1e12))
    assert read(wide, both, both, MARKER).security == "unknown"


def moved(path: Path, into: Path, port: int, later: int = 0) -> CaptureFile:
    """A capture with another client port and later sequence numbers of the client's."""
    client = edge(path).client_port
    data, position = bytearray(path.read_bytes()), 24
    while position < len(data):
        (held,) = struct.unpack_from("<I", data, position + 8)
        tcp = position + 16 + 14 + 20
        for end in (tcp, tcp + 2):
            if struct.unpack_from(">H", data, end)[0] == client:
                struct.pack_into(">H", data, end, port)
                number = tcp + 4 if end == tcp else tcp + 8
                (sequence,) = struct.unpack_from(">I", data, number)
                struct.pack_into(">I", data, number, (sequence + later) & 0xFFFFFFFF)
        position += 16 + held
    into.write_bytes(data)
    return CaptureFile(into, 0)


def test_a_connection_that_a_node_gave_another_port_is_known_by_its_sequence_numbers(
    tmp_path: Path,
) -> None:
    path = CAPTURES / "plain.pcap"
    at_server = moved(path, tmp_path / "server.pcap", 65001)
    seen = read(edge(path), CaptureFile(path, 0), at_server, MARKER)
    assert seen.security == "plaintext"
    assert seen.packets.client_at_server == f"{edge(path).client_ip}:65001"
    other = moved(path, tmp_path / "other.pcap", 65001, later=1)
    assert read(edge(path), CaptureFile(path, 0), other, MARKER).security == "unknown"


def test_of_a_port_used_twice_the_connection_of_the_calls_own_time_is_meant(
    tmp_path: Path,
) -> None:
    early, late = CAPTURES / "plain.pcap", CAPTURES / "refused.pcap"
    one, other = edge(early), pcap.connections(pcap.read(late))[0]
    assert one.client_port
    both = tmp_path / "both.pcap"
    moved(late, both, one.client_port)
    both.write_bytes(early.read_bytes() + both.read_bytes()[24:])
    file = CaptureFile(both, 0)
    first = pcap.connections(pcap.read(early))[0]
    assert first.began < other.began
    targets = (*one.targets, other.server)
    for connection in (first, other):
        during = (connection.began - 0.1, connection.began + 0.1)
        meant = replace(one, targets=targets, window=during)
        assert read(meant, file, file, MARKER).packets.syn_time == connection.began


def test_different_bytes_at_the_two_pods_are_unknown(tmp_path: Path) -> None:
    path = CAPTURES / "plain.pcap"
    changed = tmp_path / "changed.pcap"
    changed.write_bytes(path.read_bytes().replace(MARKER, MARKER[::-1]))
    seen = read(edge(path), CaptureFile(path, 0), CaptureFile(changed, 0), MARKER)
    assert seen.security == "unknown"


def test_the_applications_side_is_read_on_loopback(tmp_path: Path) -> None:
    plain = CaptureFile(CAPTURES / "plain.pcap", 0)
    assert on_loopback(plain, MARKER) is True
    assert on_loopback(CaptureFile(CAPTURES / "tls13.pcap", 0), MARKER) is False
    assert on_loopback(CaptureFile(plain.path, 2), MARKER) is None
    assert on_loopback(CaptureFile(tmp_path / "none", 0), MARKER) is None


def test_hostile_bytes_never_crash_the_reader() -> None:
    hello = next(
        body
        for kind, body in tls.handshakes(
            tls.records(pcap.connections(pcap.read(CAPTURES / "tls13.pcap"))[0].sent("client"))
        )
        if kind == tls.CLIENT_HELLO
    )
    for position in range(len(hello)):
        for value in (0, 0x7F, 0xFF):
            broken = hello[:position] + bytes([value]) + hello[position + 1 :]
            tls.client_hello(broken)
            tls.client_hello(broken[:position])
            tls.server_hello(broken)


def test_a_capture_of_another_link_type_is_refused(tmp_path: Path) -> None:
    data = bytearray((CAPTURES / "plain.pcap").read_bytes())
    data[20] = 195  # IEEE 802.15.4
    path = tmp_path / "radio.pcap"
    path.write_bytes(data)
    with pytest.raises(BadEvidence, match="link type 195"):
        pcap.read(path)


def older(name: str, without: int, tmp_path: Path, marker: bytes = MARKER) -> WireSeen:
    """A capture that began after this many of a connection's packets."""
    data = (CAPTURES / f"{name}.pcap").read_bytes()
    at = 24
    for _ in range(without):
        at += 16 + struct.unpack_from("<I", data, at + 8)[0]
    path = tmp_path / "late.pcap"
    path.write_bytes(data[:24] + data[at:])
    file = CaptureFile(path, 0)
    return read(replace(edge(CAPTURES / f"{name}.pcap"), older=True), file, file, marker)


@pytest.mark.parametrize(
    ("name", "without", "security"),
    [
        ("tls13", 1, "tls"),
        ("tls13", 7, "tls"),
        ("tls13", 9, "tls"),
        ("plain", 3, "plaintext"),
        ("plain", 5, "plaintext"),
        ("starttls", 7, "tls"),
        ("large", 4, "plaintext"),
    ],
)
def test_of_an_older_connection_what_crossed_since_is_told_where_that_may_do(
    name: str, without: int, security: str, tmp_path: Path
) -> None:
    seen = older(name, without, tmp_path)
    assert (seen.security, "it began before the capture" in seen.why) == (security, True)


def test_an_older_connection_that_may_be_in_the_midst_of_a_record_is_unknown(
    tmp_path: Path,
) -> None:
    unmarked = older("plain", 3, tmp_path, b"not there")
    assert unmarked.security == "unknown"
    assert "tells nothing" in unmarked.why
    assert older("plain", 10, tmp_path).security != "plaintext"
    file = CaptureFile(CAPTURES / "tls13.pcap", 0)
    whole = read(replace(edge(file.path), older=True), file, file, MARKER)
    assert "from the first byte to the last" in whole.why, "its SYN was seen: nothing is older"


def test_an_older_connection_is_unknown_where_that_will_not_do(tmp_path: Path) -> None:
    older("tls13", 7, tmp_path)
    file = CaptureFile(tmp_path / "late.pcap", 0)
    seen = read(edge(CAPTURES / "tls13.pcap"), file, file, MARKER)
    assert (seen.security, "SYN is not in the capture" in seen.why) == ("unknown", True)


# A pod's `lo` as a run recorded it: two connections of its application, both from its port 56016,
# both redirected; conntrack gave the second 63727. Answers go to 56016 either time.
RENAMED = CaptureFile(CAPTURES / "lo" / "renamed.pcap", 0)
POD, OWN, GIVEN = "10.244.8.224", 56016, 63727
SECONDS = {OWN: (1795733840.0, 1795733841.0), GIVEN: (1795733842.0, 1795733843.0)}


@pytest.mark.parametrize("port", [OWN, GIVEN])
def test_the_port_that_conntrack_gave_a_redirected_connection_is_read_from_its_answer(
    port: int,
) -> None:
    assert redirected_from(RENAMED, (POD, OWN), SECONDS[port]) == (POD, port)


@pytest.mark.parametrize(
    ("own", "window"),
    [
        ((POD, OWN), (1795733850.0, 1795733851.0)),
        ((POD, OWN + 1), SECONDS[GIVEN]),
        (("10.244.8.225", OWN), SECONDS[GIVEN]),
    ],
    ids=["at another time", "from another port", "from another pod"],
)
def test_an_address_that_nothing_answered_is_left_as_it_is(
    own: tuple[str, int], window: tuple[float, float]
) -> None:
    assert redirected_from(RENAMED, own, window) == own


@pytest.mark.parametrize(
    ("port", "security", "sent"), [(OWN, "plaintext", (161, 256)), (GIVEN, "tls", (1814, 3196))]
)
def test_answers_to_the_applications_own_port_are_of_the_connection_that_got_another(
    port: int, security: str, sent: tuple[int, int]
) -> None:
    seen = read(ConnectionQuery(POD, (REDIRECTED,), port), RENAMED, None, MARKER)
    assert (seen.security, seen.packets.client_bytes, seen.packets.server_bytes) == (
        security,
        *sent,
    ), seen.why
