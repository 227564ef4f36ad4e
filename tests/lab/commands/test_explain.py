"""`istio-lab explain`: from what a person sees to the failures that look so."""

from __future__ import annotations

import pytest

from lab import failures
from lab.commands import explain
from lab.commands.line import main


def found(typed: str) -> set[str]:
    return {failure.name for failure, _ in explain.matching(typed)}


def test_a_flag_or_a_status_finds_the_failures_that_have_it() -> None:
    assert found("WRONG_VERSION_NUMBER") == {"headless_one_socket", "wrong_version_number"}
    assert found("426") == {"http10_plaintext"}


def test_a_word_is_found_in_a_whole_line_that_was_pasted() -> None:
    assert "permissive_refuses" in found("curl: (56) Recv failure: Connection reset by peer")


@pytest.mark.parametrize("typed", ["success", "", "4260"])
def test_a_word_is_not_found_inside_another(typed: str) -> None:
    assert found(typed) == set()


def test_a_failure_is_explained_with_what_tells_it_and_what_heals_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["explain", "426"]) == 0
    said = capsys.readouterr().out
    assert "to tell: kubectl logs CLIENT_POD -c istio-proxy | grep PassthroughCluster" in said
    assert "name the port tcp-... (price: " in said
    assert "ISTIO_META_HTTP10" not in said, "it does not heal"


def test_what_no_failure_looks_like_is_said_with_the_words_that_are_known(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["explain", "418"]) == 254
    said = capsys.readouterr().err
    assert "no failure of the lab looks like '418'" in said
    assert "WRONG_VERSION_NUMBER" in said


def test_every_failure_has_a_symptom() -> None:
    assert [name for name in failures.names() if not failures.load(name).symptoms] == []
