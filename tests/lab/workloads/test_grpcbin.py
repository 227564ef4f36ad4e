"""What grpcbin answers, asked by grpcurl: a client that is not ours, and knows it by reflection."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from clusters.stacks import assembly
from lab.common.wait import until

pytestmark = pytest.mark.slow  # its streams take seconds
SERVICE = "grpcbin.GRPCBin"


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def listens(port: int) -> bool:
    with socket.socket() as link:
        return link.connect_ex(("127.0.0.1", port)) == 0


@dataclass(frozen=True)
class Grpcbin:
    """The server as a process, and grpcurl beside it."""

    bin: Path
    ports: tuple[int, int]
    log: Path
    process: subprocess.Popen[bytes]

    def grpcurl(self, what: str, *flags: str, port: int = 0) -> subprocess.CompletedProcess[str]:
        """`what` is all that follows the address."""
        address = f"127.0.0.1:{port or self.ports[0]}"
        argv = [str(self.bin / "grpcurl"), "-plaintext", *flags, address, *what.split()]
        return subprocess.run(argv, capture_output=True, text=True, timeout=30)

    def call(self, method: str, *flags: str, port: int = 0) -> list[dict[str, Any]]:
        """The answers of a call that succeeds."""
        done = self.grpcurl(f"{SERVICE}/{method}", *flags, port=port)
        assert done.returncode == 0, done.stderr
        return answers(done.stdout)

    def lines(self, method: str) -> list[dict[str, Any]]:
        told = [json.loads(line) for line in self.log.read_text().splitlines()]
        return [line for line in told if line["method"] == f"/{SERVICE}/{method}"]


def answers(text: str) -> list[dict[str, Any]]:
    """The JSON objects that grpcurl prints one after another."""
    found, decoder = [], json.JSONDecoder()
    while text := text.strip():
        one, end = decoder.raw_decode(text)
        found.append(one)
        text = text[end:]
    return found


@pytest.fixture(scope="module")
def programs() -> Path:
    return assembly.wanted("1.31").ensure(lambda _line: None).bin


@pytest.fixture(scope="module")
def grpcbin(programs: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Grpcbin]:
    ports = (free_port(), free_port())
    log = tmp_path_factory.mktemp("grpcbin") / "log"
    argv = [programs / "grpcbin", ",".join(map(str, ports))]
    with log.open("wb") as out, subprocess.Popen(argv, stdout=out) as process:
        for port in ports:
            until(lambda port=port: listens(port), f"grpcbin on {port}", timeout=10)
        yield Grpcbin(programs, ports, log, process)
        process.kill()


def test_reflection_lists_the_service_and_describes_it(grpcbin: Grpcbin) -> None:
    assert SERVICE in grpcbin.grpcurl("list").stdout.split()
    described = grpcbin.grpcurl(f"describe {SERVICE}").stdout
    assert described.count("rpc ") == 10
    assert "DummyServerStream ( .grpcbin.DummyMessage ) returns ( stream" in described
    fields = grpcbin.grpcurl("describe grpcbin.DummyMessage").stdout
    assert "repeated bytes f_bytess = 14;" in fields


def test_a_unary_call_is_echoed_with_every_field(grpcbin: Grpcbin) -> None:
    sent = {
        "fString": "marker",
        "fStrings": ["a", "b"],
        "fInt32": -1,
        "fInt32s": [1, 2],
        "fEnum": "ENUM_2",
        "fEnums": ["ENUM_1", "ENUM_0"],
        "fSub": {"fString": "within"},
        "fSubs": [{"fString": "first"}, {}],
        "fBool": True,
        "fBools": [False, True],
        "fInt64": "9007199254740993",
        "fInt64s": ["1"],
        "fBytes": "AAE=",
        "fBytess": ["/w=="],
        "fFloat": 0.5,
        "fFloats": [1.5],
    }
    assert grpcbin.call("DummyUnary", "-d", json.dumps(sent)) == [sent]
    assert grpcbin.call("DummyUnary", "-d", '{"f_string": "x"}') == [{"fString": "x"}]


def test_every_port_of_the_list_is_served(grpcbin: Grpcbin) -> None:
    for port in grpcbin.ports:
        assert grpcbin.call("Empty", port=port) == [{}]


def test_the_index_names_the_unary_methods(grpcbin: Grpcbin) -> None:
    (index,) = grpcbin.call("Index")
    named = {endpoint["path"] for endpoint in index["endpoints"]}
    assert {"Index", "DummyUnary", "NoResponseUnary"} <= named
    assert len(named) == 7


def test_a_handler_without_a_message_answers_an_empty_one(grpcbin: Grpcbin) -> None:
    assert grpcbin.call("NoResponseUnary") == [{}]


def test_a_server_stream_sends_the_request_ten_times_one_a_second(grpcbin: Grpcbin) -> None:
    began = time.monotonic()
    got = grpcbin.call("DummyServerStream", "-d", '{"f_string": "again"}')
    assert got == [{"fString": "again"}] * 10
    assert time.monotonic() - began > 9


def test_a_server_stream_ends_with_its_caller(grpcbin: Grpcbin) -> None:
    left = grpcbin.grpcurl(f"{SERVICE}/DummyServerStream", "-max-time", "0.5")
    assert "DeadlineExceeded" in left.stderr
    ended = {"Canceled", "DeadlineExceeded"}
    until(
        lambda: ended & {line["code"] for line in grpcbin.lines("DummyServerStream")},
        "the line of the stream that was left",
        timeout=2,
    )


def test_a_client_stream_is_answered_with_its_last_message(grpcbin: Grpcbin) -> None:
    sent = " ".join(f'{{"f_int32": {number}}}' for number in (1, 2, 3))
    assert grpcbin.call("DummyClientStream", "-d", sent) == [{"fInt32": 3}]


def test_a_bidirectional_stream_echoes_each_message(grpcbin: Grpcbin) -> None:
    sent = " ".join(f'{{"f_int32": {number}}}' for number in range(1, 21))
    got = grpcbin.call("DummyBidirectionalStreamStream", "-d", sent)
    assert [one["fInt32"] for one in got] == list(range(1, 21))


def test_metadata_comes_back_as_it_arrived(grpcbin: Grpcbin) -> None:
    (told,) = grpcbin.call("HeadersUnary", "-H", "x-a: b", "-H", "x-a: c", "-H", "x-d: e")
    metadata = told["Metadata"]
    assert metadata["x-a"] == {"values": ["b", "c"]}
    assert metadata["x-d"] == {"values": ["e"]}
    assert metadata[":authority"] == {"values": [f"127.0.0.1:{grpcbin.ports[0]}"]}


def test_an_error_is_the_one_that_was_asked_for(grpcbin: Grpcbin) -> None:
    asked = json.dumps({"code": 9, "reason": "as asked"})
    refused = grpcbin.grpcurl(f"{SERVICE}/SpecificError", "-d", asked)
    assert refused.returncode == 64 + 9
    assert "Code: FailedPrecondition" in refused.stderr
    assert "Message: as asked" in refused.stderr
    assert grpcbin.call("SpecificError", "-d", '{"code": 0}') == [{}]


def test_a_random_error_has_one_of_grpcs_codes(grpcbin: Grpcbin) -> None:
    codes = {grpcbin.grpcurl(f"{SERVICE}/RandomError").returncode for _ in range(5)}
    assert codes <= {0, *range(65, 80)}


def test_a_method_that_is_not_there_is_unimplemented(grpcbin: Grpcbin, tmp_path: Path) -> None:
    text = "message M {} service GRPCBin { rpc Nope(M) returns (M); }"
    (tmp_path / "x.proto").write_text(f'syntax = "proto3"; package grpcbin; {text}')
    flags = ("-import-path", str(tmp_path), "-proto", "x.proto")
    refused = grpcbin.grpcurl(f"{SERVICE}/Nope", *flags)
    assert "Code: Unimplemented" in refused.stderr
    assert [line["code"] for line in grpcbin.lines("Nope")] == ["Unimplemented"]


def test_a_call_leaves_one_line_that_names_caller_code_and_authority(grpcbin: Grpcbin) -> None:
    before, began = len(grpcbin.lines("SpecificError")), time.time()
    flags = ("-authority", "grpcbin.test", "-d", '{"code": 5}')
    grpcbin.grpcurl(f"{SERVICE}/SpecificError", *flags)
    (line,) = grpcbin.lines("SpecificError")[before:]
    assert list(line) == ["time", "method", "peer", "code", "authority"]
    assert began - 1 < line["time"] < time.time() + 1
    assert line["peer"].startswith("127.0.0.1:")
    assert (line["code"], line["authority"]) == ("NotFound", "grpcbin.test")


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_request_over_http2_that_is_not_grpc_is_a_415_without_a_body(
    grpcbin: Grpcbin, method: str
) -> None:
    url = f"http://127.0.0.1:{grpcbin.ports[0]}/"
    argv = ["curl", "-s", "-i", "-m", "5", "--http2-prior-knowledge", "-X", method, url]
    done = subprocess.run(argv, capture_output=True, text=True)
    head, _, body = done.stdout.partition("\n\n")
    assert head.startswith("HTTP/2 415")
    assert "grpc-status: 3" in head
    assert not body.strip()


@pytest.mark.parametrize("version", ["--http1.1", "--http2"])
def test_http1_is_answered_with_http2_frames_that_curl_cannot_read(
    grpcbin: Grpcbin, version: str
) -> None:
    url = f"http://127.0.0.1:{grpcbin.ports[0]}/"
    argv = ["curl", "-sS", "-m", "5", version, url]
    done = subprocess.run(argv, capture_output=True, text=True)
    assert done.returncode == 1
    assert "HTTP/0.9" in done.stderr


def test_sigterm_ends_it_at_once_in_the_middle_of_a_stream(programs: Path, tmp_path: Path) -> None:
    port = free_port()
    with (tmp_path / "log").open("wb") as out:
        server = subprocess.Popen([programs / "grpcbin", str(port)], stdout=out)
        until(lambda: listens(port), f"grpcbin on {port}", timeout=10)
        address = f"127.0.0.1:{port}"
        argv = [programs / "grpcurl", "-plaintext", address, f"{SERVICE}/DummyServerStream"]
        with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as client:
            assert client.stdout
            assert client.stdout.readline()  # the stream has begun
            server.send_signal(signal.SIGTERM)
            assert server.wait(timeout=1) == 0
            assert b"Unavailable" in client.communicate(timeout=5)[1]
