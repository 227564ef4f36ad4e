"""Runs that somebody else made, or that were damaged: one sentence, the right code, no more."""

from __future__ import annotations

import hashlib
import json
import os
import re
import resource
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

from lab import failures
from lab.__main__ import main
from lab.common import untrusted
from lab.judge import stored
from lab.model import store
from lab.notebook import execute
from lab.render import explain

FAILURE = "rest_mtls"
RUN = "20260101T000000Z-0000"
EVIDENT = "captures/posted-client-eth0.pcap"
"""A capture that verdicts rest on."""
CANARY = "words-that-lie-outside"
Damage = Callable[[Path], object]

_OPENED: list[str] = []
sys.addaudithook(lambda event, about: _OPENED.append(str(about[0])) if event == "open" else None)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A stored run beside a folder that is not its own."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "file").write_text(CANARY)
    folder = tmp_path / "runs" / RUN
    shutil.copytree(store.RECORDED / FAILURE, folder / FAILURE)
    (folder / "summary.json").write_text("{}")
    monkeypatch.setenv("LAB_RUNS", str(folder.parent))
    monkeypatch.delenv("LAB_RUN", raising=False)
    _OPENED.clear()
    yield folder
    outside = [path for path in _OPENED if path.startswith(str(tmp_path / "outside"))]
    assert outside == []


def rewritten(**changes: Any) -> Damage:
    """evidence.json with other values at its top."""
    return edited(lambda value: value.update(changes))


def edited(change: Callable[[Any], object]) -> Damage:
    def damage(place: Path) -> None:
        path = place / "evidence.json"
        value = json.loads(path.read_text())
        change(value)
        path.write_text(json.dumps(value))

    return damage


def text(content: str | bytes, name: str = "evidence.json") -> Damage:
    data = content if isinstance(content, bytes) else content.encode()
    return lambda place: (place / name).write_bytes(data)


def instead(make: Callable[[Path], object], name: str = "evidence.json") -> Damage:
    """Something else under the name of a file."""

    def damage(place: Path) -> None:
        path = place / name
        path.unlink()
        make(path)

    return damage


def link(path: Path) -> None:
    path.symlink_to(path.parents[path.parts[::-1].index("runs")] / "outside" / "file")


def cut(place: Path) -> None:
    path = place / "evidence.json"
    path.write_bytes(path.read_bytes()[:9000])


def world(value: Any, name: str) -> Any:
    """A world under another name."""
    value["worlds"][name] = {**value["worlds"].pop("posted"), "name": name}
    for call in value["calls"]:
        call["world"] = name if call["world"] == "posted" else call["world"]


def capture(value: Any) -> Any:
    return next(one for one in value["worlds"]["posted"]["captures"] if one["file"] == EVIDENT)


