"""One call's pcapng: its packets and no others, in order, with what they show."""

from __future__ import annotations

import dataclasses
import functools
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import recordings

from lab.__main__ import main
from lab.common.errors import BadEvidence
from lab.judge import pod_path
from lab.judge.case import Case
from lab.model.store import ROOT
from lab.packets import pcap
from lab.render import call_pcapng
from lab.render.call_pcapng import CallPackets


@functools.cache
def of(name: str, call: str) -> CallPackets:
    return call_pcapng.collect(recordings.case(name), call)


def told(found: CallPackets) -> list[tuple[str, str]]:
    return [
        (found.interfaces[packet.interface].name, words)
        for packet in found.packets
        for words in packet.comments
    ]


def test_each_capture_of_the_calls_way_is_an_interface_in_the_calls_direction() -> None:
    names = [one.name for one in of("tcp_mtls", "tcp-foo").interfaces]
    assert names == ["client lo", "client eth0", "tcp-echo eth0", "tcp-echo lo"]
    names = [one.name for one in of("tcp_mtls", "gateway-plain:changed").interfaces]
    assert names == ["client lo", "client eth0", "gateway eth0", "tcp-echo eth0", "tcp-echo lo"]
    names = [one.name for one in of("tcp_mtls", "plain-stranger").interfaces]
    assert names == ["stranger eth0", "tcp-echo eth0", "tcp-echo lo"]


def test_packets_are_those_of_the_calls_connections_only_and_in_time_order() -> None:
    found = of("tcp_mtls", "tcp-foo")
    taps = pod_path.taps(recordings.case("tcp_mtls"), "tcp-foo")
    for number, tap in enumerate(taps):
        assert tap.connection
        assert tap.capture
        frames = pcap.capture(tap.capture.path).frames
        wanted = [frames[segment.frame - 1].data for segment in tap.connection.segments]
        assert [p.data for p in found.packets if p.interface == number] == wanted
        assert len(wanted) < len(frames), "the capture has other calls' packets too"
    stamps = [packet.stamp for packet in found.packets]
    assert stamps == sorted(stamps)


def test_comments_say_what_is_seen_where_it_is_seen() -> None:
    words = told(of("tcp_mtls", "tcp-foo"))
    for interface, beginning in (
        ("client lo", "client's application to client's sidecar: SYN"),
        ("client lo", "redirected to the sidecar's port 15001; the application connects to 10.96."),
        ("client eth0", "client's sidecar to tcp-echo's sidecar: ClientHello: SNI outbound_.9000"),
        ("tcp-echo eth0", "tcp-echo's sidecar to client's sidecar: ServerHello: TLSv1.3"),
        ("tcp-echo eth0", "client's sidecar to tcp-echo's sidecar: its first encrypted record"),
        ("tcp-echo lo", "passed by the sidecar to the application at 10.244."),
        ("tcp-echo lo", "tcp-echo's application to tcp-echo's sidecar: plaintext, 35 bytes"),
    ):
        assert any(at == interface and said.startswith(beginning) for at, said in words), beginning


def test_who_broke_it_off_and_what_was_read_by_then_is_said() -> None:
    words = told(of("tcp_mtls", "udp-foo-strict"))
    assert ("client eth0", "tcp-echo's sidecar to client's sidecar: RST: breaks it off") in words
    marked = "client's sidecar to tcp-echo's sidecar: the call's marker can be read in it"
    assert ("tcp-echo eth0", marked) in words
    about = of("tcp_mtls", "udp-foo-strict").about
    assert "tcp-echo's sidecar to tcp-echo's application: nothing crossed" in about
    assert "Outcome: reset." in about


def test_the_applications_tls_inside_the_sidecars_is_recognised() -> None:
    words = told(of("https_in_mtls", "tcp-name:changed"))
    assert ("b eth0", "the application's own TLS is inside it") in words
    inside = "the application's own TLS; between the pods it is inside the sidecars'"
    assert ("b lo", inside) in words
    assert ("a lo", inside) in words


