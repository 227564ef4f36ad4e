"""Config dumps are read once for what is equal, and again rather than kept."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lab.audit import edges, folder
from lab.audit.edges import Edge
from lab.audit.resources import Resources
from lab.common import untrusted
from lab.envoy.mesh import Mesh
from lab.model import store

CONFIGS = sorted(store.RECORDED.glob("*/config"))


def dump(*clusters: dict[str, Any], version: str = "1") -> bytes:
    """A config dump of these clusters, as a proxy prints it."""
    told = [{"version_info": version, "cluster": one, "last_updated": version} for one in clusters]
    return json.dumps({"configs": [{"dynamic_active_clusters": told}]}, indent=1).encode()


def clusters(read: Any) -> list[Any]:
    """The clusters of a dump that was read."""
    return [one["cluster"] for one in read["configs"][0]["dynamic_active_clusters"]]


def test_an_equal_resource_of_another_version_and_time_is_the_same_object() -> None:
    there = Resources()
    first = clusters(there.read(dump({"name": "a"}, {"name": "b"})))
    other = clusters(there.read(dump({"name": "b"}, {"name": "c"}, version="2")))
    assert other[0] is first[1]
    assert other[1] == {"name": "c"}


def test_the_resources_that_were_not_read_for_longest_are_forgotten() -> None:
    one, two, three = ({"name": name * 50} for name in "abc")
    there = Resources(most=2 * len(json.dumps(one, indent=1)) + 60)
    first = clusters(there.read(dump(one, two)))
    assert clusters(there.read(dump(one)))[0] is first[0]
    there.read(dump(three))
    assert clusters(there.read(dump(one)))[0] is first[0]
    assert clusters(there.read(dump(two)))[0] is not first[1]


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: str(path.parent.name))
def test_what_is_read_of_a_dump_is_all_that_is_in_it(path: Path) -> None:
    there, read = Resources(), 0
    for file in folder.files([path]):
        data = folder.data(file)
        content = unpacked(data)
        assert there.read(content) == json.loads(content)
        read += 1
    assert read


def unpacked(data: bytes) -> bytes:
    """What is in a file, unpacked."""
    return untrusted.gunzip(data) if data.startswith(untrusted.GZIP_MAGIC) else data


@pytest.mark.parametrize("wrong", [b"", b"{", b'{"configs": NaN}', b"[" * 100_000, b"\xff\xfe"])
def test_what_is_no_json_is_a_value_error(wrong: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        Resources().read(wrong)


@pytest.mark.parametrize(
    "other", [[], 1, "x", {"configs": 1}, {"configs": [{"dynamic_active_clusters": {"a": 1}}]},
              {"configs": [{"dynamic_listeners": [{"active_state": [1]}]}]}]
)  # fmt: skip
def test_json_of_another_shape_is_read_as_it_is(other: Any) -> None:
    assert Resources().read(json.dumps(other).encode()) == other


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: str(path.parent.name))
def test_of_a_server_nothing_counts_but_what_comes_to_its_pod(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = folder.inventory(folder.read([path]), ())
    walked = told(edges.walk_all(found).edges)
    monkeypatch.setattr(edges, "_serving", whole)
    assert walked == told(edges.walk_all(found).edges)


def whole(mesh: Mesh) -> Mesh:
    """A mesh whose servers know all that their proxies hold."""
    return mesh


def told(walked: tuple[Edge, ...]) -> list[object]:
    """What is said of edges."""
    return [(one.caller.name, one.to, one.sends, one.way, one.carrier) for one in walked]


def test_after_a_walk_no_proxys_whole_configuration_is_kept() -> None:
    walked = edges.walk_all(folder.inventory(folder.read(CONFIGS[:1]), ()))
    ends = {id(end): end for one in walked.edges for end in (one.caller, one.server) if end}
    held = [end.proxy for end in ends.values() if end.has_sidecar]
    assert held
    for proxy in held:
        assert proxy is not None
        assert not [name for name in proxy.clusters if name.startswith("outbound|")]
        assert not proxy.routes