UNREADABLE: dict[str, tuple[Damage, str]] = {
    "cut off": (cut, "is damaged"),
    "empty": (text(""), "is damaged"),
    "no JSON": (text("evidence: yes"), "is damaged"),
    "no UTF-8": (text(b"\xff\xfe{}"), "is damaged"),
    "a list": (text("[]"), "schema None"),
    "newer": (rewritten(schema=99), "schema 99, this lab reads 3"),
    "of no format": (rewritten(schema=[[]]), "schema [[]]"),
    "calls that are none": (rewritten(calls=7), "evidence.calls: expected a list, found 7"),
    "a stack of numbers": (rewritten(stack={"istio": 1.31}), "stack.istio: expected text"),
    "half a stack": (rewritten(stack={"istio": "1.31"}), "the stack has no kubernetes"),
    "a field too many": (rewritten(verdict="reproduced"), "has 'verdict', which is unknown"),
    "a time that is none": (
        edited(lambda v: v["calls"][0].update(started="noon")),
        "calls[0].started: expected a number, found 'noon'",
    ),
    "a number without end": (
        edited(lambda v: v["calls"][0].update(status=10**400)),
        "calls[0].status is a number beyond all measure",
    ),
    "a number too long to read": (text('{"schema": ' + "9" * 10**5 + "}"), "is damaged"),
    "infinity": (text('{"schema": 3, "started": {"istiod": 1e999}}'), "1e999 is no number"),
    "not a number": (text('{"schema": NaN}'), "NaN is no number"),
    "nested deeply": (text("[" * 10**6), "nested too deeply"),
    "larger than any": (text(b'"' + b"a" * (17 << 20) + b'"'), "larger than 16 MiB"),
    "missing": (lambda place: (place / "evidence.json").unlink(), "cannot be read"),
    "a FIFO": (instead(os.mkfifo), "is not a regular file"),
    "a folder": (instead(Path.mkdir), "cannot be read: Is a directory"),
    "a device": (instead(lambda path: path.symlink_to("/dev/zero")), "lies outside"),
    "a link that leads out": (instead(link), "lies outside"),
    "a link to itself": (instead(lambda path: path.symlink_to(path)), "cannot be read"),
    "of another failure": (rewritten(failure="tcp_mtls"), "holds evidence of 'tcp_mtls'"),
    "a world that calls itself another": (
        edited(lambda v: v["worlds"]["posted"].update(name="../../outside/file")),
        "calls itself '../../outside/file'",
    ),
    "a capture's name that leads out": (
        edited(lambda v: capture(v).update(file="../../../outside/file")),
        "lies outside",
    ),
    "an absolute name": (
        edited(lambda v: capture(v).update(file="/etc/passwd")),
        "lies outside",
    ),
    "no name at all": (edited(lambda v: capture(v).update(file="a\0b")), "is no name of a file"),
    "a capture that is a link": (instead(link, EVIDENT), "lies outside"),
    "captures that are too many": (
        lambda place: [
            os.truncate(path, 15 << 20) for path in sorted(place.glob("captures/*"))[:3]
        ],
        "larger than 32 MiB together",
    ),
}


