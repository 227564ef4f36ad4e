"""IP addresses and ranges, parsed once: the same ones are asked for by every call."""

from __future__ import annotations

import ipaddress
from functools import lru_cache

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
REMEMBERED = 1 << 16


@lru_cache(REMEMBERED)
def address(text: str) -> Address:
    """Return the address that a text is. Raises ValueError for any other text."""
    return ipaddress.ip_address(text)


@lru_cache(REMEMBERED)
def network(text: str) -> Network:
    """Return the range that a text is, whichever of its addresses it begins with.

    Raises ValueError for any other text.
    """
    return ipaddress.ip_network(text, strict=False)


@lru_cache(REMEMBERED)
def is_one(text: str) -> bool:
    """Return whether a text is an address."""
    try:
        address(text)
    except ValueError:
        return False
    return True
