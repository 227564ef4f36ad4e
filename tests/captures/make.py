"""Makes the small captures beside it: real traffic on the loopback of a network namespace.

unshare --net --map-root-user .venv/bin/python tests/captures/make.py
(as root: without --map-root-user)
"""

from __future__ import annotations

import contextlib
import datetime
import socket
import ssl
import struct
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

HERE = Path(__file__).parent
PORT = 4433
MARKER = b"marker-0123456789"


def certificate(folder: Path) -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "lab")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    form, plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    path = folder / "both.pem"
    pem = key.private_bytes(serialization.Encoding.PEM, form, plain)
    path.write_bytes(pem + made.public_bytes(serialization.Encoding.PEM))
    return str(path)


@contextlib.contextmanager
def recorded(name: str) -> Iterator[None]:
    argv = ["tcpdump", "-i", "lo", "-w", str(HERE / f"{name}.pcap"), "-U", "--immediate-mode"]
    with subprocess.Popen(
        [*argv, "-Z", "root", f"tcp port {PORT}"], stderr=subprocess.PIPE, text=True
    ) as dump:
        assert dump.stderr is not None
        while "listening on" not in dump.stderr.readline():
            pass
        yield
        threading.Event().wait(0.3)
        dump.terminate()


def serve(handle: Callable[[socket.socket], None]) -> threading.Thread:
    listener = socket.create_server(("127.0.0.1", PORT))

    def once() -> None:
        with listener, listener.accept()[0] as link, contextlib.suppress(OSError):
            handle(link)

    thread = threading.Thread(target=once)
    thread.start()
    return thread


def echo(link: socket.socket) -> None:
    link.sendall(link.recv(65536))
    link.recv(1)


def talk(
    name: str, handle: Callable[[socket.socket], None], ask: Callable[[socket.socket], None]
) -> None:
    with recorded(name):
        thread = serve(handle)
        with socket.create_connection(("127.0.0.1", PORT)) as link, contextlib.suppress(OSError):
            ask(link)
        thread.join()


def plain(link: socket.socket) -> None:
    link.sendall(MARKER + b"\n")
    link.recv(65536)


def contexts(
    pem: str, version: ssl.TLSVersion, mutual: bool
) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    server.load_cert_chain(pem)
    server.set_alpn_protocols(["istio"])
    client.set_alpn_protocols(["istio-peer-exchange", "istio"])
    client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
    for side in (server, client):
        side.minimum_version = side.maximum_version = version
    if mutual:
        server.load_verify_locations(pem)
        server.verify_mode = ssl.CERT_REQUIRED
        client.load_cert_chain(pem)
    return server, client


def over_tls(name: str, server: ssl.SSLContext, client: ssl.SSLContext) -> None:
    def handle(link: socket.socket) -> None:
        with server.wrap_socket(link, server_side=True) as secure:
            echo(secure)

    def ask(link: socket.socket) -> None:
        sni = "outbound_.9000_._.tcp-echo.with-istio.svc.cluster.local"
        with client.wrap_socket(link, server_hostname=sni) as secure:
            plain(secure)

    talk(name, handle, ask)


def starttls(name: str, server: ssl.SSLContext, client: ssl.SSLContext) -> None:
    def handle(link: socket.socket) -> None:
        link.recv(9)
        link.sendall(b"220 go\r\n")
        with server.wrap_socket(link, server_side=True) as secure:
            echo(secure)

    def ask(link: socket.socket) -> None:
        link.sendall(b"STARTTLS\n")
        link.recv(8)
        with client.wrap_socket(link) as secure:
            plain(secure)

    talk(name, handle, ask)


def reset(link: socket.socket) -> None:
    link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def main() -> None:
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    with tempfile.TemporaryDirectory() as folder:
        pem = certificate(Path(folder))
        talk("plain", echo, plain)
        talk("large", echo_all, lambda link: link.sendall(MARKER * 2000 + b"\n"))
        talk("reset", reset, lambda link: link.recv(1))
        talk("refused", lambda link: (link.recv(4), reset(link))[0], plain)
        over_tls("tls13", *contexts(pem, ssl.TLSVersion.TLSv1_3, mutual=True))
        over_tls("tls12-mutual", *contexts(pem, ssl.TLSVersion.TLSv1_2, mutual=True))
        over_tls("tls12", *contexts(pem, ssl.TLSVersion.TLSv1_2, mutual=False))
        server = contexts(pem, ssl.TLSVersion.TLSv1_2, mutual=True)[0]
        nobody = contexts(pem, ssl.TLSVersion.TLSv1_2, mutual=False)[1]
        over_tls("tls12-alert", server, nobody)
        starttls("starttls", *contexts(pem, ssl.TLSVersion.TLSv1_3, mutual=False))


def echo_all(link: socket.socket) -> None:
    while not link.recv(65536).endswith(b"\n"):
        pass


if __name__ == "__main__":
    main()
