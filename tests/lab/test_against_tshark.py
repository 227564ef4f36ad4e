"""Our reader of captures, held to tshark's answer field by field."""

from __future__ import annotations

from pathlib import Path

import pytest
import tshark

from lab import packets, tls
from lab.planes import wire
from lab.store import ROOT

# On a client's `lo` one connection has two address pairs; tshark counts each as a stream too.
CAPTURES = sorted([*ROOT.glob("tests/captures/*.pcap"), *ROOT.glob("evidence/*/captures/*.pcap")])


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("path", CAPTURES, ids=name)
def test_streams_hellos_and_alerts_are_as_tshark_reads_them(path: Path) -> None:
    theirs = tshark.streams(path)
    ours = packets.connections(packets.read(path))
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
            assert bool(wire.HELLO_INSIDE.search(mine.sent("client"))) == other.hello
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
                assert [record.kind for record in read.records] == other.records[ends[side]]


@pytest.mark.parametrize("path", CAPTURES, ids=name)
def test_reassembled_bytes_are_as_tshark_follows_them(path: Path) -> None:
    for number, mine in enumerate(packets.connections(packets.read(path))[:4]):
        theirs = tshark.followed(path, number)
        assert {mine.sent("client"), mine.sent("server")} == set(theirs)
