"""What people and clusters hand over: notebooks, parameters, kubeconfigs, answers of an `exec`."""

from __future__ import annotations

import contextlib
import json
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from damage import GARBAGE, damaged, effort, mangled
from hypothesis import given
from hypothesis import strategies as st

from clusters import kubeconfig
from clusters.embedded import channel
from clusters.remote import _code
from lab import failures
from lab.common.errors import BadArguments, BadEvidence, LabError
from lab.model.parameters import parameters_of, with_parameters
from lab.notebook import execute

NOTEBOOKS = {name: (execute.NOTEBOOKS / f"{name}.ipynb").read_text() for name in failures.names()}
PARAMETERS = 'cluster = "auto"\nmtls: str = "STRICT"\ncount: int = 3\nrate = 0.5\ndeep = False\n'


@contextlib.contextmanager
def with_file(content: bytes) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "given"
        path.write_bytes(content)
        yield path


def read(content: bytes, given_: dict[str, str]) -> dict[str, Any] | None:
    """Values as that notebook wants them; None where it or they are refused."""
    with with_file(content) as path:
        try:
            return execute.convert(path, given_)
        except (BadArguments, BadEvidence):
            return None


@given(st.sampled_from(sorted(NOTEBOOKS)), st.data())
@effort(40)
def test_a_damaged_notebook_is_read_or_refused(name: str, data: st.DataObject) -> None:
    text = NOTEBOOKS[name]
    whole = json.loads(text)
    small = {**whole, "cells": [c for c in whole["cells"] if c["metadata"].get("tags")][:2]}
    content = st.one_of(mangled(text.encode()), damaged(small).map(json.dumps).map(str.encode))
    read(data.draw(content | st.binary()), {"mtls": "STRICT"})


def cell(source: str) -> bytes:
    made = {"metadata": {"tags": ["parameters"]}, "source": source}
    return json.dumps({"cells": [made]}).encode()


@given(mangled(PARAMETERS.encode()), st.dictionaries(st.text(max_size=6), st.text(max_size=6)))
@effort(80)
def test_any_cell_of_parameters_is_read_and_never_run(
    source: bytes, given_: dict[str, str]
) -> None:
    read(cell(source.decode(errors="replace")), given_)


NAMES = st.sampled_from(["cluster", "mtls", "count", "rate", "deep"])


@given(st.dictionaries(NAMES, st.text(max_size=12) | st.sampled_from(["1", "1e3", "nan", "True"])))
@effort(80)
def test_a_value_has_its_parameters_type_or_is_refused(given_: dict[str, str]) -> None:
    kinds = {"cluster": str, "mtls": str, "count": int, "rate": float, "deep": bool}
    for name, value in (read(cell(PARAMETERS), given_) or {}).items():
        assert type(value) is kinds[name]
        assert kinds[name] is not str or value == given_[name]


@given(
    st.sampled_from(failures.names()),
    st.dictionaries(st.sampled_from(["mtls", "rule", "client", "x"]) | st.text(), st.text()),
)
@effort(80)
def test_a_failures_parameters_are_those_it_has(name: str, given_: dict[str, str]) -> None:
    failure = failures.load(name)
    try:
        values = parameters_of(failure, given_)
    except BadArguments:
        return
    assert values.keys() == failure.parameters.keys()
    assert all(values[key] in failure.parameters[key].allowed for key in values)
    with_parameters(failure, values)


CONFIG = {
    "apiVersion": "v1",
    "kind": "Config",
    "clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:1"}}],
    "users": [
        {"name": "u", "user": {"token": "t"}},
        {"name": "e", "user": {"exec": {"command": "touch", "args": ["ran"]}}},
        {"name": "a", "user": {"auth-provider": {"name": "oidc"}}},
    ],
    "contexts": [{"name": n, "context": {"cluster": "c", "user": n}} for n in ("u", "e", "a")],
}
TEXT = yaml.safe_dump(CONFIG).encode()


@given(mangled(TEXT) | st.binary(max_size=80) | damaged(CONFIG).map(json.dumps).map(str.encode))
@effort(80)
def test_a_damaged_kubeconfig_is_read_or_refused(content: bytes) -> None:
    with with_file(content) as path, pytest.MonkeyPatch.context() as patch:
        patch.setenv("KUBECONFIG", str(path))
        patch.delenv(kubeconfig.ALLOW, raising=False)
        for context in ("u", "e", "a"):
            with contextlib.suppress(BadArguments):
                kubeconfig.require(context)


@given(
    damaged(CONFIG["users"][1])
    | GARBAGE.map(lambda program: {"name": "e", "user": {"exec": program}})
)
@effort(60)
def test_a_program_is_never_run_unasked_however_its_entry_is_damaged(entry: Any) -> None:
    user = entry.get("user") if isinstance(entry, dict) else None
    whole = json.dumps({**CONFIG, "users": [entry]}).encode()
    with with_file(whole) as path, pytest.MonkeyPatch.context() as patch:
        patch.setenv("KUBECONFIG", str(path))
        patch.delenv(kubeconfig.ALLOW, raising=False)
        if isinstance(user, dict) and user.get("exec") and str(entry.get("name")) == "e":
            with pytest.raises(BadArguments):
                kubeconfig.require("e")


STATUS = {
    "status": "Failure",
    "message": "command terminated",
    "details": {"causes": [{"reason": "ExitCode", "message": "3"}]},
}


@given(
    st.one_of(
        st.binary(),
        mangled(json.dumps(STATUS).encode()),
        (damaged(STATUS) | GARBAGE).map(json.dumps).map(str.encode),
    )
)
@effort(100)
def test_the_status_of_an_exec_is_a_code_or_it_is_lost(status: bytes) -> None:
    assert _code(json.dumps(STATUS).encode(), ["true"]) == 3
    with contextlib.suppress(LabError):
        assert isinstance(_code(status, ["true"]), int)


@given(st.one_of(st.binary(max_size=200), GARBAGE.map(json.dumps).map(str.encode)))
@effort(80)
def test_the_embedded_clusters_answer_is_an_object_or_it_is_lost(answer: bytes) -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        theirs.send(answer)
        theirs.shutdown(socket.SHUT_WR)
        with contextlib.suppress(LabError):
            assert isinstance(channel._answer(ours), dict)


@given(st.text() | st.from_regex(r"\S{1,4} packets? (captured|dropped by kernel)", fullmatch=True))
@effort(80)
def test_tcpdumps_count_is_a_number_or_not_told(text: str) -> None:
    with contextlib.suppress(LabError):
        assert channel.count(text, "captured") >= 0
