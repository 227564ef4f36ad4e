"""What a kind cluster is made of, as far as it can be seen without one."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tarfile
from functools import partial
from pathlib import Path

import pytest

from clusters.base import Stack
from clusters.kind.archive import Image, Layer, layer, save
from clusters.kind.engine import RUNTIME
from clusters.kind.images import Built, Programs
from clusters.remote import STAMPED, _code
from clusters.stacks import binaries, cache
from lab.common.errors import ClusterGone, LabError


def _files(folder: Path) -> dict[str, Path | str | bytes]:
    folder.mkdir()
    (folder / "run").write_text("#!/bin/sh\n")
    (folder / "run").chmod(0o700)
    return {"/opt/tools": folder, "/etc/word": b"said", "/bin/run": "/opt/tools/run"}


def test_a_layer_of_the_same_files_has_the_same_digest(tmp_path: Path) -> None:
    files = _files(tmp_path / "tools")
    one = layer(files, tmp_path / "one.tar")
    (tmp_path / "tools" / "run").touch()
    assert layer(files, tmp_path / "two.tar").digest == one.digest
    assert layer({**files, "/etc/word": b"other"}, tmp_path / "three.tar").digest != one.digest


def test_a_layer_keeps_what_is_executable_and_whither_a_link_points(tmp_path: Path) -> None:
    with tarfile.open(layer(_files(tmp_path / "tools"), tmp_path / "one.tar").path) as archive:
        assert archive.getmember("opt/tools/run").mode == 0o755
        assert archive.getmember("etc/word").mode == 0o644
        assert archive.getmember("bin/run").linkname == "/opt/tools/run"
        assert {member.uid for member in archive} == {0}


def test_an_archive_names_each_image_and_holds_a_shared_layer_once(tmp_path: Path) -> None:
    shared = layer({"/etc/word": b"said"}, tmp_path / "shared.tar")
    own = layer({"/etc/own": b"own"}, tmp_path / "own.tar")
    images = [Image("lab/a:1", (shared,)), Image("lab/b:1", (shared, own), ("/b",), "1000")]
    save(images, tmp_path / "all.tar")
    with tarfile.open(tmp_path / "all.tar") as archive:
        names = archive.getnames()
        listed = json.load(archive.extractfile("manifest.json"))
        config = json.load(archive.extractfile(listed[1]["Config"]))
    assert len(names) == len(set(names))
    assert [one["RepoTags"] for one in listed] == [["lab/a:1"], ["lab/b:1"]]
    assert listed[0]["Layers"] == listed[1]["Layers"][:1]
    assert config["config"]["Entrypoint"] == ["/b"]
    assert config["config"]["User"] == "1000"
    digests = [
        f"sha256:{one.digest}" for one in (Layer.from_file(shared.path), Layer.from_file(own.path))
    ]
    assert config["rootfs"]["diff_ids"] == digests


def test_the_runtime_takes_one_capability_away_and_becomes_runc(tmp_path: Path) -> None:
    runc = tmp_path / "runc"
    runc.write_text('#!/bin/sh\necho "$@"\n')
    runc.chmod(0o700)
    bundle = tmp_path / "bundle"
    bundle.mkdir()
    asked = {"bounding": ["CAP_SYS_RESOURCE", "CAP_NET_RAW"], "effective": ["CAP_SYS_RESOURCE"]}
    (bundle / "config.json").write_text(json.dumps({"process": {"capabilities": asked}}))
    (tmp_path / "process.json").write_text(json.dumps({"capabilities": asked}))
    words = {
        "create": ["create", "--bundle", str(bundle), "one"],
        "exec": ["exec", "--process", str(tmp_path / "process.json"), "one"],
    }
    for argv in words.values():
        done = subprocess.run(
            [sys.executable, "-IS", str(RUNTIME), *argv],
            env={"PATH": f"{tmp_path}:/usr/bin:/bin"},
            capture_output=True,
            text=True,
        )
        assert done.stdout.split() == argv
    left = {"bounding": ["CAP_NET_RAW"], "effective": []}
    assert json.loads((bundle / "config.json").read_text())["process"]["capabilities"] == left
    assert json.loads((tmp_path / "process.json").read_text())["capabilities"] == left


@pytest.mark.parametrize("said", ["", "no newline", "one\ntwo\n", "\n"])
def test_a_containers_own_times_are_told_around_what_the_command_says(said: str) -> None:
    script = ["sh", "-c", f"printf '%s' '{said}' >&2; echo out; exit 7"]
    done = subprocess.run(["sh", "-c", STAMPED, "sh", *script], capture_output=True, text=True)
    first, _, rest = done.stderr.partition("\n")
    told, _, last = rest.rpartition("\n")
    assert (done.returncode, done.stdout, told) == (7, "out\n", said)
    assert float(first) <= float(last)


def test_an_exit_code_is_read_out_of_the_apis_status() -> None:
    causes = {"causes": [{"reason": "ExitCode", "message": "60"}]}
    assert _code(json.dumps({"status": "Success"}).encode(), ["true"]) == 0
    assert _code(json.dumps({"status": "Failure", "details": causes}).encode(), ["curl"]) == 60
    with pytest.raises(LabError, match="no such program"):
        _code(b'{"status": "Failure", "message": "no such program"}', ["nonesuch"])
    with pytest.raises(ClusterGone):
        _code(b"", ["curl"])


@pytest.mark.parametrize("altered", ["mesh", "kind", "runtime"])
def test_no_image_is_made_of_an_altered_program(altered: str, tmp_path: Path) -> None:
    sets: dict[str, Path] = {}
    for name in ("mesh", "kind", "runtime"):
        sets[name] = tmp_path / name
        make = partial(_one_program, f"of {name}")
        cache.obtain(sets[name], make, lambda _line: None)
    program = sets[altered] / "program"
    program.write_text("another")
    mesh = binaries.Binaries(sets["mesh"], Stack("", "", "", "", ""))
    built = Built(Programs(mesh, sets["kind"], sets["runtime"]), lambda _line: None)
    with pytest.raises(LabError, match=f"{program} was changed or removed"):
        built._make(tmp_path)


def _one_program(content: str, folder: Path) -> None:
    (folder / "program").write_text(content)


def test_both_kinds_of_cluster_are_built_of_the_same_versions() -> None:
    def pins(stack: str) -> dict[str, str]:
        text = (binaries.source(stack).folder / "go.mod").read_text()
        return dict(re.findall(r"^\t(\S+) (v\S+)", text, re.MULTILINE))

    embedded, kind = pins("1.31"), pins("1.31-kind")
    assert len(embedded) > 100
    assert {name: kind.get(name) for name in embedded} == embedded
