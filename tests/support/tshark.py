"""tshark's reading of a capture, as the measure for ours."""

from __future__ import annotations

import functools
import json
import subprocess
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

FIELDS = [
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


@functools.cache
def reading(path: Path) -> Reading:
    """All that is compared of a capture: tshark takes longer to start than to read one."""
    argv = ["tshark", "-r", str(path), "-T", "json", "-o", "tcp.desegment_tcp_streams:TRUE"]
    argv += ["-o", "tcp.reassemble_out_of_order:TRUE", "-Y", "tcp"]
    for port in (4433, 8080, 9000, 9001, 8000):
        argv += ["-d", f"tcp.port=={port},tls"]
    for name in FIELDS:
        argv += ["-e", name]
    for number in range(FOLLOWED):
        argv += ["-z", f"follow,tcp,raw,{number}"]
    said = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
    told, line, followed = said.partition("=" * 67)
    found: dict[str, Stream] = {}
    for packet in json.loads(told or "[]"):
        _add(found, packet["_source"]["layers"])
    return Reading(list(found.values()), _followed(line + followed))


def _followed(text: str) -> list[set[bytes]]:
    """What `follow,tcp,raw` prints of several streams, by their numbers."""
    sent = {}
    for block in text.split("Follow: tcp,raw")[1:]:
        lines = block.splitlines()
        number = next(int(line.split()[-1]) for line in lines if line.startswith("Filter:"))
        halves: dict[bool, bytearray] = {True: bytearray(), False: bytearray()}
        for line in lines:
            if line.strip() and all(c in "0123456789abcdef" for c in line.strip()):
                halves[not line.startswith("\t")] += bytes.fromhex(line.strip())
        sent[number] = {bytes(half) for half in halves.values()}
    return [sent[number] for number in sorted(sent)]


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
    """Captures as Wireshark's own writer joins them, without a look at their times."""
    subprocess.run(["mergecap", "-a", "-F", "pcapng", "-w", into, *paths], check=True)
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
