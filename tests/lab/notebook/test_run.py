"""What a notebook shows: calls, wires and reasons of the recorded runs."""

from __future__ import annotations

import pytest

import lab
from lab.common.errors import BadArguments
from lab.notebook.run import NotebookRun
from lab.render.display import Table
from lab.render.wording import legible, shorten


def run(name: str) -> NotebookRun:
    return lab.open_run(name, cluster="recorded")


def test_one_claim_is_explained_by_itself_within_a_pages_width() -> None:
    text = repr(run("https_in_mtls").why("C4c"))
    assert text.startswith("C4c. Claim:")
    assert "C4b" not in text
    lines = [line for line in text.splitlines() if "tshark" not in line]
    assert max(len(line) for line in lines) <= 110  # a long name is never cut


def test_a_remedy_is_explained_by_its_name_and_others_are_refused() -> None:
    assert repr(run("tcp_mtls").why("strict")).startswith("Remedy strict:")
    with pytest.raises(BadArguments, match="no claim or remedy 'C9'"):
        run("tcp_mtls").why("C9")


def test_an_explanation_names_no_place_outside_the_checkout() -> None:
    assert "tshark -r evidence/tcp_mtls/captures/" in repr(run("tcp_mtls").why())


def test_inside_mutual_tls_the_services_own_tls_is_seen() -> None:
    row = run("https_in_mtls").inside("tcp-name:changed").rows[0]
    assert (row[1], row[3]) == ("tls", "b-tcp\nh2, http/1.1")
    assert run("https_in_mtls").inside("http").rows[0][1] == "plaintext"


def test_both_hops_of_a_gateway_can_be_asked_for() -> None:
    rows = run("tcp_mtls").wire("gateway-plain:changed", "gateway-plain:changed/2").rows
    assert [row[1] for row in rows] == ["plaintext", "tls"]


def test_an_old_manifest_stands_beside_its_successor() -> None:
    lines = run("rest_mtls").then_and_now("old-policy").lines
    assert lines[0].split() == ["then", "today"]
    assert lines[3].split() == ["kind:", "Policy", "kind:", "PeerAuthentication"]


def test_a_long_command_keeps_its_beginning_and_its_end() -> None:
    flags = " ".join(f"--flag{n} /etc/some/place/{n}.pem" for n in range(9))
    typed = shorten(f"curl -sS {flags} https://b:8443/lab-{'0123456789ab' * 2}")
    assert len(typed) <= 132
    assert typed.startswith("curl -sS --flag0")
    assert typed.endswith("https://b:8443/lab-01234567…")
    assert shorten("say tcp-echo 9000 hello") == "say tcp-echo 9000 hello"


def test_what_curl_said_is_shown_without_its_progress_meter() -> None:
    meter = "  % Total    % Received % Xferd  Average Speed\n    Dload  Upload\n"
    row = "\r  0     0    0     0    0     0      0      0 --:--:-- --:--:-- --:--:--     0"
    said = f"{meter}{row}* Connected\r\n< HTTP/1.1 403 Forbidden\r\n\r\n{row}\n"
    assert legible(said) == ["* Connected", "< HTTP/1.1 403 Forbidden"]


def test_a_long_name_breaks_where_it_is_joined() -> None:
    name = "outbound_.9000_._.tcp-echo.with-istio.svc.cluster.local"
    lines = Table("", ("SNI",), ((name,),)).text(30).splitlines()[2:]
    assert lines == ["outbound_.9000_._.tcp-echo.", "with-istio.svc.cluster.local"]
    assert "tcp-echo.<wbr>with-istio.<wbr>" in Table("", ("SNI",), ((name,),))._repr_html_()


def test_each_generation_of_kiali_has_a_row_with_its_reason() -> None:
    table = run("tcp_mtls").graphs("tcp-foo", "udp-foo")
    assert [row[2] for row in table.rows] == ["no lock", "lock", "lock", *["no lock"] * 3]
    assert [row[1] for row in table.rows[:3]] == ["Kiali before 1.6", "Kiali 1.6", "Kiali 2.30"]
    assert "where TCP is not counted" in table.rows[0][3]
    assert "neither Kiali nor Mixer runs" in table.note


def test_disagreements_are_shown_by_name_with_their_likely_cause() -> None:
    rows = run("tcp_mtls").disagreements("tcp-foo", "plain").rows
    assert [row[:2] for row in rows] == [("tcp-foo", "telemetry blind to TCP"), ("plain", "none")]
    assert "HTTP requests only" in rows[0][3]


def test_an_explanation_tells_the_graphs_of_what_was_read_off_one_and_disagreements() -> None:
    text = " ".join(repr(run("tcp_mtls").why("C2")).split())
    assert "In a graph: not reproduced on the wire; reproduced in a Kiali graph of 2019" in text
    assert "Kiali before 1.6: no lock: it asks istio_requests_total for locks" in text
    assert "telemetry blind to TCP: the edge is mutual TLS" in text
    assert "In a graph" not in repr(run("rest_mtls").why("C0"))
