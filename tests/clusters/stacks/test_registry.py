"""What is fetched from a registry, and what is taken out of an image."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from loopback import Registry
from loopback import registry as loopback

from clusters.kind.archive import Image, layer, save
from clusters.stacks import registry
from lab.common.errors import CommandFailed, LabError


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Registry]:
    with loopback(tmp_path) as made:
        monkeypatch.setenv("LAB_REGISTRY", made.address)
        yield made


def push(served: Registry, image: Image, work: Path) -> str:
    save([image], work / "pushed.tar")
    return served.push(f"docker-archive:{work / 'pushed.tar'}", image.name)


def small(work: Path, text: bytes = b"said", name: str = "docker.io/lab/small:1") -> Image:
    return Image(name, (layer({"/opt/word": text}, work / "small.layer.tar"),))


def test_what_is_fetched_is_known_by_the_digest_that_the_registry_gave(
    served: Registry, tmp_path: Path
) -> None:
    digest = push(served, small(tmp_path), tmp_path)
    fetched = registry.fetch("docker.io/lab/small:1", tmp_path / "small.tar")
    assert fetched == f"docker.io/lab/small:1@{digest}"
    registry.take(tmp_path / "small.tar", {"opt/word": tmp_path / "word"})
    assert (tmp_path / "word").read_bytes() == b"said"


def test_a_digest_is_kept_to_whatever_the_tag_has_become(served: Registry, tmp_path: Path) -> None:
    digest = push(served, small(tmp_path), tmp_path)
    push(served, small(tmp_path, b"other"), tmp_path)
    fetched = registry.fetch(f"docker.io/lab/small:1@{digest}", tmp_path / "small.tar")
    assert fetched == f"docker.io/lab/small:1@{digest}"
    registry.take(tmp_path / "small.tar", {"opt/word": tmp_path / "word"})
    assert (tmp_path / "word").read_bytes() == b"said"


def test_a_manifest_that_is_not_of_the_wanted_digest_is_refused(
    served: Registry, tmp_path: Path
) -> None:
    """As from a registry that was broken into: under the digest it has another manifest."""
    digest = push(served, small(tmp_path), tmp_path)
    other = push(served, small(tmp_path, b"other"), tmp_path)
    served.blob(digest).write_bytes(served.blob(other).read_bytes())
    with pytest.raises(CommandFailed, match="does not match provided manifest digest"):
        registry.fetch(f"docker.io/lab/small:1@{digest}", tmp_path / "small.tar")


def test_a_blob_that_was_altered_is_refused_and_named(served: Registry, tmp_path: Path) -> None:
    push(served, small(tmp_path, b"said" * 1000), tmp_path)
    blobs = [path for path in served.data.rglob("data") if path.stat().st_size]
    altered = next(path for path in blobs if path.read_bytes()[:2] == b"\x1f\x8b")
    content = gzip.decompress(altered.read_bytes())
    altered.write_bytes(gzip.compress(content.replace(b"said", b"evil")))
    with pytest.raises(CommandFailed) as refused:
        registry.fetch("docker.io/lab/small:1", tmp_path / "small.tar")
    assert altered.parent.name[:12] in str(refused.value)


def test_of_a_list_of_manifests_this_machines_is_taken(served: Registry, tmp_path: Path) -> None:
    """As `docker buildx` publishes it: one name, an image for each architecture."""
    here = small(tmp_path, b"here")
    machine = json.loads(here.config)["architecture"]
    other = {"amd64": "arm64", "arm64": "amd64"}[machine]
    digests = {
        machine: push(served, here, tmp_path),
        other: push(served, small(tmp_path, b"other"), tmp_path),
    }
    served.put_list("lab/small:both", digests)
    registry.fetch("docker.io/lab/small:both", tmp_path / "both.tar")
    registry.take(tmp_path / "both.tar", {"opt/word": tmp_path / "word"})
    assert (tmp_path / "word").read_bytes() == b"here"


def test_a_registry_without_an_image_does_not_answer_for_it(
    served: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    push(served, small(tmp_path), tmp_path)
    assert registry.answers("docker.io/lab/small:1")
    assert not registry.answers("docker.io/lab/other:1")
    monkeypatch.setenv("LAB_REGISTRY", "127.0.0.1:1")
    assert not registry.answers("docker.io/lab/small:1")


def test_only_a_mirror_on_loopback_may_speak_http(monkeypatch: pytest.MonkeyPatch) -> None:
    told = {"127.0.0.1:5000": "false", "localhost:5000": "false", "[::1]:5000": "false"}
    told |= {"": "true", "10.0.0.7:5000": "true", "registry.example:443": "true"}
    for mirror, verified in told.items():
        monkeypatch.setenv("LAB_REGISTRY", mirror)
        assert registry._trust("src-") == [f"--src-tls-verify={verified}"]


def archive(layers: list[dict[str, bytes]], work: Path) -> Path:
    made = []
    for number, files in enumerate(layers):
        path = work / f"{number}.layer.tar"
        made.append(layer(dict(files), path))
    save([Image("lab/layers:1", tuple(made))], work / "layers.tar")
    return work / "layers.tar"


def test_the_uppermost_layer_decides_what_a_file_is(tmp_path: Path) -> None:
    layers = [{"/opt/word": b"lower", "/opt/other": b"other"}, {"/opt/word": b"upper"}]
    registry.take(archive(layers, tmp_path), {"opt/word": tmp_path / "word"})
    assert (tmp_path / "word").read_bytes() == b"upper"


@pytest.mark.parametrize("whiteout", ["/opt/.wh.word", "/.wh.opt", "/opt/.wh..wh..opq"])
def test_a_file_that_an_upper_layer_deletes_is_not_there(tmp_path: Path, whiteout: str) -> None:
    path = archive([{"/opt/word": b"lower"}, {whiteout: b""}], tmp_path)
    with pytest.raises(LabError, match="holds no opt/word"):
        registry.take(path, {"opt/word": tmp_path / "word"})
    path = archive([{"/opt/word": b"lower"}, {whiteout: b"", "/opt/word": b"new"}], tmp_path)
    registry.take(path, {"opt/word": tmp_path / "word"})
    assert (tmp_path / "word").read_bytes() == b"new"


def test_nothing_of_an_image_is_written_but_what_is_wanted(tmp_path: Path) -> None:
    """Neither a path that leads out of its folder nor a link in the place of a file."""
    inside = tmp_path / "inside"
    inside.mkdir()
    path = archive([{"/../../evil": b"out", "/opt/word": "/etc/passwd"}], inside)
    with pytest.raises(LabError, match="holds no opt/word"):
        registry.take(path, {"opt/word": inside / "word"})
    registry.take(path, {"evil": inside / "evil"})
    assert [one.name for one in tmp_path.iterdir()] == ["inside"]
