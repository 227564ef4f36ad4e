"""Config dumps of two proxies, damaged: what a walk through them says."""

from __future__ import annotations

import gzip
import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from damage import damaged, effort, mangled
from hypothesis import given

from lab.common import untrusted
from lab.common.errors import BadEvidence
from lab.envoy import dump, node, sends, services, walk
from lab.envoy.mesh import Mesh
from lab.envoy.way import Flow
from lab.predict.files import Dumps

DATA = Path(__file__).parents[1] / "lab" / "envoy" / "data"


def stored(name: str) -> Any:
    return json.loads(gzip.decompress((DATA / f"{name}.json.gz").read_bytes()))


CLIENT, SERVER = stored("client"), stored("httpbin")
TO = [("10.96.224.209", port) for port in (8000, 8001, 8002, 8003)]


def walked(client: Any, server: Any) -> None:
    """Each payload to each port: an answer, or a sentence that refuses the dump."""
    try:
        ends = [node.workload(one, dump.read(one)) for one in (client, server)]
        proxy = ends[0].proxy
        assert proxy
        mesh = Mesh({one.address: one for one in ends}, services.endpoints(proxy))
    except BadEvidence:
        return
    for to in TO:
        for name in sends.SENDS:
            bytes_, request = sends.sent(name, "httpbin", "/")
            assert walk.ways(mesh, ends[0], Flow(to, bytes_, request))


@given(damaged(CLIENT))
@effort(40)
def test_a_damaged_dump_of_the_caller_gives_an_answer_or_a_sentence(client: Any) -> None:
    walked(client, SERVER)


@given(damaged(SERVER))
@effort(40)
def test_a_damaged_dump_of_the_server_gives_an_answer_or_a_sentence(server: Any) -> None:
    walked(CLIENT, server)


WHOLE = (DATA / "client.json.gz").read_bytes()


def read(data: bytes) -> None:
    """A file of a dump: it is read, or refused in a sentence that names it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "dump.json"
        path.write_bytes(data)
        said = path.name
        try:
            Dumps.read([path])
        except BadEvidence as refused:
            said = str(refused)
    assert path.name in said


@given(mangled(WHOLE))
@effort(100)
def test_a_packed_file_that_is_damaged_gives_a_dump_or_a_sentence(data: bytes) -> None:
    read(data)


@given(mangled(gzip.decompress(WHOLE)))
@effort(40)
def test_a_file_that_is_damaged_gives_a_dump_or_a_sentence(data: bytes) -> None:
    read(data)


@pytest.mark.parametrize("harm", [b"[" * 100_000, b'{"configs": ' + b"9" * 5000 + b"}", b"\0"])
def test_a_file_that_no_parser_likes_gives_a_sentence(harm: bytes) -> None:
    read(harm)


def test_a_file_that_unpacks_to_more_than_a_dump_is_refused() -> None:
    packed = gzip.compress(bytes(1000))
    with pytest.raises(ValueError, match="the most that is unpacked"):
        untrusted.gunzip(packed, limit=999)
