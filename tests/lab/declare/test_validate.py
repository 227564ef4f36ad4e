"""A wrong failure is refused when it is loaded, with its file and line."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from lab import declare as d
from lab import failures
from lab.commands import new
from lab.common.errors import BadFailure
from lab.declare.validate import named_calls, refuse_wrong
from lab.judge.observation import FINAL_HOP

TEXT = new.TEMPLATE.read_text()
PINNED = 'pinned=("reproduced", "reproduced")'


@pytest.mark.parametrize(
    ("right", "wrong", "at", "said"),
    [
        (
            'd.curl("plain", "plain", HTTPBIN, path=ANY)',
            'd.call("plain", "plain", HTTPBIN, "curl http://httpbin:8001/{marker}", port=8001)',
            "port=8001",
            "call 'plain': Service httpbin has no port 8001; there is 8000",
        ),
        (
            '"{port_name}", target=8081',
            '"{prot_name}", target=8081',
            "d.posted(",
            "nothing fills in {prot_name}: did you mean port_name? there is {port_name}, {marker}",
        ),
        (
            'd.curl("named", "posted", HTTPBIN, path=ANY)',
            'd.curl("plain", "posted", HTTPBIN, path=ANY)',
            'd.curl("plain", "posted"',
            "call 'plain' is there twice, first at ",
        ),
        (
            'd.curl("named", "posted", HTTPBIN',
            'd.curl("named", "postd", HTTPBIN',
            '"postd"',
            "call 'named': no world 'postd': did you mean posted? there is plain, posted",
        ),
        (
            'd.curl("plain", "plain", HTTPBIN',
            'd.curl("plain", "plain", MISNAMED',
            'd.curl("plain"',
            "call 'plain': world plain has no Service 'misnamed': there is httpbin",
        ),
        (
            'd.secured_answer("named"))',
            'd.secured_answer("named"), shows="name")',
            'shows="name"',
            "M1, as posted, `shows`: no call 'name': did you mean named? there is plain, named",
        ),
        (
            'd.readable("misnamed")),',
            'd.readable("misname")),',
            "today=d.answer(",
            "M1, today's form: no call 'misname': did you mean misnamed?",
        ),
        (
            '    "M1",\n    d.readable',
            '    "M2",\n    d.readable',
            "heal(",
            "no claim 'M2': did you mean M1? there is M1",
        ),
        (
            '            # When you have seen the words: pinned=("reproduced", "reproduced"), ',
            '            pinned=("reproduced",), ',
            "d.claim(",
            "M1 is pinned with reproduced: it needs 2: as posted and in today's form",
        ),
        (
            '            # When you have seen the words: pinned=("reproduced", "reproduced"), ',
            '            pinned=("reproduced", "reproducd"), ',
            "d.claim(",
            "M1 is pinned with reproduced / reproducd: no word 'reproducd': did you mean repro",
        ),
        (
            f'            # When you have seen the words: {PINNED}, because="why"',
            f"            {PINNED}",
            "d.claim(",
            "M1 is pinned with reproduced / reproduced, without a reason: write because=...",
        ),
        (
            'd.answered("plain", status=200)',
            'd.answered("plian", status=200)',
            "d.Control(",
            "control 'httpbin answers without mTLS': no call 'plian': did you mean plain?",
        ),
        (
            'd.parameter("name of the second port", "udp-web", "http-web")',
            'd.Parameter("name of the second port", "udp-foo", ("udp-web", "http-web"))',
            "d.Parameter(",
            "parameter 'port_name': its default 'udp-foo' is not among its values: udp-web, http",
        ),
        (
            '("client", "httpbin"), (HTTPBIN,)),',
            '("client", "httpbn"), (HTTPBIN,)),',
            "d.plain(",
            "no workload 'httpbn': did you mean httpbin? there is client, stranger",
        ),
        (
            "d.posted(",
            'd.world("posted", "durring",',
            "d.world(",
            "no phase 'durring': did you mean during? there is before, during, after",
        ),
        (
            'd.service("httpbin", 8000, "http", ',
            'd.service("httpbin", 8000, "http_web", ',
            "HTTPBIN = ",
            "Kubernetes takes no port with the name 'http_web': a-z, 0-9 and -",
        ),
        (
            "    d.readable,  #",
            '    d.readable("misnamed"),  #',
            "heal(",
            "TypeError: a remedy takes checks without a call: d.readable, not d.readable(...)",
        ),
        ('name="my_failure"', 'name="other"', "", "it does not hold a FAILURE named 'my_failure'"),
        ("price=", "prise=", "heal(", "TypeError: remedy() got an unexpected keyword argument"),
        ("    controls=(", "    controls=((", "", "SyntaxError: "),
    ],
)
def test_what_is_wrong_is_told_with_its_line(
    tmp_path: Path, right: str, wrong: str, at: str, said: str
) -> None:
    path = tmp_path / "my_failure.py"
    assert right in TEXT
    text = TEXT.replace(right, wrong, 1)
    path.write_text(text)
    with pytest.raises(BadFailure) as refused:
        failures.load_file(path)
    told = str(refused.value)
    assert said in told
    assert told.startswith(f"{path}:")
    if at:
        number = int(told.removeprefix(f"{path}:").partition(":")[0])
        assert at in text.splitlines()[number - 1]


def test_the_sample_and_every_failure_here_is_right(tmp_path: Path) -> None:
    path = tmp_path / "my_failure.py"
    path.write_text(TEXT)
    sample = failures.load_file(path)
    assert d.without_pins(sample)
    for name in failures.names():
        assert d.without_pins(failures.load(name)) == []


def test_a_name_that_no_namespace_can_have_is_refused() -> None:
    failure = replace(failures.load("tcp_mtls"), name="tcp_" * 11)
    with pytest.raises(BadFailure, match=r"have 49 letters together.* has room for 46"):
        refuse_wrong(failure)


def test_the_calls_that_a_check_names_are_found_in_every_kind_of_check() -> None:
    check = d.all_of(
        d.under("STRICT", "posted", d.readable("a")),
        d.costs_more("b", "c"),
        d.secured_hops("d"),
        d.api_said("e", "words"),
    )
    assert {name.partition(FINAL_HOP)[0] for name in named_calls(check)} == {*"abcde"}
