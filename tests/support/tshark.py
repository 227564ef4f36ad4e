"""tshark's reading of a capture, as the measure for ours."""

from __future__ import annotations

import json
import subprocess
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lab.packets import pcap

FIELDS = [
    "frame.interface_id",
    "tcp.stream",
    "ip.src",
    "tcp.srcport",
    "ip.dst",
    "tcp.dstport",
    "tcp.flags.syn",
    "tcp.flags.ack",
    "tcp.flags.reset",
    "tcp.flags.fin",
    "frame.time_epoch",
    "tls.record.content_type",
    "tls.handshake.type",
    "tls.handshake.extensions_server_name",
    "tls.handshake.extensions_alpn_str",
    "tls.handshake.extensions.supported_version",
    "tls.handshake.version",
    "tls.alert_message.desc",
    "tcp.payload",
    "tls.record.opaque_type",
]


@dataclass
class Stream:
    """One TCP stream as tshark tells it."""

    client: tuple[str, int]
    server: tuple[str, int]
    syn: bool = False
    reset_by: set[tuple[str, int]] = field(default_factory=set)
    fin_by: set[tuple[str, int]] = field(default_factory=set)
    records: dict[tuple[str, int], list[int]] = field(default_factory=lambda: defaultdict(list))
    sni: str = ""
    alpn: list[str] = field(default_factory=list)
    version: str = ""
    alerts: list[int] = field(default_factory=list)
    hello: bool = False


@dataclass(frozen=True)
class Reading:
    """A capture as tshark reads it, asked once."""

    streams: list[Stream]
    sent: list[set[bytes]]
    """Both directions' bytes, reassembled, of the first streams."""


FOLLOWED = 4
"""Of how many connections of a capture the bytes are compared."""


def readings(paths: Sequence[Path], folder: Path) -> dict[Path, Reading]:
    """All that is compared of captures, by few starts of tshark, which take longer than to read.

    Captures that have no connection in common are joined, an interface each. tshark tells
    connections apart by their addresses alone, so two captures of one connection are not.
    """
    found: dict[Path, Reading] = {}
    for number, batch in enumerate(_batches(paths)):
        joined = one_after_the_other(batch, folder / f"{number}.pcapng")
        found |= dict(zip(batch, _read(joined, len(batch)), strict=True))
    return found


def _batches(paths: Sequence[Path]) -> list[list[Path]]:
    """Put captures together that share no pair of ends, whichever of them called."""
    batches: list[tuple[list[Path], set[frozenset[object]]]] = []
    for path in paths:
        ends = {frozenset((one.client, one.server)) for one in pcap.connections(pcap.read(path))}
        free = next((one for one in batches if not one[1] & ends), None)
        if free is None:
            free = ([], set())
            batches.append(free)
        free[0].append(path)
        free[1].update(ends)
    return [batch for batch, _ in batches]


def _read(joined: Path, captures: int) -> list[Reading]:
    """What tshark tells of each of the captures that were joined."""
    argv = ["tshark", "-r", str(joined), "-T", "json", "-o", "tcp.desegment_tcp_streams:TRUE"]
    argv += ["-o", "tcp.reassemble_out_of_order:TRUE", "-Y", "tcp"]
    for port in (4433, 8080, 9000, 9001, 8000):
        argv += ["-d", f"tcp.port=={port},tls"]
    for name in FIELDS:
        argv += ["-e", name]
    streams: list[dict[str, Stream]] = [{} for _ in range(captures)]
    for packet in json.loads(_told(argv) or "[]"):
        layer = packet["_source"]["layers"]
        _add(streams[int(layer["frame.interface_id"][0])], layer)
    followed = [list(one)[:FOLLOWED] for one in streams]
    sent = _followed(joined, [number for numbers in followed for number in numbers])
    return [
        Reading(list(one.values()), [sent[number] for number in numbers])
        for one, numbers in zip(streams, followed, strict=True)
    ]


def _told(argv: Sequence[str]) -> str:
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout


