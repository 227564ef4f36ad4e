"""Our reader and our writer of captures, held to tshark's answer field by field."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import tshark

from lab import failures
from lab.common.errors import BadEvidence
from lab.judge.case import Case
from lab.model import evidence
from lab.model.store import ROOT
from lab.packets import pcap, pcapng, tls
from lab.packets.pcapng import Interface, Packet
from lab.render import call_pcapng

pytestmark = pytest.mark.slow  # tshark reads every capture that is committed

# On a client's `lo` one connection has two address pairs; tshark counts each as a stream too.
CAPTURES = sorted(
    [*ROOT.glob("tests/captures/**/*.pcap"), *ROOT.glob("evidence/*/captures/*.pcap")]
)


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.fixture(scope="module")
def readings(tmp_path_factory: pytest.TempPathFactory) -> dict[Path, tshark.Reading]:
    return tshark.readings(CAPTURES, tmp_path_factory.mktemp("joined"))


@pytest.mark.parametrize("path", CAPTURES, ids=name)
def test_streams_hellos_and_alerts_are_as_tshark_reads_them(
    path: Path, readings: dict[Path, tshark.Reading]
) -> None:
    theirs = readings[path].streams
    ours = pcap.connections(pcap.read(path))
    assert len(ours) == len(theirs)
    for mine, other in zip(ours, theirs, strict=True):
        assert (mine.client, mine.server) == (other.client, other.server)
        assert mine.syn_seen == other.syn
        ends = {"client": mine.client, "server": mine.server}
        assert {ends[s] for s, half in mine.halves.items() if half.rst} == other.reset_by
        assert {ends[s] for s, half in mine.halves.items() if half.fin} == other.fin_by
        client, server = (tls.records(mine.sent(side)) for side in ("client", "server"))
        if not client.records:
            # Not TLS from the first byte; a hello further on makes it mixed.
            assert bool(tls.HELLO_INSIDE.search(mine.sent("client"))) == other.hello
            continue
        shown = tls.shown(client, server)
        assert (shown.client_hello is not None) == other.hello
        if shown.client_hello:
            assert shown.client_hello.sni == other.sni
            assert list(shown.client_hello.alpn) == other.alpn
        assert (shown.server_hello.version if shown.server_hello else "") == other.version
        if other.version == "TLSv1.2":
            assert [*shown.client_alerts, *shown.server_alerts] == other.alerts
        for side, read in (("client", client), ("server", server)):
            if read.whole:
                kinds, known = [one.kind for one in read.records], other.records[ends[side]]
                # tshark reads no further once the other side has answered something else.
                assert kinds == known or (not server.records and kinds[: len(known)] == known)


@pytest.mark.parametrize("path", CAPTURES, ids=name)
def test_reassembled_bytes_are_as_tshark_follows_them(
    path: Path, readings: dict[Path, tshark.Reading]
) -> None:
    ours = pcap.connections(pcap.read(path))[: tshark.FOLLOWED]
    followed = readings[path].sent[: len(ours)]
    for mine, theirs in zip(ours, followed, strict=True):
        if mine.syn_seen:  # of another one tshark shows what it has; we say nothing
            assert {mine.sent("client"), mine.sent("server")} == theirs


WRITTEN = [*CAPTURES, *sorted(ROOT.glob("tests/evidence/*/captures/*.pcap"))]
RUNS = sorted(
    path.parent
    for folder in ("evidence", "tests/evidence")
    for path in ROOT.glob(f"{folder}/*/evidence.json")
)


def assert_read_alike(
    interfaces: list[Interface], written: list[Packet], path: Path
) -> list[tshark.Frame]:
    path.write_bytes(pcapng.file(interfaces, written, "all", "test"))
    theirs = tshark.frames(path)
    assert len(theirs) == len(written)
    for mine, other in zip(written, theirs, strict=True):
        at = interfaces[mine.interface]
        second, fraction = divmod(mine.stamp, 10**at.places)
        assert other.interface == at.name
        assert other.time == f"{second}.{fraction:0{at.places}d}".ljust(len(other.time), "0")
        assert (other.data, other.length) == (mine.data, mine.length)
        assert other.comments == mine.comments
    return theirs


def test_every_capture_that_is_written_again_is_read_by_tshark_packet_by_packet(
    tmp_path: Path,
) -> None:
    wholes = [pcap.capture(path) for path in WRITTEN]
    interfaces = [
        Interface(name(path), "whole", whole.link, whole.places)
        for path, whole in zip(WRITTEN, wholes, strict=True)
    ]
    written = [
        Packet(number, frame.stamp, frame.data, frame.length, (f"frame {frame.number}",))
        for number, whole in enumerate(wholes)
        for frame in whole.frames
    ]
    assert len(written) > 1_000
    ours = assert_read_alike(interfaces, written, tmp_path / "all.pcapng")
    theirs = tshark.frames(tshark.one_after_the_other(WRITTEN, tmp_path / "theirs.pcapng"))
    assert [(one.time, one.data, one.length) for one in ours] == [
        (one.time, one.data, one.length) for one in theirs
    ]


@pytest.mark.parametrize("run", RUNS, ids=name)
def test_every_calls_packets_and_comments_are_as_tshark_reads_them(
    run: Path, tmp_path: Path
) -> None:
    """All calls of a run in one section, so that tshark is asked once."""
    case = Case.open(failures.load(evidence.load(run).failure), run)
    interfaces: list[Interface] = []
    written: list[Packet] = []
    for call in case.calls:
        try:
            found = call_pcapng.collect(case, call)
        except BadEvidence:
            continue
        first = len(interfaces)
        interfaces += found.interfaces
        written += [replace(one, interface=first + one.interface) for one in found.packets]
    assert written
    assert_read_alike(interfaces, written, tmp_path / "calls.pcapng")
