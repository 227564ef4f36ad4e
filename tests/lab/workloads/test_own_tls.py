"""own-tls in its three forms, asked by curl and by Python's ssl on loopback."""

from __future__ import annotations

import json
import re
import signal
import socket
import ssl
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from kubectl import Kubectl

from lab.common.wait import until
from lab.model import store
from lab.record.calls import foreign_certificate
from lab.workloads.certificates import Authority

TOOL = store.ROOT / "lab" / "workloads" / "tools" / "own-tls"
FORMS = ("server", "demand", "ask")
Told = dict[str, Any]


@dataclass(frozen=True)
class Service:
    """One running own-tls, and what its callers hold."""

    form: str
    ports: tuple[int, int]
    folder: Path
    log: Path
    process: subprocess.Popen[bytes]

    def curl(self, url: str, *options: str) -> tuple[int, int, str]:
        """Curl's code, the HTTP status and the body."""
        where = url.format(port=self.ports[0])
        argv = ["curl", "-sS", "--max-time", "5", "-w", "\n%{http_code}", *options, where]
        done = subprocess.run(argv, capture_output=True, text=True)
        body, _, status = done.stdout.rpartition("\n")
        return done.returncode, int(status), body + done.stderr

    def over_tls(self, *options: str, path: str = "/x", name: str = "own.test") -> Any:
        resolve = f"{name}:{self.ports[0]}:127.0.0.1"
        ca = str(self.folder / "ca.pem")
        return self.curl(
            f"https://{name}:{{port}}{path}", "--resolve", resolve, "--cacert", ca, *options
        )

    def plainly(self, *options: str) -> tuple[int, int, str]:
        return self.curl("http://127.0.0.1:{port}/x", *options)

    def holding(self, who: str) -> tuple[str, ...]:
        return ("--cert", str(self.folder / f"{who}.pem"), "--key", str(self.folder / f"{who}.key"))

    def lines(self) -> list[Told]:
        return [json.loads(line) for line in self.log.read_text().splitlines()]

    def last_line(self, count: int = 1) -> Told:
        """The newest, as soon as there are `count` of them: a refusal is logged after its alert."""
        until(lambda: len(self.lines()) >= count, f"line {count} of the log", timeout=5)
        assert len(self.lines()) == count
        return self.lines()[-1]

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.ports[0]), 5)


def free_ports() -> tuple[int, int]:
    with socket.socket() as one, socket.socket() as other:
        one.bind(("127.0.0.1", 0))
        other.bind(("127.0.0.1", 0))
        return one.getsockname()[1], other.getsockname()[1]