def _followed(joined: Path, numbers: Sequence[str]) -> dict[str, set[bytes]]:
    """What `follow,tcp,raw` prints of streams: the bytes of both directions, reassembled."""
    argv = ["tshark", "-q", "-r", str(joined), "-o", "tcp.reassemble_out_of_order:TRUE"]
    for number in numbers:
        argv += ["-z", f"follow,tcp,raw,{number}"]
    sent = {}
    for block in _told(argv).split("Follow: tcp,raw")[1:]:
        lines = block.splitlines()
        number = next(line.split()[-1] for line in lines if line.startswith("Filter:"))
        halves: dict[bool, bytearray] = {True: bytearray(), False: bytearray()}
        for line in lines:
            if line.strip() and all(c in "0123456789abcdef" for c in line.strip()):
                halves[not line.startswith("\t")] += bytes.fromhex(line.strip())
        sent[number] = {bytes(half) for half in halves.values()}
    return sent


def _add(found: dict[str, Stream], layer: dict[str, list[str]]) -> None:
    source = (layer["ip.src"][0], int(layer["tcp.srcport"][0]))
    target = (layer["ip.dst"][0], int(layer["tcp.dstport"][0]))
    is_syn, is_ack = _true(layer, "tcp.flags.syn"), _true(layer, "tcp.flags.ack")
    number = layer["tcp.stream"][0]
    if number not in found:
        ends = (target, source) if is_syn and is_ack else (source, target)
        found[number] = Stream(*ends)
    stream = found[number]
    stream.syn |= is_syn and not is_ack
    if _true(layer, "tcp.flags.reset"):
        stream.reset_by.add(source)
    if _true(layer, "tcp.flags.fin"):
        stream.fin_by.add(source)
    kinds = layer.get("tls.record.content_type", []) + layer.get("tls.record.opaque_type", [])
    stream.records[source] += [int(kind) for kind in kinds]
    if "1" in layer.get("tls.handshake.type", []):
        stream.hello = True
        stream.sni = (layer.get("tls.handshake.extensions_server_name") or [""])[0]
        stream.alpn = layer.get("tls.handshake.extensions_alpn_str", [])
    if "2" in layer.get("tls.handshake.type", []):
        versions = layer.get("tls.handshake.extensions.supported_version")
        number = (versions or layer["tls.handshake.version"])[0]
        stream.version = {"0x0304": "TLSv1.3", "0x0303": "TLSv1.2"}[number]
    stream.alerts += [int(code) for code in layer.get("tls.alert_message.desc", [])]


@dataclass(frozen=True)
class Frame:
    """One packet of a file as tshark tells it."""

    interface: str
    time: str
    """Unix seconds, to the nanosecond."""
    data: bytes
    length: int
    comments: tuple[str, ...]


def frames(path: Path) -> list[Frame]:
    """Every packet of a file of any format; fails where tshark has a word of complaint."""
    argv = ["tshark", "-r", str(path), "-T", "json", "-x", "-J", "frame pkt_comment"]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    said = [line for line in done.stderr.splitlines() if "Running as user" not in line]
    assert not said
    return [_frame(dict(packet)) for packet in json.loads(done.stdout, object_pairs_hook=list)]


def one_after_the_other(paths: Sequence[Path], into: Path) -> Path:
    """Captures as Wireshark's own writer joins them, an interface each, whatever their times."""
    subprocess.run(["mergecap", "-a", "-I", "none", "-F", "pcapng", "-w", into, *paths], check=True)
    return into


def _frame(packet: dict[str, list[tuple[str, Any]]]) -> Frame:
    """JSON with the same name several times: one packet may have several comments."""
    layers = dict(dict(packet["_source"])["layers"])
    frame = dict(layers["frame"])
    comments = (text for name, text in layers.get("pkt_comment", []) if name == "frame.comment")
    return Frame(
        dict(frame["frame.interface_id_tree"])["frame.interface_name"],
        frame["frame.time_epoch"],
        bytes.fromhex(layers["frame_raw"][0]),
        int(frame["frame.len"]),
        tuple(comments),
    )


def _true(layer: dict[str, list[str]], name: str) -> bool:
    return layer.get(name, ["0"])[0] in ("1", "True", "true")
