"""Evidence on disk: whole, versioned, inside its folder, and without secrets."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from lab import failures
from lab.common import redaction
from lab.common.errors import BadEvidence
from lab.model import evidence, store

NAMES = failures.names()
KEY = "-----BEGIN EC PRIVATE KEY-----\nMHcCAQEE\n-----END EC PRIVATE KEY-----"
TOKEN = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJzeXN0ZW0ifQ.c2lnbmF0dXJlLW9mLWl0"


def data(name: str = "tcp_mtls") -> dict:
    found: dict = json.loads((store.RECORDED / name / "evidence.json").read_text())
    return found


def put(folder: Path, value: object) -> Path:
    (folder / "evidence.json").write_text(json.dumps(value))
    return folder


@pytest.mark.parametrize("name", NAMES)
def test_what_is_saved_is_read_back_the_same(name: str, tmp_path: Path) -> None:
    found = evidence.load(store.RECORDED / name)
    evidence.save(found, tmp_path)
    assert evidence.load(tmp_path) == found


@pytest.mark.parametrize(
    ("text", "word"), [("{", "damaged"), ("[]", "schema None"), ('{"schema": 99}', "schema 99")]
)
def test_a_damaged_or_foreign_file_is_refused_in_words(
    text: str, word: str, tmp_path: Path
) -> None:
    (tmp_path / "evidence.json").write_text(text)
    with pytest.raises(BadEvidence, match=word):
        evidence.load(tmp_path)


def test_a_file_cut_anywhere_is_refused_in_words(tmp_path: Path) -> None:
    whole = (store.RECORDED / "tcp_mtls" / "evidence.json").read_bytes()
    for length in range(0, len(whole) - 2, 997):
        (tmp_path / "evidence.json").write_bytes(whole[:length])
        with pytest.raises(BadEvidence):
            evidence.load(tmp_path)


def test_a_missing_field_is_refused_in_words(tmp_path: Path) -> None:
    value = data()
    del value["worlds"]["posted"]["namespace"]
    with pytest.raises(BadEvidence, match="namespace"):
        evidence.load(put(tmp_path, value))


@pytest.mark.parametrize("path", ["/etc/passwd", "../../other/captures/x.pcap"])
def test_a_capture_outside_the_evidence_is_refused(path: str, tmp_path: Path) -> None:
    value = data()
    value["worlds"]["posted"]["captures"][0]["file"] = path
    with pytest.raises(BadEvidence, match="outside"):
        evidence.load(put(tmp_path, value))


def test_keys_and_tokens_do_not_reach_the_disk() -> None:
    text = redaction.redact(f"a {KEY} b {TOKEN} c Authorization: Bearer 0123456789abcdef0 d")
    assert not re.search("MHcCAQEE|eyJ|0123456789abcdef0", text)
    assert text.startswith("a [redacted] b [redacted] c")


LEAKS = re.compile(rb"PRIVATE KEY|eyJ[\w-]{10,}\.eyJ|client-key-data|Bearer [\w-]{16,}")


@pytest.mark.parametrize("folder", ["evidence", "tests/evidence", "notebooks"])
def test_nothing_committed_holds_a_key_a_token_or_a_kubeconfig(folder: str) -> None:
    files = [path for path in (store.ROOT / folder).rglob("*") if path.is_file()]
    assert files
    assert [str(path) for path in files if LEAKS.search(path.read_bytes())] == []
