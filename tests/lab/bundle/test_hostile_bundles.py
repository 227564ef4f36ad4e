"""Bundles that somebody else made, or altered: one sentence, code 3, and nothing is left."""

from __future__ import annotations

import gzip
import hashlib
import os
import resource
import subprocess
import sys
import tarfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import bundles
import pytest
from bundles import NAME

from lab.__main__ import main
from lab.bundle import MANIFEST, limits, manifest
from lab.model import store

CAPTURE = "rest_mtls/captures/posted-client-eth0.pcap"
LOG = "rest_mtls/logs/posted-client.jsonl"
Files = dict[str, bytes]


def sound() -> bytes:
    return bundles.of("rest_mtls", "tcp_mtls")


def held() -> Files:
    return bundles.files(sound())


def with_sums(files: Files) -> Files:
    """The same, with a manifest that says so: whoever alters files can alter that too."""
    sums = {p: hashlib.sha256(c).hexdigest() for p, c in files.items() if p != MANIFEST}
    return {**files, MANIFEST: manifest.text(sums).encode()}


def special(kind: bytes, name: str, target: str = "", size: int = 0) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname, member.size = kind, target, size
    return member


def outside(name: str) -> bytes:
    """A whole bundle with one file more, of a name that leads elsewhere."""
    files = {f"{NAME}/{path}": content for path, content in held().items()}
    return gzip.compress(bundles.tar_of({**files, name: b"out"}), 1)


def beside(member: tarfile.TarInfo) -> bytes:
    return bundles.closed(held(), member)


def changed(change: Callable[[Files], object]) -> bytes:
    files = held()
    change(files)
    return bundles.closed(files)


ALTERED: dict[str, tuple[Callable[[Files], object], str]] = {
    "altered": (lambda f: f.update({LOG: f[LOG] + b" "}), f"{LOG} is altered"),
    "missing": (lambda f: f.pop(CAPTURE), f"{CAPTURE} is missing"),
    "additional": (
        lambda f: f.update({"rest_mtls/logs/more.jsonl": b"{}"}),
        "rest_mtls/logs/more.jsonl is additional",
    ),
    "two at once": (
        lambda f: (f.pop(CAPTURE), f.update({LOG: b""})),
        f"{CAPTURE} is missing; {LOG} is altered",
    ),
    "several": (
        lambda f: [f.pop(path) for path in sorted(f) if path.startswith("tcp_mtls/logs/")],
        "more are missing",
    ),
    "no manifest": (lambda f: f.pop(MANIFEST), f"it holds no {MANIFEST}"),
    "half a manifest": (lambda f: f.update({MANIFEST: f[MANIFEST][:-60]}), "is damaged"),
    "a manifest without sums": (lambda f: f.update({MANIFEST: b"all is well\n"}), "is damaged"),
    "a manifest of nothing": (lambda f: f.update({MANIFEST: b""}), "are additional"),
    "a manifest that says it twice": (
        lambda f: f.update({MANIFEST: f[MANIFEST] + f[MANIFEST].splitlines(True)[0]}),
        "is damaged",
    ),
}
HOSTILE: dict[str, tuple[Callable[[], bytes], str]] = {
    "empty": (lambda: b"", "it holds no"),
    "no archive": (lambda: b"GIF89a" * 100, "it is not a bundle"),
    "cut off": (lambda: sound()[:-2000], "it is not a bundle, or it is damaged"),
    "a tar that is cut off": (
        lambda: gzip.compress(gzip.decompress(sound())[:700], 1),
        "cut off",
    ),
    "no tar": (lambda: gzip.compress(b"x" * 2000), "it is not a bundle"),
    "a sum of a header that is wrong": (
        lambda: gzip.compress(b"y" + gzip.decompress(sound())[1:], 1),
        "it is not a bundle",
    ),
    "a path upwards": (lambda: outside(f"{NAME}/../../out"), "not a name that a bundle may hold"),
    "a path upwards at once": (lambda: outside("../out"), "not a name that a bundle may hold"),
    "an absolute path": (lambda: outside("/tmp/out"), "not a name that a bundle may hold"),
    "a second folder": (lambda: outside("other/out"), "outside the one folder"),
    "a file beside the folder": (lambda: outside("out"), "outside the one folder"),
    "a folder that is hidden": (lambda: outside(f"{NAME}/.git/hooks"), "not a name that"),
    "a drive": (lambda: outside(f"{NAME}/C:out"), "not a name that a bundle may hold"),
    "a backslash": (lambda: outside(f"{NAME}/a\\..\\out"), "not a name that a bundle may hold"),
    "a command for the terminal": (lambda: outside(f"{NAME}/\x1b[2J"), "not a name that"),
    "a deep path": (
        lambda: outside(f"{NAME}/" + "a/" * 9 + "b"),
        "not a name that a bundle may hold",
    ),
    "a file below a file": (
        lambda: outside(f"{NAME}/{LOG}/more"),
        f"it holds {NAME}/{LOG}/more twice",
    ),
    "a symbolic link": (
        lambda: beside(special(tarfile.SYMTYPE, f"{NAME}/out", "/etc/passwd")),
        "neither a file nor a folder",
    ),
    "a hard link": (
        lambda: beside(special(tarfile.LNKTYPE, f"{NAME}/out", "/etc/passwd")),
        "neither a file nor a folder",
    ),
    "a FIFO": (lambda: beside(special(tarfile.FIFOTYPE, f"{NAME}/out")), "neither a file nor"),
    "a device": (lambda: beside(special(tarfile.CHRTYPE, f"{NAME}/out")), "neither a file nor"),
    "a sparse file": (
        lambda: beside(special(tarfile.GNUTYPE_SPARSE, f"{NAME}/out")),
        "neither a file nor a folder",
    ),
    "an extended header": (
        lambda: gzip.compress(
            bundles.tar_of({f"{NAME}/{'a' * 300}": b"x"}, form=tarfile.PAX_FORMAT)
        ),
        "neither a file nor a folder",
    ),
    "a file that says to be huge": (
        lambda: gzip.compress(
            special(tarfile.REGTYPE, f"{NAME}/a", size=1 << 40).tobuf(tarfile.GNU_FORMAT)
        ),
        "too large or cut off",
    ),
    "a file of less than nothing": (
        lambda: gzip.compress(
            special(tarfile.REGTYPE, f"{NAME}/a", size=-512).tobuf(tarfile.GNU_FORMAT)
        ),
        "too large or cut off",
    ),
    "a file larger than any": (
        lambda: bundles.closed({"a": os.urandom(1 << 18) * 65}),
        "too large or cut off",
    ),
    "files without end": (
        lambda: bundles.closed({f"f{i}": os.urandom(16) for i in range(limits.FILES + 1)}),
        f"more than {limits.FILES} files",
    ),
    "a bomb": (lambda: gzip.compress(bytes(200 << 20), 9), "unpacks to more than"),
    "a bomb of little": (lambda: gzip.compress(bytes(3 << 20), 9), "unpacks to more than 1 MiB"),
    "a file twice": (
        lambda: gzip.compress(
            bundles.tar_of({f"{NAME}/a": b"1"})[:1024] + bundles.tar_of({f"{NAME}/a": b"2"})
        ),
        "it holds a twice",
    ),
    "a manifest twice": (
        lambda: gzip.compress(
            bundles.tar_of({f"{NAME}/{MANIFEST}": b""})[:512]
            + bundles.tar_of({f"{NAME}/{MANIFEST}": b""})
        ),
        f"it holds {MANIFEST} twice",
    ),
    "something after its end": (
        lambda: gzip.compress(gzip.decompress(sound()) + b"more", 1),
        "it goes on after its end",
    ),
}
HOSTILE |= {
    f"a file that is {name}": (partial(changed, change), told)
    for name, (change, told) in ALTERED.items()
}


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where bundles lie, with a folder of one's own for what is unpacked."""
    (tmp_path / "temporary").mkdir()
    (tmp_path / "bundles").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.setenv("LAB_RUNS", str(tmp_path / "runs"))
    return tmp_path / "bundles"


