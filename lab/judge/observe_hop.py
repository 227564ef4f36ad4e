"""Observes one hop of a call: finds its packets, log lines, counters and configuration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from lab.common.errors import BadEvidence
from lab.envoy.mesh import Mesh, address_text
from lab.judge import first_sent
from lab.judge.hop_evidence import HopEvidence
from lab.judge.observation import Observation
from lab.model.evidence import CLOCK_SLACK, CallRecord, config_name
from lab.model.scenario import Call
from lab.planes import Seen, capture_file, config, log, stats, walked, wire
from lab.planes.mismatch import find_mismatch
from lab.planes.wire import ConnectionQuery, WireSeen


def observe_hop(hop: HopEvidence, sent_on: log.Line | None = None) -> Observation:
    """Return what every plane says of one hop.

    sent_on: the sending proxy's line, for a hop that the call's own ports do not find.
    Raises BadEvidence for a damaged file, KeyError for a pod or Service that is not recorded.
    """
    if hop.record.local_port and not sent_on:
        hop = hop.as_redirected()
    client_line = find_client_line(hop, sent_on)
    query = hop.query(find_client_port(hop, client_line))
    crossed = read_wire(hop, query, client_line)
    peer = find_peer(hop, client_line, query, crossed)
    server_line = log.find(
        hop.server_log,
        request_id=hop.record.request_id,
        address=peer,
        until=hop.until,
        path=hop.path,
    )
    if client_line is None and not caller_address(hop):
        # The application named no port. The packets do, where they are of its only call.
        client_line = log.sent_from(hop.client_log, crossed.packets.client, hop.until)
    server_line, crossed = find_server_line(hop, server_line, peer, crossed)
    counted = read_counters(hop)
    return Observation(
        call=hop.call,
        record=hop.record,
        wire=crossed,
        server=log.server_says(server_line),
        client=log.client_says(client_line),
        config=read_configuration(hop),
        client_line=client_line,
        server_line=server_line,
        left_client=left_client(hop),
        counted=counted,
        app_line=find_application_line(hop),
        query=query,
        strangeness=_strangeness(hop, crossed, client_line, server_line, counted),
    )


def observe_request_to_api(call: Call, record: CallRecord) -> Observation:
    """Return the observation of a manifest given to the API server.

    Nothing of it crosses between the pods.
    """
    why = "a request to the API server"
    return Observation(
        call=call,
        record=record,
        wire=WireSeen("wire", wire.SOURCE, "none", why),
        server=Seen("log", log.SERVER, "unknown", why),
        client=Seen("log", log.CLIENT, "unknown", why),
        config=Seen("config", config.SOURCE, "unknown", why),
        client_line=None,
        server_line=None,
        left_client=None,
    )


def caller_address(hop: HopEvidence) -> str:
    """Return `IP:port` from which the application called; empty where it named no port."""
    return f"{hop.client.ip}:{hop.record.local_port}" if hop.record.local_port else ""


def find_client_line(hop: HopEvidence, sent_on: log.Line | None) -> log.Line | None:
    """Return the sending proxy's line of the call; None where it has none."""
    logged, request_id = hop.client_log, hop.record.request_id
    line = sent_on or log.find(
        logged,
        request_id=request_id,
        address=caller_address(hop),
        until=hop.until,
        path=hop.path,
    )
    return log.passed_again(logged, line, hop.until) if line else line


def find_client_port(hop: HopEvidence, client_line: log.Line | None) -> int | None:
    """Return the port from which the hop left the pod; None where it is not known."""
    if not hop.client.sidecar:
        return hop.record.local_port or None
    return log.port_of((client_line or {}).get("upstream_local_address"))


def read_wire(hop: HopEvidence, query: ConnectionQuery, client_line: log.Line | None) -> WireSeen:
    """Return what crossed between the two pods' eth0.

    client_line: of the sending proxy, which can have tried several times, or called another server
    than the one that was asked.
    """
    pods = (hop.call.source, hop.call.to)
    at_client, at_server = (hop.capture(pod, "eth0") for pod in pods)
    if at_client is None or at_server is None:
        refused = (hop.world.uncaptured.get(pod) for pod in pods)
        why = next(filter(None, refused), "a pod's eth0 was not captured")
        return WireSeen("wire", wire.SOURCE, "unknown", why)
    elsewhere = log.sent_elsewhere(client_line, query.targets)
    if elsewhere is None:
        tried = log.attempts(client_line)
        return wire.read_attempts(query, tried, at_client, at_server, hop.marker)
    there = wire.read(replace(query, targets=(elsewhere,)), at_client, None, hop.marker)
    to = address_text(elsewhere)
    return replace(there, why=f"{there.why}, at the client's end, to {to}, which was not asked")


def find_peer(
    hop: HopEvidence, client_line: log.Line | None, query: ConnectionQuery, crossed: WireSeen
) -> str:
    """Return `IP:port` by which the asked pod's proxy knows the client; empty: not known."""
    if hop.call.source in hop.world.uncaptured and client_line is None:
        return caller_address(hop)  # it did not pass its own proxy, and kept the port that it had
    port = query.client_port
    known = f"{hop.client.ip}:{port}" if port else crossed.packets.client
    return crossed.packets.client_at_server or known


