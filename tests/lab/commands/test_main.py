"""The command line: answers before any set-up, and plain words for every mistake."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lab.model import store


def lab(*words: str, bare: bool = False, **env: str) -> subprocess.CompletedProcess[str]:
    """`istio-lab`; bare: without any installed package."""
    argv = [sys.executable, *(["-S"] if bare else []), "-m", "lab", *words]
    return subprocess.run(
        argv, cwd=store.ROOT, capture_output=True, text=True, env={**os.environ, **env}, timeout=60
    )


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["list"], "tcp_mtls"),
        (["show"], "not reproduced"),
        (["show", "tcp_mtls"], "16 03 01"),
        (["doctor"], "ok"),
        (["why", "recorded", "tcp_mtls"], "NOT REPRODUCED"),
        (["help"], "reproduce failures"),
    ],
)
def test_it_answers_with_the_standard_library_alone(words: list[str], told: str) -> None:
    done = lab(*words, bare=True)
    assert done.returncode == 0, done.stderr
    assert told in done.stdout


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["rnu"], "did you mean run?"),
        (["show", "tcp_mtl"], "tcp_mtls"),
        (["run", "--fast"], "--help"),
        (["up", "--cluster", "moon"], "no cluster 'moon'"),
        (["up", "--cluster", "recorded"], "run --cluster recorded"),
        (["run", "tcp_mlts"], "did you mean tcp_mtls?"),
        (["run", "tcp_mtls", "--params", "prot_name=udp-foo"], "did you mean port_name?"),
        (["run", "tcp_mtls", "--params", "mtls=STRIKT"], "did you mean STRICT?"),
        (["run", "tcp_mtls", "--params", "mtls"], "NAME=VALUE"),
        (["run", "tcp_mtls", "--cluster", "kin"], "did you mean kind?"),
        (["run", "tcp_mtls", "--cluster", "recordd"], "did you mean recorded?"),
        (["run", "tcp_mtls", "--on-inconclusive", "ignore"], "fail"),
        (["judge", "19990101T000000Z-0000"], "no run"),
        (["exec", "pod"], "-- COMMAND"),
    ],
)
def test_a_mistake_ends_with_254_and_one_sentence(
    words: list[str], told: str, tmp_path: Path
) -> None:
    done = lab(*words, LAB_RUNS=str(tmp_path))
    assert done.returncode == 254, done.stderr
    assert told in done.stderr
    assert "Traceback" not in done.stderr
    assert not done.stdout
    assert not [*tmp_path.iterdir()], "nothing was begun"


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("LAB_BINARIES", "oficial", "did you mean official?"),
        ("LAB_NODES", "three", "NODES=three is not a number of nodes"),
        ("LAB_PODS", "0", "PODS=0 is not a number of pods"),
        ("LAB_CLUSTER", "embeded", "did you mean embedded?"),
        ("LAB_CLUSTER", "context:nowhere", "no context 'nowhere'"),
    ],
)
def test_a_choice_that_there_is_not_is_refused_before_a_run_begins(
    name: str, value: str, told: str, tmp_path: Path
) -> None:
    done = lab("run", "tcp_mtls", LAB_RUNS=str(tmp_path / "runs"), **{name: value})
    assert (done.returncode, done.stdout) == (254, "")
    assert told in done.stderr
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(("code", "becomes"), [(0, 0), (1, 1), (3, 0), (255, 255)])
@pytest.mark.parametrize("on_github", ["", "true"])
def test_only_what_is_inconclusive_becomes_a_warning(
    code: int,
    becomes: int,
    on_github: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from lab.commands.run import soften

    monkeypatch.setenv("GITHUB_ACTIONS", on_github)
    assert soften(code) == becomes
    mark = "::warning::" if on_github else "WARNING: "
    assert capsys.readouterr().out.startswith(mark) is (code == 3)


@pytest.mark.slow
def test_a_run_that_is_inconclusive_ends_with_0_where_that_was_asked_for(tmp_path: Path) -> None:
    """Replayed, of a copy of the lab whose recorded evidence lacks a capture."""
    copy = tmp_path / "lab"
    spared = shutil.ignore_patterns(".git", ".venv", "runs", "tests", "__pycache__", ".*_cache")
    shutil.copytree(store.ROOT, copy, ignore=spared)
    (copy / "evidence" / "rest_mtls" / "captures" / "posted-client-eth0.pcap").unlink()
    words = ["run", "rest_mtls", "--cluster", "recorded", "--on-inconclusive=warn"]
    argv = [sys.executable, "-m", "lab", *words]
    env = {**os.environ, "PYTHONPATH": str(copy), "LAB_RUNS": str(tmp_path / "runs")}
    done = subprocess.run(argv, cwd=copy, capture_output=True, text=True, env=env)
    assert done.returncode == 0, done.stdout
    assert "WARNING: a verdict is inconclusive or new" in done.stdout
    kept = json.loads((tmp_path / "runs" / "latest" / "summary.json").read_text())
    assert kept["exit_code"] == 3, "what was found is stored as it was"


def test_without_its_packages_a_command_says_how_to_get_them() -> None:
    done = lab("status", bare=True)
    assert done.returncode == 255
    assert "make env, then istio-lab status" in done.stderr
    assert "Traceback" not in done.stderr


def test_preview_says_what_a_first_build_costs_and_how_to_undo_it(tmp_path: Path) -> None:
    done = lab("preview", bare=True, LAB_CACHE=str(tmp_path / "none"))
    for word in ("minutes", "GB", str(tmp_path), "undo", "RECORDED", "C2"):
        assert word in done.stdout
    assert not (tmp_path / "none").exists()


def test_the_doctor_names_all_that_is_missing_at_once_and_one_command(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom clusters.doctor import machine\nfrom lab.__main__ import main\n"
        f"machine.SYSTEM_PATH = {str(tmp_path)!r}\nsys.exit(main(['doctor', *sys.argv[1:]]))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "--tests"], cwd=store.ROOT, capture_output=True, text=True
    )
    assert done.returncode == 1
    command = done.stdout.strip().splitlines()[-1]
    for package in ("iptables", "bubblewrap", "tcpdump", "tshark", "uidmap", "iproute2"):
        assert package in command
    assert done.stdout.count("MISSING") >= 9


def test_doctor_fix_calls_the_package_manager_for_all_that_is_missing(tmp_path: Path) -> None:
    """A stand-in for apt-get keeps what it was told; it installs nothing."""
    called, stand_in = tmp_path / "called", tmp_path / "bin" / "apt-get"
    stand_in.parent.mkdir()
    stand_in.write_text(f'#!/bin/sh\necho "$DEBIAN_FRONTEND $*" >> {called}\n')
    stand_in.chmod(0o755)
    code = (
        "import os, sys\nfrom clusters.doctor import machine\nfrom lab.__main__ import main\n"
        f"machine.SYSTEM_PATH = {str(tmp_path / 'empty')!r}\nos.getuid = lambda: 0\n"
        "sys.exit(main(['doctor', '--fix', '--quiet']))\n"
    )
    path = f"{stand_in.parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=store.ROOT,
        capture_output=True,
        text=True,
        env={**os.environ, "PATH": path},
    )
    update, install = called.read_text().splitlines()
    assert re.fullmatch("noninteractive .* update -qq", update)
    packages = "bubblewrap curl iproute2 iptables tcpdump util-linux"
    assert re.fullmatch(f"noninteractive .* install -y .* {packages}", install)
    assert f"install -y -qq --no-install-recommends {packages}" in done.stdout
    assert done.returncode == 1, "it looks again, and all is still missing"


def test_doctor_without_fix_installs_nothing(tmp_path: Path) -> None:
    stand_in = tmp_path / "apt-get"
    stand_in.write_text(f"#!/bin/sh\ntouch {tmp_path / 'called'}\n")
    stand_in.chmod(0o755)
    code = (
        "import sys\nfrom clusters.doctor import machine\nfrom lab.__main__ import main\n"
        f"machine.SYSTEM_PATH = {str(tmp_path / 'empty')!r}\nsys.exit(main(['doctor']))\n"
    )
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    env = {**os.environ, "PATH": path}
    done = subprocess.run([sys.executable, "-c", code], cwd=store.ROOT, env=env)
    assert done.returncode == 1
    assert not (tmp_path / "called").exists()
