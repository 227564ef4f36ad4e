"""The filter chains of a server's sidecar, as a call met them."""

from __future__ import annotations

import recordings

from lab.render.chains_table import chains_table


def test_a_permissive_port_takes_tls_by_its_alpn_and_a_strict_one_takes_any_tls() -> None:
    case = recordings.case("permissive_refuses")
    rows = chains_table(case, ["no-alpn", "strict-no-alpn"]).rows
    assert [(row[0], row[2], "istio-h2" in row[3], row[4]) for row in rows] == [
        ("no-alpn", "TLS", True, "decrypts mutual TLS, reads HTTP"),
        ("no-alpn", "no TLS", False, "reads HTTP"),
        ("strict-no-alpn", "TLS", False, "decrypts mutual TLS, reads HTTP"),
    ]


def test_it_is_the_configuration_of_the_moment_that_is_shown() -> None:
    case = recordings.case("permissive_refuses")
    broken = chains_table(case, ["port-strict:broken"]).rows
    changed = chains_table(case, ["port-strict:changed"]).rows
    assert len(broken) == 2
    assert [row[3] for row in changed] == ["any"]


def test_a_pod_without_a_sidecar_has_none() -> None:
    case = recordings.case("hijacked_port")
    assert chains_table(case, ["two"]).rows == (("two", "no sidecar", "-", "-", "-"),)