def told(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    """A command's code and all that it printed."""
    code = main([*words])
    out, err = capsys.readouterr()
    assert "Traceback" not in out + err
    assert CANARY not in out + err
    return code, re.sub(r"\s+", " ", out + err)


@pytest.mark.parametrize("command", ["judge", "why"])
@pytest.mark.parametrize("damage", UNREADABLE)
def test_evidence_that_cannot_be_read_is_inconclusive_and_says_why(
    command: str, damage: str, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    harm, wanted = UNREADABLE[damage]
    harm(run / FAILURE)
    code, said = told(capsys, command, RUN)
    assert code == 3
    assert f"{FAILURE}: inconclusive: " in said
    assert wanted in said
    assert said.count("inconclusive") == 1
    assert len(said) < 1200


@pytest.mark.parametrize("damage", UNREADABLE)
def test_of_evidence_that_cannot_be_read_no_packets_are_written(
    damage: str, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    harm, wanted = UNREADABLE[damage]
    harm(run / FAILURE)
    code, said = told(capsys, "pcapng", RUN, "-o", str(tmp_path / "out"))
    assert code == 3
    assert f"{FAILURE}: not written: " in said
    assert wanted in said
    assert not (tmp_path / "out").exists()


def recorded_as(place: Path, content: bytes) -> None:
    """A capture with other content, which the evidence says is what was recorded."""
    path = place / "evidence.json"
    value = json.loads(path.read_text())
    (place / EVIDENT).write_bytes(content)
    capture(value)["sha256"] = hashlib.sha256(content).hexdigest()
    path.write_text(json.dumps(value))


def pcap(*frames: bytes, held: int | None = None) -> bytes:
    header = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, 1)
    sizes = ((held or len(frame), frame) for frame in frames)
    return header + b"".join(struct.pack("<IIII", 0, 0, n, n) + frame for n, frame in sizes)


UNSURE: dict[str, tuple[Damage, str]] = {
    "a capture that is missing": (lambda place: (place / EVIDENT).unlink(), "is missing"),
    "a capture that is cut off": (
        lambda place: os.truncate(place / EVIDENT, 100),
        "is not what was recorded: its sha256 differs",
    ),
    "a capture that is no pcap": (
        lambda place: recorded_as(place, b"GIF89a" * 20),
        "is not a pcap file",
    ),
    "a capture of frames without end": (
        lambda place: recorded_as(place, pcap(b"x" * 60, held=2**32 - 1)),
        "is cut off at byte",
    ),
    "a capture that is a FIFO": (instead(os.mkfifo, EVIDENT), "is not a regular file"),
    "a log that is a FIFO": (
        instead(os.mkfifo, "logs/posted-client.jsonl"),
        "posted-client.jsonl is not a regular file",
    ),
    "a log that is a link": (
        instead(link, "logs/posted-client.jsonl"),
        "posted-client.jsonl lies outside",
    ),
    "a log larger than any": (
        lambda place: os.truncate(place / "logs" / "posted-client.jsonl", 1 << 40),
        "larger than 16 MiB",
    ),
    "settings of a mesh that are none": (
        rewritten(mesh={"config": 7, "root": []}),
        "not such as Istio has",
    ),
    "a call's pod that is not there": (
        edited(lambda v: v["worlds"]["posted"]["pods"].pop("client")),
        "there is no 'client'",
    ),
}


@pytest.mark.parametrize("damage", UNSURE)
def test_damage_to_what_lies_beside_the_evidence_makes_it_inconclusive(
    damage: str, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert told(capsys, "judge", RUN)[0] == 0
    harm, wanted = UNSURE[damage]
    harm(run / FAILURE)
    assert told(capsys, "judge", RUN)[0] == 3
    assert wanted in told(capsys, "why", RUN)[1]


@pytest.mark.parametrize("damage", UNSURE)
def test_of_damaged_captures_and_logs_what_is_sound_is_written(
    damage: str, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    UNSURE[damage][0](run / FAILURE)
    code, said = told(capsys, "pcapng", RUN, "-o", str(tmp_path / "out"))
    assert code in (0, 3)
    assert (tmp_path / "out" / FAILURE / "plain-get.pcapng").exists()
    assert (code == 3) == (said.count("not written: ") > 2), "two calls are to the API server"


@pytest.mark.parametrize("make", [os.mkfifo, link, Path.mkdir])
def test_a_configuration_that_cannot_be_read_is_an_unknown_plane(
    make: Callable[[Path], object], run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    instead(make, "config/posted-client.json")(run / FAILURE)
    told(capsys, "judge", RUN)
    assert "control plane says unknown" in told(capsys, "why", RUN)[1]


@pytest.mark.parametrize("content", ["", '{"claims": 7}', "[" * 10**6, '{"exit_code": 0}'])
def test_a_stored_verdict_is_never_believed(
    content: str, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = told(capsys, "why", RUN)
    (run / FAILURE / "verdict.json").write_text(content)
    assert told(capsys, "judge", RUN)[0] == 0
    assert told(capsys, "why", RUN) == before


@pytest.mark.parametrize("content", ["", '{"claims": 7}', '{"claims": [7]}', "[7]"])
def test_an_older_run_whose_verdict_is_damaged_is_passed_over(content: str, run: Path) -> None:
    """The verdict is of a later run than the only one that is stored."""
    verdict = stored.judge_all([failures.load(FAILURE)], run)[0][0]
    assert verdict.run > run.name
    assert run.name in explain._last_agreed(verdict, "C0")
    (run / FAILURE / "verdict.json").write_text(content)
    assert explain._last_agreed(verdict, "C0") == ""


def test_without_a_verdict_the_end_of_the_notebooks_log_is_told_unless_it_is_no_file(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (run / FAILURE / "verdict.json").unlink()
    assert "no output" in told(capsys, "judge", RUN)[1]
    os.mkfifo(run / FAILURE / "notebook.log")
    code, said = told(capsys, "judge", RUN)
    assert code == 3
    assert "notebook.log is not a regular file" in said


def test_a_failures_folder_that_is_a_link_is_not_entered(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    outside = run.parents[1] / "outside" / FAILURE
    shutil.move(run / FAILURE, outside)
    (run / FAILURE).symlink_to(outside)
    code, said = told(capsys, "judge", RUN)
    assert code == 3
    assert "lies outside the evidence" in said


def test_a_comparison_with_what_cannot_be_read_is_unsure(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cut(run / FAILURE)
    code, said = told(capsys, "compare", RUN, "recorded")
    assert code == 3
    assert "is damaged" in said


def test_what_evidence_says_cannot_command_a_terminal(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    edited(lambda v: [call.update(typed="\x1b]52;c;eA==\x07\ud800") for call in v["calls"]])(
        run / FAILURE
    )
    code = main(["why", RUN])
    out, _ = capsys.readouterr()
    assert code == 0
    assert "\x1b" not in out
    assert "\ud800" not in out


@pytest.fixture
def recorded(run: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same as what is committed."""
    monkeypatch.setattr(store, "RECORDED", run)
    monkeypatch.setenv("LAB_CLUSTER", "recorded")
    return run / FAILURE


@pytest.mark.parametrize("words", [["show", FAILURE], ["why", "recorded", FAILURE]])
def test_a_recording_that_is_damaged_is_refused_in_one_sentence(
    words: list[str], recorded: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cut(recorded)
    code, said = told(capsys, *words)
    assert code == 255
    assert said.startswith("lab: ")
    assert "is damaged" in said


@pytest.mark.parametrize("damage", ["cut off", "a FIFO", "a link that leads out", "nested deeply"])
def test_a_notebook_shows_one_sentence_and_no_traceback(
    damage: str, recorded: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    harm, wanted = UNREADABLE[damage]
    harm(recorded)
    quiet = Config({"HistoryManager": {"enabled": False}})
    shell = InteractiveShell.instance(config=quiet)
    try:
        shell.run_cell(f"import lab; lab.open_run({FAILURE!r}, cluster='recorded')")
    finally:
        InteractiveShell.clear_instance()
    out, err = capsys.readouterr()
    assert re.fullmatch(r"lab: [^\n]+\n", out + err), out + err
    assert wanted in out


def test_a_link_in_a_recording_is_not_copied_into_a_run(
    recorded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import lab

    link(recorded / "logs" / "more.jsonl")
    os.mkfifo(recorded / "logs" / "pipe")
    monkeypatch.setenv("LAB_RUN", str(tmp_path / "made"))
    lab.open_run(FAILURE, cluster="recorded").verdict()
    made = tmp_path / "made" / FAILURE / "logs"
    assert (made / "posted-client.jsonl").exists()
    assert not untrusted.is_there(made / "more.jsonl")
    assert not untrusted.is_there(made / "pipe")


@pytest.mark.parametrize("content", [b"", b"{", b'{"cells": 7}', b"[" * 10**6, b"\xff"])
def test_a_damaged_notebook_is_refused_before_anything_is_begun(
    content: bytes, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    (tmp_path / f"{FAILURE}.ipynb").write_bytes(content)
    monkeypatch.setattr(execute, "NOTEBOOKS", tmp_path)
    code, said = told(capsys, "run", FAILURE, "--cluster", "recorded")
    assert code == 255
    assert f"{FAILURE}.ipynb is damaged" in said
    assert [path.name for path in run.parent.iterdir()] == [RUN]


BOMBS: dict[str, Damage] = {
    "evidence that is all brackets": text(
        b'{"schema": 3, "mesh": [' + b"[]," * (5 << 20) + b"[]]}"
    ),
    "a capture of the smallest frames": lambda place: recorded_as(
        place, pcap(*[b"\0" * 12 + b"\x08\0" + SMALLEST] * 210_000)
    ),
    "a log of one line": text(b"{" * (15 << 20), "logs/posted-client.jsonl"),
    "a configuration without an end": text(b'{"a":' * (3 << 20), "config/posted-client.json"),
}
SMALLEST = (
    struct.pack(">BBHHHBBH8s", 0x45, 0, 40, 0, 0, 64, 6, 0, b"\n\1\0\1\n\1\0\2") + b"\x50" * 20
)


@pytest.mark.parametrize("damage", BOMBS)
@pytest.mark.slow
def test_a_bomb_takes_less_than_a_gigabyte_and_a_minute(damage: str, run: Path) -> None:
    BOMBS[damage](run / FAILURE)

    def bounded() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
        resource.setrlimit(resource.RLIMIT_CPU, (60, 60))

    done = subprocess.run(
        [sys.executable, "-m", "lab", "judge", RUN],
        cwd=store.ROOT,
        capture_output=True,
        text=True,
        preexec_fn=bounded,
    )
    assert done.returncode in (0, 3), done.stderr
    assert "Traceback" not in done.stderr
    assert "MemoryError" not in done.stdout