def test_on_a_connection_of_several_calls_it_is_said_where_this_one_begins() -> None:
    told_of = 0
    for record in recordings.case("rest_mtls").evidence.calls:
        taps = pod_path.taps(recordings.case("rest_mtls"), record.name)
        earlier = [t for t in taps if t.connection and t.connection.began < record.started - 0.005]
        found = of("rest_mtls", record.name).packets if taps else ()
        begins = [packet for packet in found if call_pcapng.SHARED in packet.comments]
        assert len(begins) == len(earlier)
        assert all(-0.005 <= packet.stamp / 1e6 - record.started < 1 for packet in begins)
        told_of += len(begins)
    assert told_of, "in a pool connections serve one call after the other"


def test_words_from_evidence_hold_no_secret_and_nothing_for_a_terminal() -> None:
    whole = recordings.case("tcp_mtls")
    calls = tuple(
        dataclasses.replace(one, typed="curl -H 'Cookie: session=abcdefgh12345678' \x1b[31m")
        for one in whole.evidence.calls
    )
    evidence = dataclasses.replace(whole.evidence, calls=calls)
    about = call_pcapng.collect(Case(whole.failure, evidence, whole.folder), "tcp-foo").about
    assert "$ curl -H 'Cookie: [redacted]" in about
    assert "\x1b" not in about


def test_where_no_packet_is_to_be_had_the_reason_is_told() -> None:
    with pytest.raises(BadEvidence, match="it asked the API server"):
        of("rest_mtls", "rule")


def test_a_capture_that_is_cut_off_gives_what_the_others_hold(tmp_path: Path) -> None:
    whole = recordings.case("tcp_mtls")
    folder = tmp_path / "tcp_mtls"
    shutil.copytree(whole.folder, folder)
    (folder / "captures" / "posted-client-eth0.pcap").unlink()
    found = call_pcapng.collect(Case(whole.failure, whole.evidence, folder), "tcp-foo")
    names = [one.name for one in found.interfaces]
    assert names == ["client lo", "tcp-echo eth0", "tcp-echo lo"]
    assert "unknown: capture posted-client-eth0.pcap is missing" in found.about
    cut = folder / "captures" / "posted-tcp-echo-eth0.pcap"
    cut.write_bytes(cut.read_bytes()[:-3])
    found = call_pcapng.collect(Case(whole.failure, whole.evidence, folder), "tcp-foo")
    assert [one.name for one in found.interfaces] == ["client lo", "tcp-echo lo"]


def test_the_command_writes_one_call_into_a_file_or_all_into_folders(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one = tmp_path / "one.pcapng"
    assert main(["pcapng", "recorded", "tcp_mtls", "tcp-foo", "-o", str(one)]) == 0
    assert one.read_bytes()[:4] == b"\x0a\x0d\x0d\x0a"
    count = len(of("tcp_mtls", "tcp-foo").packets)
    assert f"{one}: {count} packets" in capsys.readouterr().out
    assert main(["pcapng", "recorded", "tcp_mtls", "tcp-foo", "-o", str(tmp_path)]) == 0
    assert (tmp_path / "tcp-foo.pcapng").read_bytes() == one.read_bytes()
    assert main(["pcapng", "recorded", "rest_mtls", "-o", str(tmp_path)]) == 0
    assert (tmp_path / "rest_mtls" / "get.pcapng").exists()
    assert "no packet of rule was recorded" in capsys.readouterr().out


def test_the_command_needs_the_standard_library_alone(tmp_path: Path) -> None:
    words = ["pcapng", "recorded", "tcp_mtls", "tcp-foo", "-o", str(tmp_path)]
    argv = [sys.executable, "-S", "-m", "lab", *words]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "tcp-foo.pcapng").exists()


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["recorded", "tcp_mtls", "tcp-fo"], 254, "did you mean tcp-foo?"),
        (["recorded", "tcp_mlts"], 254, "has no 'tcp_mlts'"),
        (["19990101T000000Z-0000"], 254, "no run"),
        (["recorded", "rest_mtls", "rule"], 0, "it asked the API server"),
    ],
)
def test_the_command_says_what_cannot_be_written(
    words: list[str], code: int, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["pcapng", *words, "-o", str(tmp_path / "out")]) == code
    told = capsys.readouterr()
    assert said in told.out + told.err
    assert not (tmp_path / "out").exists()
