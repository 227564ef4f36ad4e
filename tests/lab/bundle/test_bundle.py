"""A run as one archive: the same each time, read by others' libraries, judged as the run is."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import re
import shutil
import struct
import subprocess
from pathlib import Path
from typing import Any

import bundles
import jsonschema
import junitparser
import pytest
import recordings
import rocrate
from google.protobuf import json_format
from in_toto_attestation.predicates.test_result.v0 import test_result_pb2
from in_toto_attestation.v1 import statement_pb2
from in_toto_attestation.v1.statement import Statement
from rocrate.rocrate import ROCrate

from lab import failures
from lab.__main__ import main
from lab.bundle import CRATE, CTRF, JUNIT, MANIFEST, STATEMENT, about, ctrf, limits, pack, statement
from lab.common.errors import BadEvidence
from lab.judge import results
from lab.model import store

FAILURE = "rest_mtls"
RUN = "20260101T000000Z-0000"
SUMMARY = {
    "command": "make reproduce FAILURE=rest_mtls",
    "checkout": {"commit": "a" * 40, "dirty": True},
}


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stored run of one failure."""
    folder = tmp_path / "runs" / RUN
    shutil.copytree(store.RECORDED / FAILURE, folder / FAILURE)
    (folder / "summary.json").write_text(json.dumps(SUMMARY))
    monkeypatch.setenv("LAB_RUNS", str(folder.parent))
    return folder


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle of all that is recorded, unpacked. Tests only read it."""
    return bundles.unpacked(bundles.recorded().archive, tmp_path_factory.mktemp("bundle"))


def read(path: Path) -> Any:
    return json.loads(path.read_text())


def answers() -> list[str]:
    """The name of every answer and remedy, from the verdicts themselves."""
    verdicts = recordings.verdicts()
    told = [
        f"{v.failure} {c.id} {name}" for v in verdicts for c in v.claims for name, _ in c.answers
    ]
    return told + [f"{v.failure} remedy {one.name}" for v in verdicts for one in v.remedies]


def test_the_same_run_gives_the_same_bytes_wherever_and_whenever_it_is_packed(
    run: Path, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere" / RUN
    shutil.copytree(run, elsewhere)
    for path in elsewhere.rglob("*.pcap"):
        os.utime(path, (1, 1))
        path.chmod(0o600)
    assert pack.pack(run, RUN).archive == pack.pack(elsewhere, RUN).archive


def test_sha256sum_checks_every_file_of_it(opened: Path) -> None:
    done = subprocess.run(
        ["sha256sum", "--strict", "-c", MANIFEST], cwd=opened, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    there = {str(p.relative_to(opened)) for p in opened.rglob("*") if p.is_file()} - {MANIFEST}
    assert {line.removesuffix(": OK") for line in done.stdout.splitlines()} == there
    assert len(there) > 200


def test_in_totos_own_library_reads_the_statement_and_finds_every_answer_passed(
    opened: Path,
) -> None:
    told = read(opened / STATEMENT)
    parsed = json_format.ParseDict(told, statement_pb2.Statement())
    Statement.copy_from_pb(parsed).validate()
    assert parsed.predicate_type == "https://in-toto.io/attestation/test-result/v0.1"
    tests = json_format.ParseDict(told["predicate"], test_result_pb2.TestResult())
    assert tests.result == "PASSED"
    assert sorted(tests.passed_tests) == sorted(answers())
    assert not tests.failed_tests
    assert not tests.warned_tests
    named = {one.name: one for one in tests.configuration}
    for name in failures.names():
        one = named[f"{name}/evidence.json"]
        assert json_format.MessageToDict(one.annotations["stack"])["istio"] == "1.31"
        assert one.digest["sha256"] == digest(opened / name / "evidence.json")


def test_the_statement_is_of_each_file_and_says_that_captures_are_as_they_were(
    opened: Path,
) -> None:
    subject = {one["name"]: one for one in read(opened / STATEMENT)["subject"]}
    there = {str(p.relative_to(opened)) for p in opened.rglob("*") if p.is_file()}
    assert subject.keys() == there - {STATEMENT, MANIFEST}
    for name, one in subject.items():
        assert one["digest"]["sha256"] == digest(opened / name)
        if name.endswith(".pcap"):
            assert one["annotations"]["kept"] == pack.AS_IT_WAS
    assert subject[f"{FAILURE}/evidence.json"]["annotations"]["kept"] == pack.REDACTED


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def told_of(**words: Any) -> about.About:
    """What is told of a run whose first claim says otherwise."""
    verdict = recordings.verdict(FAILURE)
    first = dataclasses.replace(verdict.claims[0], **words)
    verdict = dataclasses.replace(verdict, claims=(first, *verdict.claims[1:]))
    nothing = about.Checkout("", False)
    return about.About("x", [verdict], {}, {}, "make", nothing, nothing, {})


def said(word: str) -> Any:
    return dataclasses.replace(recordings.verdict(FAILURE).claims[0].as_posted, word=word)


@pytest.mark.parametrize(
    ("words", "result", "list_", "status"),
    [
        ({"as_posted": said("not reproduced")}, "FAILED", "failedTests", "failed"),
        ({"as_posted": said("inconclusive")}, "WARNED", "warnedTests", "other"),
        ({"pinned": None}, "WARNED", "warnedTests", "other"),
        (
            {"as_posted": said("skipped"), "pinned": ("skipped", "reproduced")},
            "WARNED",
            "warnedTests",
            "skipped",
        ),
    ],
)
def test_what_differs_has_failed_and_what_could_not_be_said_is_warned_of(
    words: dict[str, Any], result: str, list_: str, status: str
) -> None:
    told = told_of(**words)
    predicate = statement.statement(told, {}, {})["predicate"]
    assert predicate["result"] == result
    assert f"{FAILURE} C0 as posted" in predicate[list_]
    report = ctrf.report(told)["results"]
    assert report["tests"][0]["status"] == status
    assert report["summary"][status] >= 1


def test_a_failure_without_a_verdict_is_a_result_too_and_nothing_at_all_has_not_passed() -> None:
    told = dataclasses.replace(told_of(), missing={"gone": "its notebook ended"})
    predicate = statement.statement(told, {}, {})["predicate"]
    assert (predicate["result"], predicate["warnedTests"]) == ("WARNED", ["gone verdict"])
    nothing = dataclasses.replace(told_of(), verdicts=[])
    assert statement.statement(nothing, {}, {})["predicate"]["result"] == "WARNED"


def test_ctrf_follows_its_published_schema_and_counts_what_it_lists(opened: Path) -> None:
    schema = read(store.ROOT / "tests" / "schemas" / "ctrf-0.0.schema.json")
    told = read(opened / CTRF)
    checker = jsonschema.Draft7Validator.FORMAT_CHECKER
    jsonschema.Draft7Validator(schema, format_checker=checker).validate(told)
    found = told["results"]
    assert sorted(test["name"] for test in found["tests"]) == sorted(answers())
    assert found["summary"]["passed"] == found["summary"]["tests"] == len(found["tests"])
    assert all(test["duration"] > 0 for test in found["tests"] if "C0c" not in test["name"])
    assert found["summary"]["stop"] - found["summary"]["start"] > 1000


def test_junitparser_reads_the_same_cases(opened: Path) -> None:
    suites = junitparser.JUnitXml.fromfile(str(opened / JUNIT))
    cases = [case for suite in suites for case in suite]
    assert sorted(f"{case.classname} {case.name}" for case in cases) == sorted(answers())
    assert all(case.is_passed for case in cases)


def test_the_rocrate_library_reads_what_it_is_and_finds_every_file(opened: Path) -> None:
    crate = ROCrate(str(opened))
    there = {str(p.relative_to(opened)): p.stat().st_size for p in opened.rglob("*") if p.is_file()}
    found = {one.id: one for one in crate.data_entities}
    assert found.keys() == there.keys() - {CRATE}
    for path, one in found.items():
        assert one["encodingFormat"] != "application/octet-stream", path
        if path not in (STATEMENT, MANIFEST):
            assert int(one["contentSize"]) == there[path]
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT[\d:]+\+00:00", crate.root_dataset["datePublished"])
    versions = {one["name"]: one.get("version") for one in crate.get("#run")["instrument"]}
    assert versions["Istio"] == "1.31"
    assert versions["Envoy"] == "1.38.3 (stock)"
    assert crate.get("#tcp_mtls-port_name")["value"] == "udp-foo"
    assert crate.get("#again")["text"].startswith(f"make reproduce FAILURE={failures.names()[0]},")
    assert "Captures are as they were recorded" in crate.root_dataset["description"]


def test_every_word_of_the_crate_is_one_that_its_context_defines(opened: Path) -> None:
    vocabulary = Path(rocrate.__file__).parent / "data" / "ro-crate.jsonld"
    known = read(vocabulary)["@context"].keys() | {"@id", "@type"}
    for entity in read(opened / CRATE)["@graph"]:
        assert {*entity, entity["@type"]} <= known
    whole = json.dumps(read(opened / CRATE)["@graph"])
    ids = {entity["@id"] for entity in read(opened / CRATE)["@graph"]}
    referred = set(re.findall(r'\{"@id": "([^"]+)"\}', whole))
    assert referred - ids == {"https://w3id.org/ro/crate/1.1"}


def test_a_runs_own_command_and_commit_are_told(run: Path) -> None:
    held = bundles.files(pack.pack(run, RUN).archive)
    graph = {one["@id"]: one for one in json.loads(held[CRATE])["@graph"]}
    assert graph["#again"]["text"] == SUMMARY["command"]
    assert graph["#lab"]["version"] == "a" * 40 + " with uncommitted changes"
    assert json.loads(held[CTRF])["results"]["environment"]["commit"] == "a" * 40
    configuration = json.loads(held[STATEMENT])["predicate"]["configuration"]
    assert {"gitCommit": "a" * 40} in [one["digest"] for one in configuration]


@pytest.mark.parametrize("content", ["", "[]", '{"command": 7, "checkout": [1]}', "\0"])
def test_a_summary_that_is_damaged_leaves_the_evidence_to_tell(content: str, run: Path) -> None:
    (run / "summary.json").write_text(content)
    held = bundles.files(pack.pack(run, RUN).archive)
    graph = {one["@id"]: one for one in json.loads(held[CRATE])["@graph"]}
    assert graph["#again"]["text"] == f"make reproduce FAILURE={FAILURE} CLUSTER=embedded"
    assert "version" not in graph["#lab"]


def test_a_bundle_is_judged_explained_and_compared_as_the_run_is(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["bundle", RUN, "-o", "one.tar.gz"]) == 0
    told = capsys.readouterr().out
    assert "judge one.tar.gz" in told
    assert "left out" not in told
    assert main(["judge", RUN]) == 0
    of_run = capsys.readouterr().out
    assert main(["judge", "one.tar.gz"]) == 0
    assert capsys.readouterr().out == of_run
    assert main(["why", RUN]) == 0
    of_run = capsys.readouterr().out
    assert main(["why", "one.tar.gz"]) == 0
    assert capsys.readouterr().out == of_run.replace(f"{run.parent}/", "")
    assert main(["compare", "one.tar.gz", RUN]) == 0
    assert "No difference" in capsys.readouterr().out


def test_without_a_name_for_it_a_bundle_lies_among_the_runs_and_is_found_there(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (run.parent / "latest").symlink_to(RUN)
    assert main(["bundle"]) == 0
    assert main(["judge", f"{RUN}.tar.gz"]) == 0
    assert main(["bundle", "-o", str(run.parent / "latest" / FAILURE)]) == 0
    assert (run / FAILURE / f"{RUN}.tar.gz").exists()
    capsys.readouterr()
    assert main(["judge"]) == 0
    assert capsys.readouterr().out.count("on the wire") == 2, "only the run itself"


def test_a_capture_that_was_altered_before_is_packed_and_judged_as_such(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """No sum in the evidence is made to fit: it says what was recorded."""
    before = read(run / FAILURE / "evidence.json")
    path = run / FAILURE / "captures" / "posted-client-eth0.pcap"
    path.write_bytes(path.read_bytes() + b"\0" * 16)
    packed = pack.pack(run, RUN)
    assert json.loads(bundles.files(packed.archive)[f"{FAILURE}/evidence.json"]) == before
    (run.parent / "b.tar.gz").write_bytes(packed.archive)
    assert main(["judge", "b.tar.gz"]) == 3
    assert main(["why", "b.tar.gz"]) == 0
    assert "is not what was recorded: its sha256 differs" in capsys.readouterr().out
    predicate = json.loads(bundles.files(packed.archive)[STATEMENT])["predicate"]
    assert (predicate["result"], predicate["passedTests"]) == ("WARNED", [])


KEYS = "CLIENT_RANDOM " + "ab" * 32 + " " + "cd" * 48 + "\n"
SECRET_LINE = "SERVER_TRAFFIC_SECRET_0 " + "ab" * 32 + " " + "cd" * 32
DSB = b"\n\r\r\n" + struct.pack("<I", 28) + b"\x4d\x3c\x2b\x1a" + b"\0" * 20 + KEYS.encode()
LEFT_OUT: dict[str, tuple[str, bytes, str]] = {
    "a key log by its name": ("logs/tls-KeyLog", b"nothing yet", "never packed"),
    "one in a folder of that name": ("sslkeylog/client", b"nothing", "never packed"),
    "one by its lines": ("logs/other.txt", KEYS.encode(), "lines of a TLS key log"),
    "one of TLS 1.3 within a log": (
        "logs/app.jsonl",
        json.dumps({"said": SECRET_LINE}).encode(),
        "lines of a TLS key log",
    ),
    "one within a capture": ("captures/decrypted.pcapng", DSB, "lines of a TLS key log"),
    "a program": ("logs/core", b"\x7fELF\0\0", "neither text, nor a capture, nor a picture"),
    "a file larger than any": ("logs/large.jsonl", b"x" * ((16 << 20) + 1), "larger than 16 MiB"),
    "a name with a line in it": ("logs/a\nb", b"x", "not valid on every system"),
    "a name that is too long": (f"logs/{'a' * 101}", b"x", "not valid on every system"),
}


@pytest.mark.parametrize("what", LEFT_OUT)
def test_what_is_not_handed_on_is_left_out_and_named(what: str, run: Path) -> None:
    path, content, why = LEFT_OUT[what]
    (run / FAILURE / path).parent.mkdir(exist_ok=True)
    (run / FAILURE / path).write_bytes(content)
    packed = pack.pack(run, RUN)
    assert list(packed.left_out) == [f"{FAILURE}/{path}"]
    assert why in packed.left_out[f"{FAILURE}/{path}"]
    held = bundles.files(packed.archive)
    assert f"{FAILURE}/{path}" not in held
    told = {one["@id"]: one for one in json.loads(held[CRATE])["@graph"]}["./"]["description"]
    assert why in told
    assert str(run) not in told


def test_links_and_fifos_are_left_out_wherever_they_lead(run: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file").write_text("words-that-lie-outside")
    (run / FAILURE / "logs" / "out.jsonl").symlink_to(outside / "file")
    (run / FAILURE / "logs" / "in.jsonl").symlink_to(run / FAILURE / "logs" / "posted-client.jsonl")
    (run / FAILURE / "outside").symlink_to(outside)
    (run / "report").symlink_to(outside)
    os.mkfifo(run / FAILURE / "pipe")
    packed = pack.pack(run, RUN)
    places = ("logs/in.jsonl", "logs/out.jsonl", "outside", "pipe")
    assert list(packed.left_out) == ["report", *(f"{FAILURE}/{one}" for one in places)]
    assert set(packed.left_out.values()) == {"it is not a regular file"}
    assert not [c for c in bundles.files(packed.archive).values() if b"words-that-lie" in c]


def test_only_what_a_run_wrote_is_packed(run: Path) -> None:
    (run / "report").mkdir()
    (run / "report" / "index.html").write_text("<p>")
    (run / "notes").mkdir()
    for path in ("notes/own.txt", "own.txt", f"{FAILURE}/.evidence.json.half"):
        (run / path).write_text("x")
    packed = pack.pack(run, RUN)
    held = bundles.files(packed.archive)
    assert "report/index.html" in held
    assert f"{FAILURE}/verdict.json" in held
    assert not [path for path in held if "own" in path or "half" in path or "notes" in path]
    assert packed.left_out == {}


@pytest.mark.parametrize(("name", "most"), [("FILES", 20), ("TOTAL", 1000), ("PACKED", 1000)])
def test_a_run_that_could_not_be_read_again_is_not_packed(
    name: str, most: int, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, name, most)
    with pytest.raises(BadEvidence, match="would refuse it"):
        pack.pack(run, RUN)


def test_a_result_without_a_pin_is_never_passed_or_failed() -> None:
    one = results.Result("f", "n", "", "reproduced", "", "", "")
    assert one.outcome == "unsure"
    assert dataclasses.replace(one, expected="reproduced").outcome == "passed"
    assert dataclasses.replace(one, expected="not reproduced").outcome == "failed"
