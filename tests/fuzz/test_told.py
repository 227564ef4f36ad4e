"""Logs and configuration from anybody: garbage never makes a plane say `mutual_tls`."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from damage import GARBAGE, damaged, effort, mangled, replaced
from hypothesis import given
from hypothesis import strategies as st

from clusters.base import PodRef
from clusters.log_format import LOG_FIELDS
from lab.common.errors import BadEvidence, CommandFailed
from lab.model import evidence, store
from lab.planes import config, log
from lab.planes.config import Route
from lab.record import access_log, envoy_admin

POSTED = store.RECORDED / "tcp_mtls"
LOGS = [path.read_text() for path in sorted(POSTED.glob("logs/posted-*.jsonl"))]
LINES = [line for text in LOGS for line in log.parse(text)]
FIELDS = sorted({name for line in LINES for name in line})
WORLD = evidence.load(POSTED).worlds["posted"]
HOST = f"tcp-echo.{WORLD.namespace}.svc.cluster.local"
VIEWS = [
    json.loads((POSTED / "config" / f"posted-{pod}.json").read_text())
    for pod in ("client", "tcp-echo")
]
ROUTES = [
    Route(HOST, port, WORLD.services["tcp-echo"].cluster_ip, port, sends)
    for port in (9000, 9001)
    for sends in ("bytes", "http", "tls")
]


@given(st.sampled_from(LOGS).flatmap(lambda text: mangled(text.encode())) | st.binary())
@effort(60)
def test_any_bytes_are_lines_of_a_log_or_passed_over(data: bytes) -> None:
    for line in log.parse(data.decode(errors="replace")):
        assert line.keys() >= log.OURS
        assert log.server_says(line).why
        assert log.client_says(line).why
        port = log.port_of(line.get("upstream_local_address"))
        assert port is None or 0 <= port < 10**5
    assert log.find([], request_id="", address="") is None


@given(GARBAGE | st.from_regex(r"[0-9.]{0,8}:\d{0,7}.?", fullmatch=True))
@effort(100)
def test_a_port_is_a_number_of_five_digits_or_none(address: Any) -> None:
    port = log.port_of(address)
    assert port is None or 0 <= port < 10**5


@given(st.sampled_from(LINES), st.data())
@effort(60)
def test_garbage_in_a_line_never_makes_it_mutual(line: log.Line, data: st.DataObject) -> None:
    broken = {**data.draw(replaced(dict(line))), log.NUMBER: 1}
    for says in (log.server_says, log.client_says):
        seen = says(broken)
        # Without its reason, a line of a handshake that was refused is one of a good handshake.
        reason = broken.get("downstream_transport_failure_reason")
        if not (reason in log.NO_TEXT and line["downstream_transport_failure_reason"]):
            assert seen.security != "mutual_tls" or says(line).security == "mutual_tls"
        peer = seen.facts.get("peer")
        assert peer is None or isinstance(peer, str)


@given(st.dictionaries(st.sampled_from(FIELDS), GARBAGE))
@effort(60)
def test_a_line_of_garbage_is_no_witness_of_mutual(line: dict[str, Any]) -> None:
    told = [line.get(f"downstream_{name}") for name in ("peer_uri_san", "tls_version")]
    seen = log.server_says({**line, log.NUMBER: 1})
    if not all(isinstance(one, str) and one not in ("", "-") for one in told):
        assert seen.security != "mutual_tls"


def meant(client: Any, server: Any, route: Route) -> str:
    """What the control plane is said to have meant; `refused` where it cannot be read."""
    try:
        return config.says(client, server, route).security
    except BadEvidence:
        return "refused"


@given(st.sampled_from(ROUTES), st.booleans(), st.data())
@effort(100)
def test_garbage_in_a_configuration_never_makes_it_mutual(
    route: Route, at_client: bool, data: st.DataObject
) -> None:
    client, server = VIEWS
    broken = data.draw(replaced(client if at_client else server))
    pair = (broken, server) if at_client else (client, broken)
    if meant(client, server, route) != "mutual_tls":
        assert meant(*pair, route) != "mutual_tls"


def reduced(dump: Any) -> config.View | None:
    """What is kept of a config dump; None of what is none."""
    try:
        return config.reduce(dump, WORLD.namespace, [9000], ["10.0.0.1"])
    except BadEvidence:
        return None


@given(GARBAGE, st.sampled_from(ROUTES))
@effort(60)
def test_a_configuration_of_garbage_says_nothing(view: Any, route: Route) -> None:
    assert meant(view, view, route) in ("refused", "plaintext", "tls", "unknown")
    assert not (reduced(view) or {}).get("clusters")


def chain(port: int) -> dict[str, Any]:
    tls = {
        "require_client_certificate": True,
        "common_tls_context": {"tls_certificate_sds_secret_configs": [{"name": "default"}]},
    }
    return {
        "filter_chain_match": {"destination_port": port},
        "filters": [
            {"name": "envoy.filters.network.tcp_proxy", "typed_config": {"cluster": "inbound"}}
        ],
        "transport_socket": {"name": "tls", "typed_config": tls},
    }


def listener(name: str, port: int) -> dict[str, Any]:
    address = {"socket_address": {"address": "0.0.0.0", "port_value": port}}
    made = {"name": name, "address": address, "filter_chains": [chain(9000)]}
    return {"name": name, "active_state": {"listener": made}}


CLUSTER = f"outbound|9000||{HOST}"
ENDPOINT = {
    "endpoint": {"address": {"socket_address": {"address": "10.0.0.1", "port_value": 9000}}},
    "health_status": "HEALTHY",
    "metadata": {"filter_metadata": {"envoy.transport_socket_match": {"tlsMode": "istio"}}},
}
DUMP = {
    "configs": [
        {"dynamic_listeners": [listener("virtualInbound", 15006), listener("0.0.0.0_9000", 9000)]},
        {"dynamic_active_clusters": [{"cluster": {"name": CLUSTER, **chain(9000)}}]},
        {
            "dynamic_endpoint_configs": [
                {
                    "endpoint_config": {
                        "cluster_name": CLUSTER,
                        "endpoints": [{"lb_endpoints": [ENDPOINT]}],
                    }
                }
            ]
        },
    ]
}


@given(damaged(DUMP))
@effort(150)
def test_a_damaged_config_dump_is_reduced_or_refused(dump: Any) -> None:
    found = reduced(dump)
    if found is not None:
        json.dumps(found)
        assert meant(found, found, ROUTES[0])


class Answering:
    """A sidecar's admin interface that answers this."""

    def __init__(self, answer: Any) -> None:
        self._answer = json.dumps(answer).encode()

    def proxy_admin(self, _pod: PodRef, _path: str) -> bytes:
        return self._answer


