"""Probes, asked from the node's network as a kubelet asks them."""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
from collections.abc import Callable
from typing import Literal

from clusters.kube import Obj

Kind = Literal["startup", "readiness", "liveness"]
FIELDS: dict[Kind, str] = {
    "startup": "startupProbe",
    "readiness": "readinessProbe",
    "liveness": "livenessProbe",
}
Exec = Callable[[list[str], float], int]


class Probe:
    """One probe of one container: its spec, and the streak that decides."""

    def __init__(self, kind: Kind, spec: Obj, container: Obj, pod_ip: str, run: Exec) -> None:
        self.kind, self._spec, self._container, self._ip, self._run = (
            kind,
            spec,
            container,
            pod_ip,
            run,
        )
        self._streak, self._last = 0, False

    @property
    def period(self) -> float:
        return float(self._spec.get("periodSeconds") or 10)

    @property
    def delay(self) -> float:
        return float(self._spec.get("initialDelaySeconds") or 0)

    def ask(self) -> bool | None:
        """Ask once. True or False once the threshold is reached, None before."""
        answer = self._once()
        self._streak = self._streak + 1 if answer == self._last else 1
        self._last = answer
        name, default = ("successThreshold", 1) if answer else ("failureThreshold", 3)
        return answer if self._streak >= (self._spec.get(name) or default) else None

    def _once(self) -> bool:
        timeout = float(self._spec.get("timeoutSeconds") or 1)
        try:
            if "httpGet" in self._spec:
                return self._http(self._spec["httpGet"], timeout)
            if "tcpSocket" in self._spec:
                address = (self._spec["tcpSocket"].get("host") or self._ip, self._port("tcpSocket"))
                socket.create_connection(address, timeout).close()
                return True
            if "exec" in self._spec:
                return self._run(self._spec["exec"]["command"], timeout) == 0
        except (OSError, http.client.HTTPException):
            return False
        return False  # gRPC probes are not offered: never ready rather than wrongly ready

    def _http(self, spec: Obj, timeout: float) -> bool:
        address = (spec.get("host") or self._ip, self._port("httpGet"))
        link: http.client.HTTPConnection
        if str(spec.get("scheme", "HTTP")).upper() == "HTTPS":
            context = ssl.create_default_context()
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE  # a kubelet does not verify it either
            link = http.client.HTTPSConnection(*address, timeout=timeout, context=context)
        else:
            link = http.client.HTTPConnection(*address, timeout=timeout)
        try:
            headers = {"User-Agent": "kube-probe/lab", "Connection": "close"}
            headers |= {h["name"]: h["value"] for h in spec.get("httpHeaders", [])}
            link.request("GET", spec.get("path") or "/", headers=headers)
            return 200 <= link.getresponse().status < 400
        finally:
            link.close()

    def _port(self, kind: str) -> int:
        wanted = self._spec[kind]["port"]
        if isinstance(wanted, int):
            return wanted
        ports = self._container.get("ports", [])
        return next((int(p["containerPort"]) for p in ports if p.get("name") == wanted), 0)


def keep_asking(probe: Probe, stop: threading.Event, tell: Callable[[bool], None]) -> None:
    """Ask at the probe's period until `stop`; `tell` each answer that counts.

    Until the first success a period is at most a tenth of a second, growing: a person is
    waiting, and a kubelet's spread of load over many pods is not needed here.
    """
    pause = 0.05
    if stop.wait(probe.delay):
        return
    seen_success = False
    while True:
        answer = probe.ask()
        if stop.is_set():
            return  # it was asked of a container that has ended meanwhile
        if answer is not None:
            seen_success = seen_success or answer
            tell(answer)
            if answer and probe.kind == "startup":
                return
        pause = probe.period if seen_success else min(pause * 1.3, probe.period, 1.0)
        if stop.wait(pause):
            return
