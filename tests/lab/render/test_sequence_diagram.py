"""The drawing of a call: the same each time, with all it shows in words and in its table."""

from __future__ import annotations

import dataclasses
import functools
from xml.etree import ElementTree

import pytest
import recordings

import lab
from lab.common.errors import BadArguments
from lab.common.redaction import redact
from lab.judge.case import Case
from lab.render import sequence_diagram
from lab.render.display import Picture

CALLS = [
    ("tcp_mtls", "tcp-foo"),
    ("tcp_mtls", "udp-foo-strict"),
    ("tcp_mtls", "plain-stranger"),
    ("tcp_mtls", "gateway-plain:changed"),
    ("tcp_mtls", "no-certificate"),
    ("grpc_h2c", "tls-upgrade"),
    ("https_in_mtls", "tcp-name:changed"),
    ("https_in_mtls", "exclude-port:changed"),
    ("https_in_mtls", "originate:broken"),
]
SVG = "{http://www.w3.org/2000/svg}"


@functools.cache
def drawn(name: str, call: str) -> Picture:
    return sequence_diagram.picture(recordings.case(name), call)


def texts(picture: Picture) -> list[str]:
    found = ElementTree.fromstring(picture.svg).iter(f"{SVG}text")
    return ["".join(text.itertext()).strip() for text in found]


@pytest.mark.parametrize(("name", "call"), CALLS)
def test_a_drawing_is_the_same_each_time_and_its_texts_are_text(name: str, call: str) -> None:
    again = sequence_diagram.picture(recordings.case(name), call)
    assert again.svg == drawn(name, call).svg
    said = texts(again)
    assert said[0].startswith("$ ")
    for row in again.table.rows:
        assert row[0] in said
    assert any(text.startswith("The caller got: ") for text in said)


def lanes(call: tuple[str, str]) -> list[str]:
    heads = ("application", "sidecar", "gateway", "the pods")
    return [text for text in texts(drawn(*call)) if text in heads]


def test_life_lines_are_those_that_the_call_has() -> None:
    assert lanes(CALLS[0]) == ["application", "sidecar", "the pods", "sidecar", "application"]
    assert lanes(CALLS[2]) == ["application", "the pods", "sidecar", "application"]
    through = ["application", "sidecar", "the pods", "gateway", "the pods", "sidecar"]
    assert lanes(CALLS[3]) == [*through, "application"]
    assert lanes(CALLS[7]) == lanes(CALLS[0])


def test_what_is_read_and_what_is_not_is_said_in_words_at_each_hop() -> None:
    said = texts(drawn("tcp_mtls", "tcp-foo"))
    assert [text for text in said if text.startswith("[")] == [
        "[open] plaintext",
        "[locked] mutual TLS",
        "[open] plaintext",
    ]
    assert (said.count("can be read"), said.count("cannot be read")) == (2, 1)
    assert said.count("the call's marker can be read in it") == 4
    refused = texts(drawn("tcp_mtls", "udp-foo-strict"))
    assert refused.count("RST: breaks it off") == 2
    assert "nothing crossed" in refused
    assert "The caller got: reset" in refused


def test_the_table_tells_each_arrow_from_whom_to_whom_and_when() -> None:
    rows = drawn("tcp_mtls", "udp-foo-strict").table.rows
    assert rows[0][:3] == ("0.0", "client's application", "client's sidecar")
    assert rows[-1][1:3] == ("client's sidecar", "client's application")
    assert [float(row[0]) for row in rows] == sorted(float(row[0]) for row in rows)
    assert [row[4] for row in rows].count("can be read") == 2


def test_tls_inside_mutual_tls_is_named_in_drawing_and_alternative_text() -> None:
    picture = drawn("https_in_mtls", "tcp-name:changed")
    assert "mutual TLS, the application's own TLS is inside it" in picture.alt
    assert "the application's own TLS is inside it" in texts(picture)


def test_an_alert_that_only_the_caller_could_read_is_told_by_itself() -> None:
    alt = drawn("tcp_mtls", "no-certificate").alt
    assert alt.endswith("tls_client_certificate_required (TLS alert 116 certificate_required).")


def test_bytes_of_other_calls_on_the_same_connection_are_not_drawn() -> None:
    drawn_on = 0
    for call in ("get", "post", "put", "patch", "delete"):
        picture = drawn("rest_mtls", call)
        asked = [row[3] for row in picture.table.rows if "; HTTP/1.1" not in row[3]]
        asked = [words for words in asked if "HTTP/1.1" in words]
        assert len(asked) == 2, "from the application, and to the application"
        assert all(call.upper() in words for words in asked)
        drawn_on += texts(picture).count("on a connection that was open before the call")
    assert drawn_on


def test_a_long_exchange_is_drawn_by_its_ends_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sequence_diagram, "MOST", 6)
    picture = sequence_diagram.picture(recordings.case("tcp_mtls"), "tcp-foo")
    rows = len(drawn("tcp_mtls", "tcp-foo").table.rows)
    assert f"{rows - 6} more are not drawn" in texts(picture)
    assert len(picture.table.rows) == rows


def test_endless_words_do_not_make_the_drawing_endless() -> None:
    failure, found, folder = recordings.parts(recordings.case("tcp_mtls"))
    calls = tuple(
        dataclasses.replace(one, typed="say " + "x" * 50_000, outcome="\x1b[31m$\\frac{")
        for one in found.calls
    )
    endless = Case(failure, dataclasses.replace(found, calls=calls), folder)
    said = texts(sequence_diagram.picture(endless, "tcp-foo"))
    assert max(map(len, said)) < 250
    assert said[-1] == "The caller got: ?[31m$\\frac{"


def test_a_drawing_is_stored_as_it_is() -> None:
    for name, call in CALLS:
        assert redact(drawn(name, call).svg) == drawn(name, call).svg


def test_a_story_draws_a_call_and_refuses_one_that_there_is_not() -> None:
    story = lab.open_run("tcp_mtls", cluster="recorded")
    assert story.sequence("tcp-foo").svg == drawn("tcp_mtls", "tcp-foo").svg
    with pytest.raises(BadArguments, match="no call 'tcp-fo'"):
        story.sequence("tcp-fo")
    undrawn = lab.open_run("rest_mtls", cluster="recorded").sequence("rule")
    assert str(undrawn).startswith("rule cannot be drawn")
