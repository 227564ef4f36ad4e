"""What each program's exit code and output mean: a row for every outcome."""

from __future__ import annotations

import base64
import datetime
import json
from typing import Any, NamedTuple

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from lab.model import call_types
from lab.model.call_types import DEFAULT, LONGEST, Reading
from lab.workloads.certificates import Authority


class Ran(NamedTuple):
    """A command that has ended."""

    argv: tuple[str, ...]
    code: int
    stdout: bytes = b""
    stderr: bytes = b""


def read(program: str, code: int, stdout: bytes = b"", stderr: bytes = b"") -> Reading:
    return call_types.for_program(program).read(Ran((program,), code, stdout, stderr))


def curl(code: int, error: str = "", **facts: Any) -> Reading:
    written = json.dumps({"http_code": 0, "local_port": 40000, **facts})
    return read("curl", code, b"", f"{error}\n{written}".encode())


CODES = [
    (0, "answered"),
    (7, "refused"),
    (28, "hang"),
    (35, "not_tls"),
    (52, "closed"),
    (55, "reset"),
    (56, "reset"),
    (60, "tls_untrusted_issuer"),
    (6, "error"),
    (16, "error"),
    (99, "error"),
]
REFUSED = "tls_client_certificate_required"
PHRASES = [
    # One refusal, as curl 7.88 was seen to tell of it.
    (16, "curl: (16) SSL_read: tlsv13 alert certificate required, errno 0", REFUSED),
    (55, "curl: (55) SSL_write: tlsv13 alert certificate required, errno 0", REFUSED),
    (56, "curl: (56) SSL_read: tlsv13 alert certificate required, errno 0", REFUSED),
    (35, "curl: (35) error:0A00010B:SSL routines::wrong version number", "not_tls"),
    (56, "curl: (56) SSL_read: wrong version number, errno 0", "not_tls"),
    (35, "curl: (35) Recv failure: Connection reset by peer", "reset"),
    (56, "curl: (56) Recv failure: Connection reset by peer", "reset"),
    (56, "curl: (56) SSL_read: error:0A000126: unexpected eof while reading", "closed"),
    (35, "curl: (35) OpenSSL SSL_connect: SSL_ERROR_SYSCALL in connection to b:8443", "closed"),
    (56, "curl: (56) SSL_read: SSL_ERROR_SYSCALL, errno 0", "closed"),
]


@pytest.mark.parametrize(("code", "outcome"), CODES)
def test_an_exit_code_of_curl_is_an_outcome_where_its_words_say_no_more(
    code: int, outcome: str
) -> None:
    assert curl(code, f"curl: ({code}) something").outcome == outcome


@pytest.mark.parametrize(("code", "error", "outcome"), PHRASES)
def test_a_phrase_in_curls_error_decides_before_its_exit_code(
    code: int, error: str, outcome: str
) -> None:
    found = curl(code, error)
    assert (found.outcome, found.error) == (outcome, error)


def test_every_code_and_every_phrase_of_curl_has_its_row() -> None:
    assert call_types.CURL_CODES.keys() <= {code for code, _ in CODES}
    for phrase in call_types.CURL_PHRASES:
        assert any(phrase in error for _, error, _ in PHRASES)


@pytest.mark.parametrize("status", [200, 403, 404, 502, 503])
def test_a_status_is_an_answer_whatever_it_is(status: int) -> None:
    found = curl(0, http_code=status)
    assert (found.outcome, found.status, found.local_port) == ("answered", status, 40000)


def test_a_code_of_zero_is_an_answer_whatever_curl_wrote_on_its_way() -> None:
    assert curl(0, "* SSL_ERROR_SYSCALL, trying again", http_code=200).outcome == "answered"


def test_curls_answer_and_error_are_kept_apart_and_cut() -> None:
    written = b'{"http_code": 200, "local_port": 1}'
    found = read("curl", 0, b"a" * (LONGEST + 1), b"e" * LONGEST + b"end\n" + written)
    assert found.received == "a" * LONGEST
    assert len(found.error) == LONGEST
    assert found.error.endswith("end")


def test_no_report_of_curl_at_all_is_judged_by_its_code() -> None:
    assert read("curl", 0) == Reading("answered")
    assert read("curl", 28).outcome == "hang"


@pytest.mark.parametrize(
    "stderr",
    [
        b'{"http_code": 200, "local_port"',
        b'{"http_code": "many", "local_port": 1}',
        b'{"http_code": 200, "local_port": [1]}',
        b'{"http_code": 200} and more',
        b"sh: curl: not found",
        b"\xff{\xfe",
    ],
)
def test_a_damaged_report_of_curl_is_a_lost_call(stderr: bytes) -> None:
    found = read("curl", 0, b"an answer", stderr)
    assert found.lost
    assert (found.outcome, found.status, found.received) == ("error", 0, "")


