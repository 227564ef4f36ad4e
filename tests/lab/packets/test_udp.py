"""Datagrams of a capture, which is written here packet by packet."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from lab.common.errors import BadEvidence
from lab.packets import pcap, udp

SENDER, RECEIVER = bytes([10, 244, 0, 2]), bytes([10, 244, 0, 3])


def packet(payload: bytes, *, protocol: int = pcap.UDP, offset: int = 0) -> bytes:
    """An IPv4 packet from SENDER:6000 to RECEIVER:53, without checksums."""
    carried = struct.pack(">HHHH", 6000, 53, 8 + len(payload), 0) + payload
    head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(carried), 1, offset, 64, protocol, 0)
    return head + SENDER + RECEIVER + carried


def written(folder: Path, *packets: bytes) -> Path:
    """A capture of raw IP packets (link type 101), one a second."""
    path = folder / "some.pcap"
    head = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 101)
    frames = (struct.pack("<IIII", at, 0, len(one), len(one)) + one
              for at, one in enumerate(packets))  # fmt: skip
    path.write_bytes(head + b"".join(frames))
    return path


def test_a_datagram_is_read_with_its_addresses_time_and_payload(tmp_path: Path) -> None:
    (found,) = udp.read(written(tmp_path, packet(b"hello\n")))
    assert found == udp.Datagram(0.0, ("10.244.0.2", 6000), ("10.244.0.3", 53), b"hello\n")


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(packet(b"hello", protocol=pcap.TCP), id="tcp"),
        pytest.param(packet(b"hello", offset=2), id="a later fragment"),
        pytest.param(packet(b"hello")[:24], id="cut within its header"),
    ],
)
def test_what_is_no_datagram_is_left_out(other: bytes, tmp_path: Path) -> None:
    found = udp.read(written(tmp_path, other, packet(b"second")))
    assert [(one.time, one.payload) for one in found] == [(1.0, b"second")]


def test_padding_behind_a_datagram_is_not_its_payload(tmp_path: Path) -> None:
    (found,) = udp.read(written(tmp_path, packet(b"short") + b"\0" * 13))
    assert found.payload == b"short"


def test_a_capture_that_is_cut_off_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, packet(b"hello"))
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(BadEvidence, match="cut off"):
        udp.read(path)
