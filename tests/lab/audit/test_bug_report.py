"""Archives of `istioctl bug-report`: what is read of them, and what is refused."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from pathlib import Path

import pytest

from lab.audit import bug_report, folder
from lab.commands.line import main
from lab.common.errors import BadEvidence
from lab.model import store


def archive(path: Path, files: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as made:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            made.addfile(member, io.BytesIO(content))
    return path


def dumps() -> dict[str, bytes]:
    """The configurations of a failure's posted world, named as a bug report names them."""
    found = (store.RECORDED / "wrong_version_number" / "config").glob("posted-*.json.gz")
    return {
        f"bug-report/proxies/shop/{path.name}/config_dump?include_eds": gzip.decompress(
            path.read_bytes()
        )
        for path in found
        if "remedies" not in path.name
    }


def test_an_archive_is_audited_as_the_files_in_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    logs = {"bug-report/proxies/shop/web/istio-proxy.log": b"{", "bug-report/versions": b"1.31"}
    made = archive(tmp_path / "bug-report.tar.gz", {**dumps(), **logs})
    plain = tmp_path / "plain"
    plain.mkdir()
    for number, content in enumerate(dumps().values()):
        (plain / f"{number}.json").write_bytes(content)
    told = []
    for asked in (made, plain):
        file = tmp_path / "audit.json"
        assert main(["audit", str(asked), "--json", str(file)]) == 1
        told.append(json.loads(file.read_text())["findings"])
    capsys.readouterr()
    assert told[0]
    assert told[0] == told[1]


def test_objects_of_an_archive_are_read_as_yaml(tmp_path: Path) -> None:
    listed = b"apiVersion: v1\nkind: List\nitems:\n- {kind: Pod, metadata: {name: web}}\n"
    made = archive(tmp_path / "r.tgz", {"bug-report/cluster/k8s-resources": listed})
    found = folder.read([made]).objects.every
    assert [(one["kind"], one["metadata"]["name"]) for one in found] == [("Pod", "web")]


def test_no_file_of_an_archive_is_written_outside_its_folder(tmp_path: Path) -> None:
    files = {"../../k8s-resources": b"kind: Pod\n", "/crs": b"kind: Pod\n"}
    place = bug_report.unpack(archive(tmp_path / "r.tgz", files))
    assert len([*place.rglob("*/*")]) == 2
    assert not (tmp_path.parent / "k8s-resources").exists()


def test_what_is_damaged_or_too_large_is_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = archive(tmp_path / "r.tgz", dumps()).read_bytes()
    for wrong in (b"", b"no archive", whole[: len(whole) // 2]):
        (tmp_path / "wrong.tgz").write_bytes(wrong)
        with pytest.raises(BadEvidence, match=r"wrong\.tgz is damaged"):
            folder.read([tmp_path / "wrong.tgz"])
    monkeypatch.setattr(bug_report, "MOST", 1000)
    with pytest.raises(BadEvidence, match="unpacks to more than"):
        folder.read([tmp_path / "r.tgz"])