SIDECAR = PodRef("there", "client", "10.0.0.1", ("client", "istio-proxy"))
INFO = {
    "version": "a/1.38.3/Clean/RELEASE/BoringSSL",
    "uptime_current_epoch": "12s",
    "node": {"extensions": [{"name": "istio.stats"}]},
}
CHAIN = {"subject_alt_names": [{"uri": "spiffe://x"}], "serial_number": "1"}
CERTS = {"certificates": [{"cert_chain": [CHAIN], "ca_cert": [{"serial_number": "2"}]}]}


@pytest.mark.parametrize(
    ("ask", "sound"), [(envoy_admin.info, INFO), (envoy_admin.certificate, CERTS)]
)
@given(data=st.data())
@effort(60)
def test_what_a_sidecar_says_of_itself_is_read_or_refused(
    ask: Any, sound: Any, data: st.DataObject
) -> None:
    assert ask(Answering(sound), SIDECAR)
    with contextlib.suppress(CommandFailed):
        ask(Answering(data.draw(GARBAGE | damaged(sound))), SIDECAR)


FORMAT = json.dumps(LOG_FIELDS)
OURS = {"accessLogFile": "/dev/stdout", "accessLogEncoding": "JSON", "accessLogFormat": FORMAT}


@given(replaced(OURS, most=1) | st.fixed_dictionaries({"accessLogFormat": GARBAGE}))
@effort(60)
def test_a_meshs_own_log_is_ours_only_where_every_field_is(settings: dict[str, Any]) -> None:
    assert access_log.has_our_fields(OURS)
    assert not access_log.has_our_fields(settings)
