"""The writer of pcapng, byte by byte: padding, options, and packets of any size."""

from __future__ import annotations

import struct
from collections.abc import Iterator

import pytest

from lab.packets import pcapng
from lab.packets.pcapng import Interface, Packet

LO, ETH0 = Interface("client lo", "application", 1, 6), Interface("client eth0", "wire", 101, 9)


def blocks(data: bytes) -> Iterator[tuple[int, bytes]]:
    """(type, body) of each block; each says its length twice, and is a multiple of four."""
    position = 0
    while position < len(data):
        kind, length = struct.unpack_from("<II", data, position)
        assert length % 4 == 0
        assert struct.unpack_from("<I", data, position + length - 4)[0] == length
        yield kind, data[position + 8 : position + length - 4]
        position += length
    assert position == len(data)


def options(data: bytes) -> list[tuple[int, bytes]]:
    """(code, value) of each option, its padding looked at; the end is the last, and once."""
    found, position = [], 0
    while position < len(data):
        code, length = struct.unpack_from("<HH", data, position)
        padded = position + 4 + length + -length % 4
        assert not any(data[position + 4 + length : padded])
        found.append((code, data[position + 4 : position + 4 + length]))
        position = padded
    if found:
        assert found.pop() == (0, b"")
    assert all(code for code, _ in found)
    return found


def written(*packets: Packet, comment: str = "", application: str = "") -> list[tuple[int, bytes]]:
    return [*blocks(pcapng.file([LO, ETH0], packets, comment, application))]


def test_a_section_says_byte_order_version_and_who_wrote_it() -> None:
    kind, body = written(comment="a call", application="the lab")[0]
    assert kind == 0x0A0D0D0A
    assert body[:16] == bytes.fromhex("4d3c2b1a 0100 0000 ffffffffffffffff")
    assert options(body[16:]) == [(1, b"a call"), (4, b"the lab")]


def test_an_interface_has_name_description_link_and_resolution() -> None:
    for (kind, body), wanted in zip(written()[1:], (LO, ETH0), strict=True):
        assert kind == 1
        assert struct.unpack("<HHI", body[:8]) == (wanted.link, 0, 0)
        name, about = wanted.name.encode(), wanted.description.encode()
        assert options(body[8:]) == [(2, name), (3, about), (9, bytes([wanted.places]))]


def test_without_packets_or_words_there_is_nothing_after_the_fixed_parts() -> None:
    assert pcapng.file([], [], "", "") == bytes.fromhex(
        "0a0d0d0a 1c000000 4d3c2b1a 0100 0000 ffffffffffffffff 1c000000"
    )


@pytest.mark.parametrize("size", [0, 1, 2, 3, 4, 5, 1499, 65_535, 300_000])
def test_a_packet_of_any_size_is_padded_and_keeps_its_bytes(size: int) -> None:
    data = bytes(n % 251 + 1 for n in range(size))
    kind, body = written(Packet(1, 7, data, size + 9, ("seen",)))[-1]
    assert kind == 6
    assert struct.unpack_from("<IIIII", body) == (1, 0, 7, size, size + 9)
    assert body[20 : 20 + size] == data
    end = 20 + size + -size % 4
    assert not any(body[20 + size : end])
    assert options(body[end:]) == [(1, b"seen")]


def test_a_stamp_is_of_64_bits_in_its_interfaces_ticks() -> None:
    stamp = 1_795_583_341_823_797_123
    _, body = written(Packet(1, stamp, b"", 0))[-1]
    _, high, low, _, _ = struct.unpack_from("<IIIII", body)
    assert (high << 32) + low == stamp
    assert len(body) == 20, "no comment, no options"


@pytest.mark.parametrize("words", [("x",), ("xx",), ("xxx",), ("xxxx",), ("one", "two"), ("é…",)])
def test_comments_of_any_length_are_padded_and_stay_in_order(words: tuple[str, ...]) -> None:
    _, body = written(Packet(0, 0, b"abcd", 4, words))[-1]
    assert options(body[24:]) == [(1, word.encode()) for word in words]


def test_a_comment_that_is_too_long_is_cut_between_two_letters() -> None:
    _, body = written(Packet(0, 0, b"", 0, ("é" * 40_000, "next")))[-1]
    (_, first), second = options(body[20:])
    assert first == "é".encode() * 32_767
    assert second == (1, b"next")


def test_an_empty_comment_is_none() -> None:
    _, body = written(Packet(0, 0, b"", 0, ("",)))[-1]
    assert len(body) == 20


def test_packets_stay_in_the_order_in_which_they_are_given() -> None:
    found = written(Packet(1, 5, b"a", 1), Packet(0, 3, b"b", 1))
    assert [body[20:21] for kind, body in found if kind == 6] == [b"a", b"b"]
