"""`istio-lab predict`: what a call would do, without making it."""

from __future__ import annotations

import argparse
from pathlib import Path

from lab.common.text import printable


def add(parser: argparse.ArgumentParser) -> None:
    """Take the call, and where the mesh is read from."""
    parser.add_argument(
        "--from",
        dest="source",
        metavar="[NAMESPACE/]POD",
        required=True,
        help="or `outside`: a client outside the mesh, as it calls a gateway",
    )
    parser.add_argument(
        "--to",
        metavar="HOST:PORT",
        required=True,
        help="or IP:PORT; with --dump also GATEWAY-POD:PORT",
    )
    parser.add_argument(
        "--sends",
        default="http1.1",
        help="what the client sends: http1.0, http1.1, h2, grpc, websocket, upgrade-h2c, "
        "upgrade-tls, tls, line, three-bytes, half-line, or nothing (the server speaks first)",
    )
    parser.add_argument(
        "--within",
        choices=("tls", "mutual-tls"),
        default="",
        help="TLS of the client's own around what it sends, without or with a certificate",
    )
    parser.add_argument(
        "--name", default="", help="what the client writes as Host and SNI; default: the HOST"
    )
    parser.add_argument("--path", default="/", help="the request's path")
    parser.add_argument(
        "--dump",
        nargs="+",
        type=Path,
        metavar="FILE",
        default=[],
        help="config dumps of the proxies (istioctl proxy-config all POD -o json): no cluster "
        "is asked",
    )
    parser.add_argument("--cluster", default="auto")


def run(options: argparse.Namespace) -> int:
    """Return 0 where each way's end is known, 3 where one is not."""
    from lab.predict import question, text
    from lab.predict.cluster import Live
    from lab.predict.files import Dumps

    asked = question.typed(
        options.source, options.to, options.sends, options.path, options.within, options.name
    )
    source: question.Source = (
        Dumps.read(options.dump) if options.dump else Live.open(options.cluster)
    )
    found = question.answers(source, asked)
    print(printable("\n\n".join(text.text(one) for one in found)))
    return 3 if any(way.outcome == "unknown" for one in found for way in one.ways) else 0
