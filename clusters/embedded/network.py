"""The node's network and the pods': one veth pair and one /32 route each, no bridge.

Every call needs CAP_NET_ADMIN in the current network namespace, and a private /run.
"""

from __future__ import annotations

import ctypes
import ipaddress
import socket
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from clusters.embedded.settings import NODE_IP, POD_NETWORK, SERVICE_NETWORK
from lab.common.errors import CommandFailed

NETNS = Path("/run/netns")
CLONE_NEWNET = 0x40000000


def prepare_node() -> None:
    """Give the node its address, and let it forward between pods."""
    # Without a route a connection to a ClusterIP fails before kube-proxy's rules see it.
    _ip(f"link set lo up\naddr add {NODE_IP}/32 dev lo\nroute add {SERVICE_NETWORK} dev lo\n")
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1")


class PodNetwork:
    """Hands out pod addresses and builds each pod's namespace."""

    def __init__(self) -> None:
        self._free = (str(ip) for ip in ipaddress.ip_network(POD_NETWORK).hosts())
        self._lock = threading.Lock()
        self._next_ip()  # the node's own

    def _next_ip(self) -> str:
        with self._lock:
            return next(self._free)

    def attach(self, name: str) -> str:
        """Make the namespace `name` with lo and eth0; return the pod's address."""
        address = self._next_ip()
        host = "veth" + name[-11:]
        _ip(f"netns add {name}\nlink add {host} type veth peer name eth0 netns {name}\n")
        _in_netns(
            name,
            "echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6 2>/dev/null;"
            "echo 0 > /proc/sys/net/ipv4/ip_unprivileged_port_start;"
            "ip -batch -",
            f"link set lo up\nlink set eth0 up\naddr add {address}/32 dev eth0\n"
            f"route add {NODE_IP} dev eth0 scope link\nroute add default via {NODE_IP}\n",
        )
        _ip(f"link set {host} up\nroute add {address}/32 dev {host}\n")
        return address

    def detach(self, name: str) -> None:
        """Remove the namespace; its veth pair and routes go with it."""
        _ip(f"netns del {name}\n", check=False)


def connect(name: str, port: int) -> socket.socket:
    """Connect to a port of localhost inside the namespace `name`. Raises OSError."""
    # A thread of its own: which namespace sockets are made in is a property of the thread.
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(_connect, NETNS / name, port).result()


def _connect(namespace: Path, port: int) -> socket.socket:
    libc = ctypes.CDLL(None, use_errno=True)  # os.setns is new in Python 3.12
    with namespace.open() as file:
        if libc.setns(file.fileno(), CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), f"setns {namespace}")
    return socket.create_connection(("127.0.0.1", port), timeout=5)


def _ip(batch: str, *, check: bool = True) -> None:
    _run(["ip", "-batch", "-"], batch, check)


def _in_netns(name: str, script: str, stdin: str) -> None:
    _run(["nsenter", f"--net={NETNS / name}", "sh", "-c", script], stdin, True)


def _run(argv: list[str], stdin: str, check: bool) -> None:
    done = subprocess.run(argv, input=stdin, capture_output=True, text=True)
    if check and done.returncode:
        raise CommandFailed(f"{' '.join(argv)} <<< {stdin!r}: {done.stderr.strip()}")