def listing(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("what", HOSTILE)
def test_nothing_is_concluded_of_it_and_one_sentence_says_why(
    what: str, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make, wanted = HOSTILE[what]
    (place / "b.tar.gz").write_bytes(make())
    before = listing(place.parent)
    assert main(["judge", str(place / "b.tar.gz")]) == 3
    out, err = capsys.readouterr()
    assert wanted in err
    assert err.startswith("lab: b.tar.gz: ")
    assert err.count("\n") == 1
    assert out == ""
    assert "\x1b" not in err
    assert len(err) < 600
    assert listing(place.parent) == before, "nothing is left, inside or out"


@pytest.mark.parametrize("words", [["why"], ["compare", "recorded"]])
def test_it_is_not_explained_or_compared_either(
    words: list[str], place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (place / "b.tar.gz").write_bytes(changed(ALTERED["altered"][0]))
    assert main([*words, str(place / "b.tar.gz")]) == 3
    out, err = capsys.readouterr()
    assert f"{LOG} is altered" in err
    assert out == ""


def test_the_others_are_judged_all_the_same(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (place / "bad.tar.gz").write_bytes(b"no")
    (place / "good.tar.gz").write_bytes(sound())
    assert main(["judge", str(place / "bad.tar.gz"), str(place / "good.tar.gz")]) == 3
    assert "C2" in capsys.readouterr().out


def test_whoever_alters_the_manifest_too_is_met_by_the_evidence(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = held()
    files[CAPTURE] += b"\0"
    (place / "b.tar.gz").write_bytes(bundles.closed(with_sums(files)))
    assert main(["judge", str(place / "b.tar.gz")]) == 3
    assert main(["why", str(place / "b.tar.gz"), "rest_mtls"]) == 0
    assert "is not what was recorded: its sha256 differs" in capsys.readouterr().out


def test_one_that_a_person_packed_again_with_tar_is_as_good(place: Path) -> None:
    folder = bundles.unpacked(sound(), place)
    argv = ["tar", "--owner=0", "-czf", "again.tar.gz", folder.name]
    subprocess.run(argv, cwd=place, check=True)
    assert main(["judge", str(place / "again.tar.gz")]) == 0


def test_an_archive_larger_than_any_is_not_read(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with (place / "b.tar.gz").open("wb") as file:
        file.truncate(limits.PACKED + 1)
    assert main(["judge", str(place / "b.tar.gz")]) == 3
    assert "larger than 64 MiB" in capsys.readouterr().err


@pytest.mark.parametrize("make", [os.mkfifo, Path.mkdir, lambda path: path.symlink_to(path)])
def test_what_is_no_file_is_no_bundle(make: Callable[[Path], object], place: Path) -> None:
    make(place / "b.tar.gz")
    assert main(["judge", str(place / "b.tar.gz")]) == 254


def test_a_bomb_is_stopped_before_it_fills_the_memory(place: Path) -> None:
    (place / "b.tar.gz").write_bytes(gzip.compress(bytes(400 << 20), 1))

    def bounded() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
        resource.setrlimit(resource.RLIMIT_CPU, (60, 60))

    argv = [sys.executable, "-m", "lab", "judge", str(place / "b.tar.gz")]
    done = subprocess.run(argv, cwd=store.ROOT, capture_output=True, text=True, preexec_fn=bounded)
    assert done.returncode == 3, done.stderr
    assert "unpacks to more than" in done.stderr