@pytest.mark.parametrize("program", ["grpcurl", "python3"])
def test_any_program_is_read_by_its_code(program: str) -> None:
    assert read(program, 0, b"out", b" note \n") == Reading(
        "answered", received="out", error="note"
    )
    assert read(program, 1, b"", b"refused").outcome == "error"


@pytest.mark.parametrize("program", ["grpcurl", "python3"])
@pytest.mark.parametrize("code", [126, 127])
def test_a_program_that_could_not_be_run_is_a_lost_call(program: str, code: int) -> None:
    found = read(program, code, b"", b"no such file")
    assert found.lost == f"`{program}` did not run in the pod: no such file"


def own(**told: Any) -> Reading:
    known = {"outcome": "answered", "local_port": 20001, "received": "hello"}
    return read("tls-probe", 0, json.dumps({**known, **told}).encode())


@pytest.mark.parametrize("program", ["say", "tls-probe"])
def test_a_line_of_our_own_tools_is_read_whole(program: str) -> None:
    line = {"outcome": "reset", "local_port": 20001, "received": "", "error": "x", "sent": 6}
    found = read(program, 1, json.dumps(line).encode())
    assert found == Reading("reset", local_port=20001, error="x", facts={"sent": 6})


def test_an_own_tool_that_did_not_connect_has_no_port() -> None:
    assert own(outcome="refused", local_port=None).local_port == 0


def test_the_certificate_that_a_probe_was_shown_is_named() -> None:
    _, pem = Authority("a CA").issue("", uri="spiffe://cluster.local/ns/a/sa/b")
    found = own(certificate=encoded(x509.load_pem_x509_certificate(pem)), alert=116)
    uri = "spiffe://cluster.local/ns/a/sa/b"
    assert found.facts == {"alert": 116, "server_uri": uri, "server_issuer": "O=a CA"}


def test_a_certificate_without_names_has_an_issuer_all_the_same() -> None:
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([])
    now = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name)
    builder = builder.public_key(key.public_key()).serial_number(1)
    builder = builder.not_valid_before(now).not_valid_after(now + datetime.timedelta(days=1))
    found = own(certificate=encoded(builder.sign(key, hashes.SHA256())))
    assert found.facts == {"server_uri": "", "server_issuer": ""}


def encoded(certificate: x509.Certificate) -> str:
    from cryptography.hazmat.primitives.serialization import Encoding

    return base64.b64encode(certificate.public_bytes(Encoding.DER)).decode()


@pytest.mark.parametrize(
    "stdout",
    [
        b"",
        b"no JSON",
        b"[]",
        b"7",
        b'{"outcome": "answered"}',
        b'{"outcome": "answered", "local_port": "p", "received": ""}',
        b'{"outcome": "answered", "local_port": 1, "received": "", "certificate": "QUJD"}',
        b"[" * 100_000,
    ],
)
def test_a_line_that_cannot_be_read_is_a_lost_call(stdout: bytes) -> None:
    found = read("say", 0, stdout, b"Traceback")
    assert found == Reading(lost="no answer to read: Traceback")


def test_command_lines_are_completed_by_their_type() -> None:
    def completed(*argv: str) -> list[str]:
        return call_types.for_program(argv[0]).completed(argv, "an-id")

    curl = ["curl", "--max-time", "10", "-H", "x-request-id: an-id", "-w", "%{stderr}%{json}"]
    assert completed("curl", "-v", "http://b") == [*curl, "-v", "http://b"]
    grpcurl = ["grpcurl", "-max-time", "10", "-H", "x-request-id: an-id"]
    assert completed("grpcurl", "b:1") == [*grpcurl, "b:1"]
    for argv in (["say", "b", "1", "x"], ["tls-probe", "b", "1"], ["nc", "b", "1"]):
        assert completed(*argv) == argv


def test_only_what_sends_a_header_carries_the_request_id() -> None:
    carrying = [one.program for one in call_types.TYPES.values() if one.carries_request_id]
    assert carrying == ["curl", "grpcurl"]
    assert not DEFAULT.carries_request_id


@pytest.mark.parametrize(
    ("command", "sends"),
    [
        ("curl -sS http://b:8443/", "http"),
        ("curl -sS https://b:8443/", "tls"),
        ("curl -sS b:8443", "http"),
        ("wget -q -O - https://b:8443/", "tls"),
        ("grpcurl -plaintext b:4200", "http"),
        ("grpcurl -insecure b:4200", "tls"),
        ("say --read-first tcp-echo 9000 hello", "bytes"),
        ("say tcp-echo 9000 hello", "bytes"),
        ("tls-probe b 8443 --sni b", "tls"),
        ("python3 -c 'print()'", "bytes"),
        ("", "bytes"),
    ],
)
def test_first_bytes_follow_from_the_command(command: str, sends: str) -> None:
    assert call_types.first_bytes(command) == sends
