"""Secrets planted wherever a run keeps what it met: a bundle holds none, raw or in base64."""

from __future__ import annotations

import base64
import gzip
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bundles
import pytest
from planted import Secret, planted

from lab.bundle import MANIFEST, pack
from lab.common import untrusted
from lab.failures import load
from lab.judge import stored
from lab.model import evidence, store

pytestmark = pytest.mark.slow  # everything that is recorded is packed and searched

FAILURE = "rest_mtls"
SECRETS = planted()
ALL = "\n".join(secret.text for secret in SECRETS.values())
PLACES = {
    "text": ("run.log", "summary.md", f"{FAILURE}/progress.log", f"{FAILURE}/notebook.log"),
    "lines": (f"{FAILURE}/logs/posted-client.jsonl", f"{FAILURE}/logs/posted-httpbin.app.jsonl"),
    "JSON": (f"{FAILURE}/config/posted-client.json", f"{FAILURE}/verdict.json", "summary.json"),
    "marked up": (f"{FAILURE}/graph.svg", "report/index.html"),
}


def in_base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def alignments(part: str) -> Iterator[str]:
    """How a text can stand in base64, by what stands before it."""
    for before in range(3):
        encoded = base64.b64encode(b"\0" * before + part.encode()).decode()
        yield encoded[4 if before else 0 :].rstrip("=")[:-2]


def append(path: Path, text: str) -> None:
    path.parent.mkdir(exist_ok=True)
    with path.open("a") as file:
        file.write(text)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run that met them all, and whose files nobody has redacted."""
    folder = tmp_path / "20260101T000000Z-0000"
    shutil.copytree(store.RECORDED / FAILURE, folder / FAILURE)
    (folder / "summary.json").write_text("{}")
    for path in PLACES["text"]:
        append(folder / path, ALL)
    for path in PLACES["lines"]:
        for secret in SECRETS.values():
            append(folder / path, json.dumps({"planted": secret.text}) + "\n")
    for path in PLACES["JSON"]:
        value = json.loads((folder / path).read_text())
        value["planted"] = [secret.text for secret in SECRETS.values()]
        (folder / path).write_text(json.dumps(value))
    for path in PLACES["marked up"]:
        data = f'<img src="data:image/svg+xml;base64,{in_base64(ALL)}">'
        append(folder / path, f"<svg><text>{ALL}</text>{data}</svg>")
    planted_in_evidence(folder / FAILURE / "evidence.json")
    (folder / FAILURE / "notebook.ipynb").write_text(json.dumps(notebook()))
    return folder


def planted_in_evidence(path: Path) -> None:
    value = json.loads(path.read_text())
    for number, call in enumerate(value["calls"]):
        secret = [*SECRETS.values()][number % len(SECRETS)].text
        call["error"], call["facts"] = f"{call['error']}\n{secret}", {"planted": secret}
        # Where nothing came back, that nothing did is what a verdict rests on.
        call["received"] += ALL if call["received"] else ""
    value["untried"] = {"planted": ALL}
    value["skipped"] = {"planted": ALL}
    path.write_text(json.dumps(value))


def notebook() -> Any:
    """Outputs in every form that a kernel sends: text, HTML, a picture within it, an error."""
    picture = f'<img src="data:image/svg+xml;base64,{in_base64(f"<svg>{ALL}</svg>")}">'
    outputs = [
        {"output_type": "stream", "name": "stdout", "text": ALL.splitlines(keepends=True)},
        {"output_type": "display_data", "data": {"text/html": [picture + "\n", ALL]}},
        {"output_type": "error", "ename": "E", "evalue": ALL, "traceback": [ALL]},
        *(
            {"output_type": "display_data", "data": {"text/plain": "\n" + in_base64(one.text)}}
            for one in SECRETS.values()
        ),
    ]
    return {"cells": [{"cell_type": "code", "source": "run", "outputs": outputs}], "metadata": {}}


def found(files: dict[str, bytes], secrets: dict[str, Secret]) -> list[tuple[str, str]]:
    """Which secrets are in which of a bundle's files; captures are packets, and stay such."""
    texts = {name: data.decode() for name, data in files.items() if not name.endswith(".pcap")}
    return sorted(
        {
            (name, file)
            for file, text in texts.items()
            for name, secret in secrets.items()
            for part in secret.parts
            for form in (part, *alignments(part))
            if form in text
        }
    )


def test_a_bundle_holds_no_secret_of_all_that_its_run_met(run: Path) -> None:
    raw = {str(p.relative_to(run)): p.read_bytes() for p in run.rglob("*") if p.is_file()}
    met = found(raw, SECRETS)
    assert {name for name, _ in met} == SECRETS.keys()
    packed = pack.pack(run, run.name)
    files = bundles.files(packed.archive)
    assert packed.left_out == {}
    assert raw.keys() <= files.keys()
    assert found(files, SECRETS) == []
    for path in (
        *sum(PLACES.values(), ()),
        f"{FAILURE}/evidence.json",
        f"{FAILURE}/notebook.ipynb",
    ):
        assert b"[redacted]" in files[path], path
    assert found(dict.fromkeys(["file names"], "\n".join(files).encode()), SECRETS) == []


def test_what_is_left_of_it_is_judged_as_before(run: Path, tmp_path: Path) -> None:
    """JSON stays JSON; nothing that a verdict rests on is taken out."""
    files = bundles.files(pack.pack(run, run.name).archive)
    for path, content in files.items():
        if path.endswith((".json", ".ipynb")):
            json.loads(content)
        if path.endswith(".jsonl"):
            assert all(json.loads(line) for line in content.splitlines())
    folder = bundles.unpacked(pack.pack(run, run.name).archive, tmp_path)
    verdicts, missing = stored.judge_all([load(FAILURE)], folder)
    assert stored.exit_code(verdicts, missing) == 0
    before = evidence.load(store.RECORDED / FAILURE)
    after = evidence.load(folder / FAILURE)
    assert [w.captures for w in after.worlds.values()] == [
        w.captures for w in before.worlds.values()
    ]


def plain(data: bytes) -> bytes:
    """Return what is compressed, as it was before: it is packed anew."""
    return gzip.decompress(data) if data.startswith(untrusted.GZIP_MAGIC) else data


def test_a_bundle_of_what_is_recorded_is_what_is_recorded() -> None:
    """Redaction finds nothing in it, and alters nothing by mistake."""
    files = bundles.files(bundles.recorded().archive)
    kept = [path for path in files if "/" in path]
    assert len(kept) > 200
    assert [p for p in kept if plain(files[p]) != plain((store.RECORDED / p).read_bytes())] == []
    assert MANIFEST in files
