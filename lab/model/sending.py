"""What a typed command sends first over its connection, as far as its words tell."""

from __future__ import annotations

import itertools
import re
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import urlsplit

First = Literal["http", "tls", "bytes"]
"""What the first bytes of a connection are, in one word."""


@dataclass(frozen=True)
class Sending:
    """The beginning of a conversation."""

    names: tuple[str, ...]
    """What it can be, by the names of lab/envoy/sends.py; several where the words do not tell."""
    host: str = ""
    """What an HTTP client asks for, without the port, or a TLS client names as SNI."""
    path: str = "/"
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict)
    """Names in lower case."""
    alpn: tuple[str, ...] | None = None
    """Of a TLS client; None: the usual ones."""
    data: bytes = b""
    """The bytes themselves, where the words say them."""

    @property
    def first(self) -> First:
        """Return in one word what is sent first; `bytes` too where the words do not tell."""
        firsts = {_FIRST.get(name, "http") for name in self.names}
        return firsts.pop() if len(firsts) == 1 else "bytes"


_FIRST: Mapping[str, First] = {"tls": "tls", "line": "bytes", "nothing": "bytes"}
"""Of names that are no HTTP's."""
ANYTHING = Sending(("http1.1", "tls", "line", "nothing"))
"""Of a program that the lab does not know."""
_REQUEST = re.compile(rb"([A-Z]+) (\S+) HTTP/(1\.[01])\r?\n")
WITH_VALUE = {"-H": "header", "-X": "request", "-d": "data", "-F": "form", "-T": "upload-file"}
"""curl's short options that are read here -> the long one."""
_HOST_AND_PORT = r"[\w.-]+:\d{1,5}(/\S*)?"
_SENT_BY = {"data": "POST", "form": "POST", "upload-file": "PUT"}


def of_command(command: str, known: Mapping[str, Callable[[Sequence[str]], Sending]]) -> Sending:
    """Return what a command sends; known: program -> how its words are read."""
    try:
        words = shlex.split(command)
    except ValueError:
        return ANYTHING
    read = known.get(words[0]) if words else None
    return read(words[1:]) if read else ANYTHING


def of_bytes(data: bytes, server_name: str = "", alpn: Sequence[str] | None = None) -> Sending:
    """Return what was sent, by its first bytes; alpn: of a TLS client, else None."""
    if alpn is not None:
        return Sending(("tls",), server_name, alpn=tuple(alpn))
    if data.startswith(b"PRI * HTTP/2.0\r\n"):  # its requests' headers are compressed
        return Sending(("h2", "grpc"))
    if not (found := _REQUEST.match(data)):
        return Sending(("line",) if data else ("nothing",), data=data)
    method, path, version = (one.decode() for one in found.groups())
    lines = data.decode("latin-1").partition("\r\n\r\n")[0].splitlines()[1:]
    pairs = [line.partition(":") for line in lines]
    headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
    host = headers.get("host", "").partition(":")[0]
    return Sending((f"http{version}",), host, path, method, headers)


def curl(words: Sequence[str]) -> Sending:
    """Return what curl sends (https://curl.se/docs/manpage.html)."""
    url = next((word for word in words if "://" in word), "") or _without_scheme(words)
    if not url:
        return ANYTHING
    parts = urlsplit(url)
    options = [*_curl_options(words)]
    flags = {name for name, _ in options}
    headers = {
        name.strip().lower(): value.strip()
        for option, text in options
        if option == "header"
        for name, _, value in [text.partition(":")]
    }
    path = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
    sent = Sending(
        (_curl_version(flags, headers),),
        headers.get("host", parts.hostname or ""),
        path,
        _curl_method(options),
        headers,
    )
    if parts.scheme != "https":
        return sent
    alpn = ("http/1.1",) if flags & {"http1.1", "http1.0"} else None
    return Sending(("tls",), parts.hostname or "", alpn=alpn)


def _without_scheme(words: Sequence[str]) -> str:
    """Return the URL that a host and port stand for, typed first or last; empty: there is none."""
    ends = (*words[:1], *words[-1:])
    return next((f"http://{one}" for one in ends if re.fullmatch(_HOST_AND_PORT, one)), "")


def _curl_options(words: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield (long name, value) of the options that are read here; a flag's value is empty."""
    short = "".join(key[1] for key in WITH_VALUE)
    for word, following in zip(words, [*words[1:], ""], strict=True):
        if word.startswith("--"):
            name, _, value = word[2:].partition("=")
            yield re.sub("^data-.*", "data", name), value or following
        elif found := re.fullmatch(rf"-[A-Za-z0#]*?([{short}])(.*)", word):
            yield WITH_VALUE[f"-{found[1]}"], found[2] or following
        elif re.fullmatch("-[A-Za-z0]*0[A-Za-z0]*", word):
            yield "http1.0", ""
        elif re.fullmatch("-[A-Za-z0]*I[A-Za-z0]*", word):
            yield "head", ""


def _curl_version(flags: set[str], headers: Mapping[str, str]) -> str:
    upgrade = headers.get("upgrade", "").lower()
    if "http2-prior-knowledge" in flags:
        return "h2"
    if "http1.0" in flags:
        return "http1.0"
    if "http2" in flags:
        return "upgrade-h2c"
    return {"websocket": "websocket"}.get(upgrade, "http1.1")


def _curl_method(options: Sequence[tuple[str, str]]) -> str:
    asked = dict(options)
    if "request" in asked:
        return asked["request"]
    if "head" in asked:
        return "HEAD"
    return next((method for name, method in _SENT_BY.items() if name in asked), "GET")


def nginx_get(words: Sequence[str]) -> Sending:
    """Return what nginx sends for a URL, until 1.29.6; later ones send HTTP/1.1 by default.

    https://nginx.org/en/docs/http/ngx_http_proxy_module.html#proxy_http_version
    """
    parts = urlsplit(words[0])
    return Sending(("http1.0",), parts.hostname or "", parts.path or "/")


def grpcurl(words: Sequence[str]) -> Sending:
    """Return what grpcurl sends (https://github.com/fullstorydev/grpcurl)."""
    positional = [word for word in words if re.fullmatch(r"[\w.-]+:\d+|[\w.]+[./]\w+", word)]
    address = next((word for word in positional if ":" in word), "")
    host = address.rpartition(":")[0]
    if not positional:
        return ANYTHING
    if "-plaintext" not in words:
        return Sending(("tls",), host, alpn=("h2",))
    service, _, method = positional[-1].replace("/", ".").rpartition(".")
    return Sending(("grpc",), host, f"/{service}/{method}", "POST")


def say(words: Sequence[str]) -> Sending:
    """Return the line that `say` sends, or that it waits (lab/workloads/tools)."""
    if "--read-first" in words:
        return Sending(("nothing",))
    return Sending(("line",), data=f"{words[2] if len(words) > 2 else ''}\n".encode())


def tls_probe(words: Sequence[str]) -> Sending:
    """Return the handshake that `tls-probe` begins (lab/workloads/tools)."""
    following = dict(itertools.pairwise(words))
    alpn = following.get("--alpn", "")
    return Sending(("tls",), following.get("--sni", ""), alpn=(alpn,) if alpn else ())
