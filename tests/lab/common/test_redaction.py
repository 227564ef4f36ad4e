"""What is taken out of text before it is kept, and that all else stays."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from damage import effort
from hypothesis import given
from hypothesis import strategies as st
from planted import planted

from lab.common import files, redaction
from lab.common.redaction import REDACTED, redact
from lab.model import store

NAMES = sorted(planted())


@pytest.mark.parametrize("name", NAMES)
def test_a_secret_is_taken_out_wherever_it_stands(name: str) -> None:
    secret = planted()[name]
    for text in (
        secret.text,
        f"before {secret.text}\r\nafter",
        f"before\n{secret.text}\nafter",
        f"a\\n{secret.text}",
        json.dumps(["before", secret.text, "after"]),
        json.dumps({"said": json.dumps(secret.text)}),
    ):
        found = redact(text)
        assert REDACTED in found
        assert secret.found_in(found) == []
        assert redact(found) == found
        for word in ("before", "after"):
            assert found.count(word) == text.count(word)


def test_a_key_that_a_form_has_torn_leaves_the_json_around_it_whole() -> None:
    """httpbin says a form's field back: its name ends at the first `=`, and a `+` is a space."""
    for _ in range(300):
        key = ec.generate_private_key(ec.SECP256R1()).private_bytes(
            Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()
        )
        name, _, value = key.decode().partition("=")
        said = json.dumps({"form": {name.replace("+", " "): value}})
        found = json.loads(json.loads(redact(json.dumps({"received": said})))["received"])
        assert [*found["form"].values()] == [value]
        pieces = [one for one in re.split(r"[+\n]", name)[1:] if len(one) > 7]
        assert [one for one in pieces if one in str(found)] == []


SHAPES = st.recursive(
    st.sampled_from(NAMES), lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["received", "error", "why"]), inner
    ), max_leaves=8,
)  # fmt: skip


@given(SHAPES, st.text(max_size=10), st.text(max_size=10))
@effort(60)
def test_json_stays_json_of_the_same_shape(shape: Any, before: str, after: str) -> None:
    def fill(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: fill(one) for key, one in value.items()}
        if isinstance(value, list):
            return [fill(one) for one in value]
        return before + planted()[value].text + after

    def outline(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: outline(one) for key, one in value.items()}
        return [outline(one) for one in value] if isinstance(value, list) else "text"

    text = redact(json.dumps(fill(shape)))
    assert outline(json.loads(text)) == outline(fill(shape))


@given(st.text(), st.integers(1, 3))
@effort(60)
def test_any_text_is_redacted_once_and_for_all(text: str, times: int) -> None:
    found = redact(text * times)
    assert redact(found) == found


def test_a_format_string_of_envoys_is_no_secret_and_what_is_beside_it_is() -> None:
    kept = '"inline_string":"%CEL(xds.cluster_name)%"'
    assert redact(kept) == kept
    assert redact('"inline_string":"hunter2","x":"%CEL(y)"') == (
        '"inline_string":"[redacted]","x":"%CEL(y)"'
    )


NAMED = (
    *("password", "Passwd", "api_key", "SECRET-access-key", "client-certificate-data", "token"),
    *(
        "inline_string",
        "id_token",
        "account\u212aey",
        "client\u017fecret",
        "\u0130",
        "my.token",
        "\\ntoken",
        "api_\u0131d_token",
    ),
    *("Authorization", "proxy-authorization", "author\u0131zation", "Set-Cookie", "coo\u212aie"),
    *("https://", "\u0131nline+x.1://", "s" * 20 + "://", "s" * 21 + "://", "://"),
)
BETWEEN = (
    ": ",
    "=",
    '": "',
    '\\": \\"',
    "\n:",
    '  =\n ["',
    "[redacted]",
    " ",
    "abc,b",
    "{",
    "tokenkey=5",
    "me:pass",
    "@",
    "@a:b@",
)


@given(st.lists(st.sampled_from(NAMED + BETWEEN), max_size=9))
@effort(400)
def test_names_of_secrets_are_found_as_by_looking_everywhere(words: list[str]) -> None:
    text = "".join(words)
    for pattern, naming, before in redaction.NAMED:
        everywhere = pattern.sub(rf"\1{redaction.REDACTED}", text)
        assert redaction._without(pattern, naming, before, text) == everywhere


@pytest.mark.parametrize("length", [100_000, 1_000_000])
@pytest.mark.parametrize("unit", ["a", "eyJ", "-----BEGIN ", "token", "authorization: ", "a://b:"])
@pytest.mark.timeout(60)
def test_no_text_takes_long(unit: str, length: int) -> None:
    assert redact(unit * (length // len(unit)))


def kept() -> list[Path]:
    folders = (store.RECORDED, store.TURNED, store.ROOT / "notebooks")
    wanted = {".json", ".jsonl", ".ipynb", ".svg"}
    return [path for folder in folders for path in folder.rglob("*") if path.suffix in wanted]


def test_nothing_else_is_taken_out_of_what_runs_record() -> None:
    assert len(kept()) > 100
    assert [str(path) for path in kept() if redact(path.read_text()) != path.read_text()] == []


def test_what_is_written_as_text_is_redacted(tmp_path: Path) -> None:
    for name in NAMES:
        files.write_json(tmp_path / "value.json", {"said": planted()[name].text})
        files.write_text(tmp_path / "text", planted()[name].text)
        for path in tmp_path.iterdir():
            assert planted()[name].found_in(path.read_text()) == [], path
