"""Which route of an HTTP connection manager a request takes.

The Host decides, not the address: exact names before `*.suffix`, those before `prefix.*`, the
longest first, `*` last (Envoy's API reference, VirtualHost.domains).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lab.envoy.matching import Unreadable

Part = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Request:
    """What of a request a route looks at."""

    host: str
    path: str = "/"
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict)
    """Names in lower case."""
    secure: bool = False
    """Whether it came inside TLS that ended at the proxy which reads it."""

    @property
    def upgrade(self) -> str:
        """Return what the request asks to switch to, in lower case."""
        return self.headers.get("upgrade", "").lower()

    @property
    def grpc(self) -> bool:
        return self.headers.get("content-type", "").startswith("application/grpc")


class VirtualHosts:
    """The virtual hosts of a route configuration, found by a request's host."""

    def __init__(self, config: Part) -> None:
        self._ignores_port = bool(config.get("ignore_port_in_host_matching"))
        self._exact: dict[str, Part] = {}
        self._suffixes: dict[str, Part] = {}
        self._prefixes: dict[str, Part] = {}
        for one in config.get("virtual_hosts") or ():
            for domain in one.get("domains") or ():
                self._add(domain.lower(), one)

    def _add(self, domain: str, host: Part) -> None:
        if domain.startswith("*"):
            self._suffixes.setdefault(domain[1:], host)
        elif domain.endswith("*"):
            self._prefixes.setdefault(domain[:-1], host)
        else:
            self._exact.setdefault(domain, host)

    def find(self, host: str) -> Part | None:
        """Return the one for a Host header; None: Envoy answers 404."""
        name = host.lower()
        if self._ignores_port:
            name = re.sub(r":\d+$", "", name)
        if name in self._exact:
            return self._exact[name]
        for at in range(1, len(name)):  # the longest suffix first; `*` alone is last
            if name[at:] in self._suffixes:
                return self._suffixes[name[at:]]
        for end in range(len(name) - 1, 0, -1):
            if name[:end] in self._prefixes:
                return self._prefixes[name[:end]]
        return self._suffixes.get("")


def route(host: Part, request: Request) -> Part | None:
    """Return the first route that a request fits; None: Envoy answers 404.

    Raises Unreadable for a match that is not modelled, where it could be the one.
    """
    return next((one for one in host.get("routes") or () if _fits(one["match"], request)), None)


_READ = {"prefix", "path", "safe_regex", "path_separated_prefix", "headers", "grpc",
         "case_sensitive"}  # fmt: skip


def _fits(match: Part, request: Request) -> bool:
    if not _path_fits(match, request.path.partition("?")[0]):
        return False
    if "grpc" in match and not request.grpc:
        return False
    if not all(header_fits(one, request) for one in match.get("headers") or ()):
        return False
    if unread := match.keys() - _READ:
        raise Unreadable(f"a route is matched by {min(unread)}")
    return True


def _path_fits(match: Part, path: str) -> bool:
    ignore = match.get("case_sensitive") is False
    seen = path.lower() if ignore else path

    def own(key: str) -> str:
        return str(match[key]).lower() if ignore else str(match[key])

    if "prefix" in match:
        return seen.startswith(own("prefix"))
    if "path" in match:
        return seen == own("path")
    if "path_separated_prefix" in match:
        return seen == own("path_separated_prefix") or seen.startswith(
            own("path_separated_prefix") + "/"
        )
    if "safe_regex" in match:
        return re.fullmatch(match["safe_regex"]["regex"], path) is not None
    raise Unreadable(f"a route is matched by {min(match, default='nothing')}")


def header_fits(matcher: Part, request: Request) -> bool:
    """Return whether a request has a header that fits Envoy's HeaderMatcher.

    Raises Unreadable for a matcher that is not modelled.
    """
    name = matcher["name"].lower()
    special = {":method": request.method, ":authority": request.host, ":path": request.path}
    value = special.get(name, request.headers.get(name))
    fits = _value_fits(matcher, value)
    return fits != bool(matcher.get("invert_match"))


def _value_fits(matcher: Part, value: str | None) -> bool:
    if "present_match" in matcher:
        return (value is not None) == bool(matcher["present_match"])
    if "string_match" not in matcher:
        if matcher.keys() <= {"name", "invert_match", "treat_missing_header_as_empty"}:
            return value is not None
        raise Unreadable(f"a header is matched by {min(matcher.keys() - {'name'})}")
    if value is None:
        if not matcher.get("treat_missing_header_as_empty"):
            return False
        value = ""
    return text_fits(matcher["string_match"], value)


def text_fits(matcher: Part, value: str) -> bool:
    """Return whether a value fits Envoy's StringMatcher. Raises Unreadable for one unknown."""
    if matcher.get("ignore_case"):
        matcher = {k: v.lower() if isinstance(v, str) else v for k, v in matcher.items()}
        value = value.lower()
    if "exact" in matcher:
        return value == str(matcher["exact"])
    if "prefix" in matcher:
        return value.startswith(matcher["prefix"])
    if "suffix" in matcher:
        return value.endswith(matcher["suffix"])
    if "contains" in matcher:
        return matcher["contains"] in value
    if "safe_regex" in matcher:
        return re.fullmatch(matcher["safe_regex"]["regex"], value) is not None
    raise Unreadable(f"a text is matched by {min(matcher, default='nothing')}")