def find_server_line(
    hop: HopEvidence, line: log.Line | None, peer: str, crossed: WireSeen
) -> tuple[log.Line | None, WireSeen]:
    """Return the asked pod's proxy's line, and the packets with the address that it names.

    line: the one of this request id or of `peer`, if there is one.
    """
    of_another = line is not None and not hop.contains(line)
    if not of_another and (line or {}).get("downstream_remote_address") == peer:
        return line, crossed
    renamed = find_renamed_line(hop, crossed)
    if renamed is None or not (of_another or line in (None, renamed)):
        return line, crossed
    came = str(renamed.get("downstream_remote_address"))
    return renamed, replace(crossed, packets=replace(crossed.packets, client_at_server=came))


def find_renamed_line(hop: HopEvidence, crossed: WireSeen) -> log.Line | None:
    """Return the asked pod's proxy's line of a connection that came to it from another port.

    Istio redirects all that comes in to one port. Where a pod's conntrack remembers an earlier
    connection from the same address and port, to whichever port, the kernel gives the new one
    another source port on its way from eth0 to the proxy. The line is the only one of that moment,
    SNI and target whose address is in no packet on eth0.
    https://docs.kernel.org/networking/nf_conntrack-sysctl.html
    """
    capture = hop.capture(hop.call.to, "eth0")
    senders = capture_file.senders(capture) if capture else None
    began, target = crossed.packets.syn_time, hop.route.target
    if senders is None or began is None:
        return None

    def matches(line: log.Line) -> bool:
        address, at = str(line.get("downstream_remote_address")), log.began(line)
        return (
            address.rpartition(":")[0] == hop.client.ip
            and address not in senders
            and at is not None
            and abs(at - began) <= CLOCK_SLACK
            and log.port_of(line.get("downstream_local_address")) == target
            and (line.get("requested_server_name") or "") == crossed.packets.sni
        )

    found = [line for line in hop.server_log if matches(line)]
    return found[0] if len(found) == 1 else None


def read_configuration(hop: HopEvidence) -> Seen:
    """Return how the control plane meant the hop to be carried."""
    try:
        if hop.files.evidence.configurations:
            return _walked(hop)
        return _looked_up(hop)
    except BadEvidence as wrong:
        return Seen("config", config.SOURCE, "unknown", str(wrong))


def _walked(hop: HopEvidence) -> Seen:
    """Return what the proxies' whole configurations say of the hop."""
    there = hop.files.workloads(
        hop.world, hop.record, {hop.made.source, hop.call.source, hop.call.to}
    )
    asked, pod = hop.asked
    mesh = Mesh(
        {one.address: one for one in there.values()}, {} if asked == pod else {asked: [pod]}
    )
    caller, leg = there[hop.made.source], 0 if hop.first else 1
    said = walked.says(mesh, caller, asked, first_sent.sending(hop), leg)
    held = hop.call.source if hop.client.sidecar else hop.call.to
    file = hop.files.configuration_file(hop.world, held, hop.record)
    return replace(said, facts={**said.facts, "file": file.removeprefix("config/")})


def _looked_up(hop: HopEvidence) -> Seen:
    """Return what evidence says that has only a part of each configuration."""
    views: list[config.View | None] = []
    for name in (hop.call.source, hop.call.to):
        sidecar = hop.world.pods[name].sidecar
        view = hop.files.configuration(hop.world, name, hop.record) if sidecar else None
        if view is None and sidecar:
            why = f"the configuration of {name} was not recorded"
            return Seen("config", config.SOURCE, "unknown", why)
        views.append(view)
    said = config.says(views[0], views[1], hop.route)
    held = hop.call.to if views[0] is None else hop.call.source
    file = config_name(hop.world.name, held, hop.record.act, hop.record.step)
    return replace(said, facts={**said.facts, "file": file}) if any(views) else said


def left_client(hop: HopEvidence) -> bool | None:
    """Return whether the call's bytes are on the client's own loopback; None: cannot be said."""
    capture = hop.capture(hop.call.source, "lo")
    if capture is None or not hop.client.sidecar:
        return None
    port = hop.record.local_port
    return capture_file.on_loopback(
        capture, hop.marker, source=(hop.client.ip, port) if port else None
    )


def read_counters(hop: HopEvidence) -> Seen:
    """Return what the asked pod's proxy counted; the sending one's where that pod has no proxy."""
    rose, server = hop.record.counters, hop.server
    if not server.sidecar:
        return stats.client_says(rose.get(hop.call.source))
    listener = hop.record.target if server.node_type == "router" else stats.INBOUND
    return stats.server_says(rose.get(hop.call.to), listener)


def find_application_line(hop: HopEvidence) -> Mapping[str, Any] | None:
    """Return the application's own line; None where it has none.

    It is the first at its port after the call began and before the next call does. A line that
    holds another call's marker is another call's.
    """
    record, target = hop.record, hop.route.target
    others = [
        one
        for one in hop.files.evidence.calls
        if one.world == record.world and one.name != record.name
    ]
    next_one = min((one.started for one in others if one.started > record.started), default=1e18)
    for line in hop.files.application_log(hop.world, hop.call.to):
        at = line.get("time")
        if line.get("port") != target or not isinstance(at, int | float):
            continue
        in_time = record.started <= at < next_one
        if in_time and not any(one.marker in str(line.get("request")) for one in others):
            return line
    return None


def _strangeness(
    hop: HopEvidence,
    crossed: WireSeen,
    client_line: log.Line | None,
    server_line: log.Line | None,
    counted: Seen,
) -> str:
    """Return why lines and packets are not of one call, or nothing."""
    return find_mismatch(
        crossed,
        client_line,
        server_line,
        hop.record.request_id,
        (hop.record.started, hop.record.ended),
        counted.security if counted.source == log.SERVER else "unknown",
    )
