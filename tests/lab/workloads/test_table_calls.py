"""The truth table's caller: how it takes an answer over HTTP/2."""

import runpy
import socket
from typing import Any

import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection
from hyperframe.frame import GoAwayFrame

from clusters.kind.workload_images import TOOLS

JOB = {"name": "t1:3401", "request_id": "id", "marker": "lab-0"}


def answered(*, goaway: GoAwayFrame) -> dict[str, Any]:
    """Return what the caller tells of an answer that comes behind a GOAWAY."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        server = H2Connection(H2Configuration(client_side=False))
        server.initiate_connection()
        theirs.sendall(server.data_to_send())
        asked = H2Connection(H2Configuration())
        asked.initiate_connection()
        target = [(":method", "GET"), (":path", "/"), (":scheme", "http"), (":authority", "t1")]
        asked.send_headers(1, target)
        server.receive_data(asked.data_to_send())
        server.send_headers(1, [(":status", "200")])
        server.send_data(1, b"here", end_stream=True)
        theirs.sendall(goaway.serialize() + server.data_to_send())
        theirs.shutdown(socket.SHUT_WR)
        told: dict[str, Any] = {"outcome": "", "status": 0, "grpc_status": None}
        runpy.run_path(str(TOOLS / "table-calls"))["http2"](ours, JOB, told)
        return told


@pytest.mark.parametrize("last", [1, 2**31 - 1])
def test_an_answer_behind_a_goaway_is_an_answer(last: int) -> None:
    told = answered(goaway=GoAwayFrame(0, last_stream_id=last))
    assert (told["outcome"], told["status"], told["answer"]) == ("answered", 200, "here")


@pytest.mark.parametrize("goaway", [GoAwayFrame(0), GoAwayFrame(0, last_stream_id=1, error_code=1)])
def test_a_goaway_that_gives_the_stream_up_is_a_reset(goaway: GoAwayFrame) -> None:
    assert answered(goaway=goaway)["outcome"] == "reset"