def listens(port: int) -> bool:
    with socket.socket() as link:
        return link.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Certificates of the service, of two callers that may come, and of one that may not."""
    made = tmp_path_factory.mktemp("certificates")
    authority, foreign = Authority("the service's CA"), Authority()
    (made / "ca.pem").write_bytes(authority.certificate_pem)
    (made / "foreign-ca.pem").write_bytes(foreign.certificate_pem)
    uri = "spiffe://cluster.local/ns/default/sa/client"
    for name, pair in {
        "service": authority.issue("own.test", dns=["own.test"]),
        "client": authority.issue("a client", dns=["client.test"]),
        "nameless": authority.issue("", uri=uri),
        "foreign": foreign.issue("a client"),
    }.items():
        (made / f"{name}.key").write_bytes(pair[0])
        (made / f"{name}.pem").write_bytes(pair[1])
    return made


@pytest.fixture
def service(folder: Path, tmp_path: Path) -> Iterator[Callable[[str], Service]]:
    """Start one of a form; it ends with the test."""
    processes: list[subprocess.Popen[bytes]] = []

    def start(form: str) -> Service:
        ports, log = free_ports(), tmp_path / "log"
        argv = [sys.executable, "-SE", TOOL, "--form", form, "--ports", ",".join(map(str, ports))]
        argv += ["--cert", folder / "service.pem", "--key", folder / "service.key"]
        with log.open("wb") as out:
            process = subprocess.Popen([*argv, "--ca", folder / "ca.pem"], stdout=out)
        processes.append(process)
        for port in ports:
            until(lambda port=port: listens(port), f"own-tls on {port}", timeout=10)
        return Service(form, ports, folder, log, process)

    yield start
    for process in processes:
        process.kill()
        process.wait()


Start = Callable[[str], Service]
ANY = pytest.mark.parametrize("form", FORMS)


@ANY
def test_who_shows_a_certificate_over_tls_is_answered(service: Start, form: str) -> None:
    own = service(form)
    code, status, body = own.over_tls(*own.holding("client"), "-d", "marker ü")
    assert (code, status) == (0, 200), body
    caller = None if form == "server" else "a client"
    assert json.loads(body) == {
        "path": "/x",
        "method": "POST",
        "body": "marker ü",
        "client_certificate": caller,
        "tls": "TLSv1.3",
        "sni": "own.test",
    }
    line = own.last_line()
    assert line.pop("time") == pytest.approx(time.time(), abs=10)
    assert re.fullmatch(r"127\.0\.0\.1:\d+", line.pop("peer"))
    assert re.fullmatch("1603010[0-9a-f]{9}", line.pop("first_bytes"))
    assert line == {
        "port": own.ports[0],
        "form": form,
        "spoke": "tls",
        "tls": "TLSv1.3",
        "sni": "own.test",
        "alpn": "http/1.1",
        "client_certificate": caller,
        "request": "POST /x HTTP/1.1",
        "status": 200,
        "error": None,
    }


def test_the_server_form_answers_who_shows_no_certificate_over_tls(service: Start) -> None:
    own = service("server")
    code, status, body = own.over_tls()
    assert (code, status) == (0, 200)
    assert json.loads(body)["client_certificate"] is None
    assert own.last_line()["error"] is None


def test_the_demanding_form_sends_alert_116_to_who_shows_no_certificate(service: Start) -> None:
    own = service("demand")
    code, status, said = own.over_tls()
    assert (code, status) == (56, 0)
    assert "certificate required" in said
    line = own.last_line()
    assert line["error"] == "peer did not return a certificate"
    assert (line["spoke"], line["sni"]) == ("tls", "own.test")
    assert (line["request"], line["status"]) == (None, None)


def test_the_alert_reaches_python_too_before_anything_else(service: Start, folder: Path) -> None:
    own = service("demand")
    context = ssl.create_default_context(cafile=str(folder / "ca.pem"))
    with own.connect() as link, context.wrap_socket(link, server_hostname="own.test") as secure:
        secure.sendall(b"GET /x HTTP/1.1\r\n\r\n")
        with pytest.raises(ssl.SSLError) as refused:
            secure.recv(100)
    assert refused.value.reason == "TLSV13_ALERT_CERTIFICATE_REQUIRED"


def test_the_asking_form_shakes_hands_and_answers_400_to_who_shows_no_certificate(
    service: Start,
) -> None:
    own = service("ask")
    code, status, body = own.over_tls()
    assert (code, status) == (0, 400)
    words = "no certificate: this service answers only callers that show one"
    assert body == json.dumps({"error": words})
    line = own.last_line()
    assert (line["spoke"], line["tls"], line["status"]) == ("tls", "TLSv1.3", 400)
    assert (line["error"], line["client_certificate"]) == ("no certificate", None)


def test_the_asking_form_answers_400_to_plain_http(service: Start) -> None:
    own = service("ask")
    code, status, body = own.plainly()
    assert (code, status) == (0, 400)
    assert json.loads(body)["error"].startswith("no certificate: ")
    line = own.last_line()
    assert (line["spoke"], line["tls"], line["sni"]) == ("http", None, None)
    assert (line["request"], line["status"]) == ("GET /x HTTP/1.1", 400)
    assert (line["error"], line["first_bytes"]) == ("no certificate", b"GET /x H".hex())


@pytest.mark.parametrize("form", ["server", "demand"])
def test_plain_http_is_a_failed_handshake_and_an_empty_reply(service: Start, form: str) -> None:
    own = service(form)
    code, status, said = own.plainly("-d", "x" * 5000)
    assert (code, status) == (52, 0), said
    line = own.last_line()
    assert line["error"] == "handshake failed: http request"
    assert (line["spoke"], line["request"], line["status"]) == ("http", None, None)


@pytest.mark.parametrize("form", ["demand", "ask"])
def test_a_foreign_certificate_is_refused_in_the_handshake(service: Start, form: str) -> None:
    own = service(form)
    code, status, said = own.over_tls(*own.holding("foreign"))
    assert (code, status) == (56, 0), said
    assert "unknown ca" in said
    line = own.last_line()
    assert line["error"] == "handshake failed: unable to get local issuer certificate"
    assert line["client_certificate"] is None


def test_a_certificate_without_a_common_name_is_named_by_its_uri(service: Start) -> None:
    own = service("demand")
    _, status, body = own.over_tls(*own.holding("nameless"))
    assert status == 200
    assert json.loads(body)["client_certificate"].startswith("spiffe://cluster.local/")


def test_of_h2_and_http1_the_service_chooses_http1(service: Start) -> None:
    own = service("server")
    assert own.over_tls("--http2")[:2] == (0, 200)
    assert own.last_line()["alpn"] == "http/1.1"
    assert own.over_tls("--no-alpn")[:2] == (0, 200)
    assert own.last_line(2)["alpn"] is None


def test_tls_1_2_is_never_resumed(service: Start, folder: Path) -> None:
    own = service("demand")
    context = ssl.create_default_context(cafile=str(folder / "ca.pem"))
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(folder / "client.pem", folder / "client.key")
    session = None
    for count in (1, 2):
        with (
            own.connect() as link,
            context.wrap_socket(link, server_hostname="own.test", session=session) as secure,
        ):
            secure.sendall(b"GET /x HTTP/1.1\r\n\r\n")
            assert b'"tls": "TLSv1.2"' in b"".join(iter(lambda: secure.recv(4096), b""))
            assert not secure.session_reused
            session = secure.session
        assert own.last_line(count)["client_certificate"] == "a client"


@ANY
def test_a_probe_that_connects_and_leaves_is_not_logged(service: Start, form: str) -> None:
    own = service(form)
    own.connect().close()
    with own.connect() as link:  # and one that ends with a reset
        link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    own.over_tls(*own.holding("client"))
    assert own.last_line()["request"] == "GET /x HTTP/1.1"


@ANY
def test_garbage_is_logged_and_the_next_caller_is_served(service: Start, form: str) -> None:
    own = service(form)
    with own.connect() as link:
        link.sendall(b"\x00\x01garbage\r\n\r\n")
        link.shutdown(socket.SHUT_WR)
        link.recv(4096)
    line = own.last_line()
    assert (line["spoke"], line["first_bytes"]) == ("other", b"\x00\x01garbag".hex())
    if form == "ask":
        assert (line["error"], line["status"]) == ("not a request of HTTP/1.1", 400)
    else:
        assert line["error"].startswith("handshake failed: ")
    assert own.over_tls(*own.holding("client"))[:2] == (0, 200)


@ANY
def test_a_hello_that_is_cut_short_is_logged(service: Start, form: str) -> None:
    own = service(form)
    with own.connect() as link:
        link.sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
    line = own.last_line()
    assert (line["spoke"], line["request"]) == ("tls", None)
    assert line["error"].startswith("handshake failed: ")


def test_a_handshake_without_a_request_is_logged(service: Start, folder: Path) -> None:
    own = service("server")
    context = ssl.create_default_context(cafile=str(folder / "ca.pem"))
    with own.connect() as link, context.wrap_socket(link, server_hostname="own.test") as secure:
        assert secure.version() == "TLSv1.3"
    line = own.last_line()
    assert (line["tls"], line["request"], line["status"]) == ("TLSv1.3", None, None)
    assert line["error"] == "ended before a request"


def test_who_distrusts_the_service_is_logged_with_its_alert(service: Start) -> None:
    own = service("server")
    code, _, _ = own.over_tls("--cacert", str(own.folder / "foreign-ca.pem"))
    assert code == 60
    assert own.last_line()["error"] == "handshake failed: tlsv1 alert unknown ca"


def test_a_silent_connection_holds_up_nobody(service: Start) -> None:
    own = service("ask")
    with own.connect(), own.connect() as half:
        half.sendall(b"GET /x HT")
        assert own.plainly()[:2] == (0, 400)
        assert own.over_tls(*own.holding("client"))[:2] == (0, 200)


def test_every_port_of_the_list_is_served_and_a_large_body_comes_back(service: Start) -> None:
    own = service("server")
    large = own.folder / "large"
    large.write_text("x" * 3_000_000)
    resolve = f"own.test:{own.ports[1]}:127.0.0.1"
    ca = str(own.folder / "ca.pem")
    url = f"https://own.test:{own.ports[1]}/large"
    flags = ("--resolve", resolve, "--cacert", ca, "-H", "expect:", "--data-binary", f"@{large}")
    code, status, body = own.curl(url, *flags)
    assert (code, status) == (0, 200)
    assert len(json.loads(body)["body"]) == 3_000_000
    assert own.last_line()["port"] == own.ports[1]


def test_an_answer_survives_what_its_caller_sends_after_the_request(service: Start) -> None:
    """Unread bytes would make the kernel reset the connection."""
    own = service("ask")
    for _ in range(20):
        with own.connect() as link:
            link.sendall(b"GET /x HTTP/1.1\r\n\r\n" + b"y" * 100_000)
            answer = b"".join(iter(lambda: link.recv(4096), b""))
        assert answer.endswith(b'show one"}')


def test_http2_in_plaintext_is_told_that_it_is_not_understood(service: Start) -> None:
    own = service("ask")
    code, _, _ = own.plainly("--http2-prior-knowledge")
    assert code != 0
    line = own.last_line()
    assert (line["spoke"], line["request"]) == ("http", "PRI * HTTP/2.0")
    assert (line["status"], line["error"]) == (400, "not a request of HTTP/1.1")


def test_sigterm_ends_it_at_once(service: Start) -> None:
    own = service("server")
    with own.connect():
        own.process.send_signal(signal.SIGTERM)
        assert own.process.wait(timeout=1) == 0


def test_the_labs_own_probe_is_refused_by_form_and_by_issuer(service: Start) -> None:
    own = service("demand")
    probe = [sys.executable, "-SE", TOOL.with_name("tls-probe"), "127.0.0.1", str(own.ports[0])]

    def outcome(*options: str, stdin: bytes = b"") -> str:
        done = subprocess.run([*probe, *options], input=stdin, capture_output=True)
        return str(json.loads(done.stdout)["outcome"])

    key, certificate = (own.folder / f"client.{end}" for end in ("key", "pem"))
    send = ("--send", "GET /x HTTP/1.1\\r\\n\\r\\n")
    assert outcome() == "tls_client_certificate_required"
    assert outcome("--stdin", stdin=foreign_certificate("mesh")) == "tls_untrusted_issuer"
    assert outcome("--cert", str(certificate), "--key", str(key), *send) == "answered"


@pytest.mark.cluster
def test_a_pod_of_its_image_reads_its_certificate_from_a_secret(
    kubectl: Kubectl, namespace: str, folder: Path, in_pod: Callable[..., str]
) -> None:
    files = [f"--from-file={name}={folder / name}" for name in ("service.pem", "service.key")]
    files.append(f"--from-file=ca.pem={folder / 'ca.pem'}")
    kubectl("create", "secret", "generic", "own-tls", "-n", namespace, *files)
    args = ["--form", "ask", "--ports", "8441,8442", "--cert", "/tls/service.pem"]
    container = {
        "name": "own-tls",
        "image": "lab/own-tls",
        "args": [*args, "--key", "/tls/service.key", "--ca", "/tls/ca.pem"],
        "readinessProbe": {"tcpSocket": {"port": 8442}, "periodSeconds": 1},
        "volumeMounts": [{"name": "tls", "mountPath": "/tls"}],
    }
    volume = {"name": "tls", "secret": {"secretName": "own-tls"}}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "own-tls"}}
    manifest = json.dumps({**pod, "spec": {"containers": [container], "volumes": [volume]}})
    kubectl("apply", "-n", namespace, "-f", "-", stdin=manifest)
    kubectl("wait", "pod/own-tls", "-n", namespace, "--for=condition=Ready", "--timeout=60s")
    said = in_pod(namespace, "own-tls", "curl", "-sS", "http://localhost:8441/x")
    assert "no certificate: " in said
    (line,) = kubectl("logs", "own-tls", "-n", namespace).splitlines()
    assert json.loads(line)["error"] == "no certificate"
