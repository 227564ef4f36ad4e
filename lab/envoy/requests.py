"""What an HTTP connection manager does with a request: it routes it, or answers by itself."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from lab.envoy import chains, dump, rbac, routes
from lab.envoy.chains import Closes, Weighted
from lab.envoy.dump import Proxy
from lab.envoy.first_bytes import METHODS, FirstBytes, Verdict, http
from lab.envoy.matching import Unreadable
from lab.envoy.rbac import Peer
from lab.envoy.routes import Request, VirtualHosts

Part = Mapping[str, Any]
_LETS_THROUGH = frozenset(
    (
        "envoy.extensions.filters.http.cors.v3.Cors",
        "envoy.extensions.filters.http.grpc_stats.v3.FilterConfig",
        "envoy.extensions.filters.http.grpc_web.v3.GrpcWeb",
        "envoy.extensions.filters.http.router.v3.Router",
        "envoy.extensions.filters.http.set_filter_state.v3.Config",
        "istio.envoy.config.filter.http.alpn.v2alpha1.FilterConfig",
        "io.istio.http.peer_metadata.Config",
        "stats.PluginConfig",
    )
)
"""Types of HTTP filters that let each request through."""
REDIRECTS = {"FOUND": 302, "SEE_OTHER": 303, "TEMPORARY_REDIRECT": 307, "PERMANENT_REDIRECT": 308}


@dataclass(frozen=True)
class Responds:
    """The proxy answers by itself."""

    status: int
    flag: str
    """Response flag of the access log; `-`: none."""
    detail: str
    """Response code details of the access log."""
    to: str = ""
    """Of a redirection: where to."""


@dataclass(frozen=True)
class Awaits:
    """The proxy waits for the rest of a request, or for its first byte."""


@dataclass(frozen=True)
class Routes:
    """The proxy sends the request on."""

    clusters: tuple[Weighted, ...]
    route: str
    virtual_host: str
    request: Request
    """As it is sent on."""


def handle(
    proxy: Proxy, manager: Part, sent: FirstBytes, peer: Peer, agreed: str = ""
) -> Responds | Awaits | Closes | Routes:
    """Return what a manager does with the first request on a connection.

    agreed: what ALPN ended in, if the connection is TLS. `h2` is believed, whatever comes
    (source/common/http/conn_manager_utility.cc, determineNextProtocol).
    Raises Unreadable for a filter or a route that is not modelled.
    """
    if agreed == "h2" and sent.data and http(sent.data) not in ("h2c", "waits"):
        return Closes("HTTP/2 was agreed by ALPN, and something else comes")
    version = _read(sent.data)
    request = _without_ignored(manager, version, peer.request)
    early = _before_routing(manager, version, request)
    if early or request is None:
        return early or Responds(400, "DPE", "http1.codec_error")
    host = _virtual_hosts(proxy, manager).find(request.host)
    route = routes.route(host, request) if host else None
    refused = _filtered(manager, replace(peer, request=request))
    if refused:
        return refused
    if host is not None and _asks_for_tls(host, request):
        to = f"https://{request.host}{request.path}"
        return Responds(301, "-", "direct_response", to)
    if host is None or route is None:
        return Responds(404, "NR", "route_not_found")
    return _acted(host, route, request)


def _read(data: bytes) -> Verdict:
    """Return what the HTTP/1 parser makes of first bytes.

    It refuses at once what no method begins with. All else it reads to the end of the line
    (source/common/http/http1/balsa_parser.cc).
    """
    found = http(data) if data else "waits"
    begins = any(data[:1] == method[:1] for method in METHODS)
    return "waits" if found == "no http" and begins and b"\n" not in data else found


def _before_routing(
    manager: Part, version: Verdict, request: Request | None
) -> Responds | Awaits | None:
    """Return what a manager does with what it does not route."""
    if version == "waits":
        return Awaits()
    if version == "no http":
        return Responds(400, "DPE", "http1.codec_error")
    options = manager.get("http_protocol_options") or {}
    if version == "http/1.0" and not options.get("accept_http_10"):
        return Responds(426, "-", "low_version")
    asks = request.upgrade if request and version == "http/1.1" else ""
    if asks and asks not in _upgrades(manager):
        return Responds(403, "-", "upgrade_failed")
    return None


def _without_ignored(manager: Part, version: Verdict, request: Request | None) -> Request | None:
    """Leave out an Upgrade that Envoy strips: h2c alone, and what it is told to ignore.

    What it is told is compared as it was sent, in upper and lower case.
    """
    if request is None or version != "http/1.1":
        return request
    told = (manager.get("http_protocol_options") or {}).get("ignore_http_11_upgrade") or ()
    value = request.headers.get("upgrade", "")
    if request.upgrade == "h2c" or any(routes.text_fits(one, value) for one in told):
        left = {k: v for k, v in request.headers.items() if k not in ("upgrade", "http2-settings")}
        return replace(request, headers=left)
    return request


def _upgrades(manager: Part) -> set[str]:
    return {
        str(one["upgrade_type"]).lower()
        for one in manager.get("upgrade_configs") or ()
        if one.get("enabled", True)
    }


def _virtual_hosts(proxy: Proxy, manager: Part) -> VirtualHosts:
    if "route_config" in manager:
        return VirtualHosts(manager["route_config"])
    name = (manager.get("rds") or {}).get("route_config_name", "")
    if name not in proxy.routes:
        raise Unreadable(f"route configuration {name!r} is not in the dump")
    return proxy.virtual_hosts(name)


def _filtered(manager: Part, peer: Peer) -> Responds | None:
    for name, config in _filters(manager):
        kind = dump.type_of(config)
        if kind == "envoy.extensions.filters.http.rbac.v3.RBAC":
            refused = rbac.refusing_policy(config["rules"], peer) if "rules" in config else None
            if refused is not None:
                return Responds(403, "-", f"rbac_access_denied_matched_policy[{refused}]")
        elif kind == "envoy.extensions.filters.http.fault.v3.HTTPFault":
            if config.get("abort") or config.get("delay"):
                raise Unreadable("a fault is injected, which the dump gives a share of requests")
        elif kind not in _LETS_THROUGH:
            raise Unreadable(f"HTTP filter {name} is not modelled")
    return None


def _filters(manager: Part) -> Iterator[tuple[str, Part]]:
    for one in manager.get("http_filters") or ():
        if not one.get("disabled"):
            yield str(one["name"]), one.get("typed_config") or {}


def offered(manager: Part, cluster: Part, spoken: str, asked: str) -> tuple[str, ...]:
    """Return the ALPN that an HTTP filter offers in place of the cluster's own; empty: none does.

    Istio's filter does so by what the upstream speaks; a stock Envoy's stand-in sets a filter
    state, in sidecars by what was asked (clusters/embedded/node/alpn.py). spoken, asked: `h2` or
    `http/1.1`.
    """
    for _, config in _filters(manager):
        if config.get("alpn_override") and not _keeps_alpn(cluster):
            for one in config["alpn_override"]:
                if one.get("upstream_protocol", "HTTP10") == _SPOKEN[spoken]:
                    return tuple(one["alpn_override"])
        for one in config.get("on_request_headers") or ():
            if one.get("object_key") == ALPN_STATE:
                return _stand_in(one, cluster, asked)
    return ()


ALPN_STATE = "envoy.network.application_protocols"
_SPOKEN = {"http/1.1": "HTTP11", "h2": "HTTP2"}
_NAMES = re.compile(
    r"xds\.cluster_name\.startsWith\('([^']*)'\) && xds\.cluster_name\.endsWith\('([^']*)'\)"
)
_OFFERS = re.compile(r"\? \((?:request\.protocol == 'HTTP/2' \? '([^']*)' : )?'([^']*)'\) : ''\)%$")


def _keeps_alpn(cluster: Part) -> bool:
    istio = ((cluster.get("metadata") or {}).get("filter_metadata") or {}).get("istio") or {}
    return str(istio.get("alpn_override", "")) == "false"


def _stand_in(state: Part, cluster: Part, asked: str) -> tuple[str, ...]:
    expression = str(state["format_string"]["text_format_source"]["inline_string"])
    offers = _OFFERS.search(expression)
    if not offers:
        raise Unreadable("a filter sets the ALPN by an expression that is not modelled")
    # The first stand-in, of which there is evidence, did not ask for istiod's mark.
    if "alpn_override" in expression and _keeps_alpn(cluster):
        return ()
    name = str(cluster["name"])
    for begin, end in _NAMES.findall(expression):
        if name.startswith(begin) and name.endswith(end):
            return tuple(str((asked == "h2" and offers[1]) or offers[2]).split(","))
    return ()


def _asks_for_tls(host: Part, request: Request) -> bool:
    """Return whether a virtual host redirects to HTTPS, whatever routes it has.

    https://www.envoyproxy.io/docs/envoy/latest/api-v3/config/route/v3/route_components.proto
    """
    return host.get("require_tls", "NONE") != "NONE" and not request.secure


def _acted(host: Part, route: Part, request: Request) -> Responds | Routes:
    if per_filter := (route.get("typed_per_filter_config") or host.get("typed_per_filter_config")):
        raise Unreadable(f"a route configures {min(per_filter)} by itself")
    name = str(route.get("name", ""))
    if "direct_response" in route:
        return Responds(int(route["direct_response"]["status"]), "-", "direct_response")
    if "redirect" in route:
        return _redirected(route["redirect"], request)
    action = route.get("route") or {}
    if not ("cluster" in action or "weighted_clusters" in action):
        raise Unreadable(f"route {name!r} chooses its cluster by {min(action, default='nothing')}")
    changed = replace(request, host=action.get("host_rewrite_literal") or request.host)
    return Routes(chains.weighted(action), name, str(host.get("name", "")), changed)


def _redirected(redirect: Part, request: Request) -> Responds:
    status = REDIRECTS.get(redirect.get("response_code", ""), 301)
    host = redirect.get("host_redirect") or request.host
    path = redirect.get("path_redirect") or request.path
    scheme = "https" if redirect.get("https_redirect") else redirect.get("scheme_redirect", "http")
    return Responds(status, "-", "direct_response", f"{scheme}://{host}{path}")
