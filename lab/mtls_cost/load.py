"""The commands of a load, and what fortio says of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lab.common.errors import CommandFailed
from lab.mtls_cost.edges import OWN_TLS_FLAGS
from lab.mtls_cost.measurement import AT_ONCE
from lab.mtls_cost.variants import CONNECTIONS, Measured

PAYLOAD = 1024
"""Bytes that are sent, and come back."""
PERCENTILES = ("50", "90", "99")
_SECONDS = "0.00001"
"""The histogram's finest step: fortio takes a millisecond else."""
_ANSWERED = frozenset({"200", "OK", "SERVING"})
"""fortio's words for HTTP, TCP and gRPC."""


@dataclass(frozen=True)
class Told:
    """What fortio says of one load."""

    achieved: float
    """Requests a second."""
    requests: int
    failed: int
    latency: Mapping[str, float]
    """Percentile -> seconds."""
    cpu: float
    """Seconds that it took of the CPU."""


def command(one: Measured, *, rate: float, seconds: float = 0, count: int = 0) -> list[str]:
    """Return what is typed in the client's pod.

    rate: requests a second, 0: as many as can be. seconds or count: where it ends.
    """
    words = [f"-qps={rate}", f"-c={AT_ONCE}", f"-r={_SECONDS}", f"-p={','.join(PERCENTILES)}"]
    words += [f"-n={count}"] if count else [f"-t={seconds}s"]
    words += ["-uniform", f"-payload-size={PAYLOAD}"]  # connections do not send all at once
    words += OWN_TLS_FLAGS if one.variant.own_tls else []
    words += ["-keepalive=false"] if one.load == CONNECTIONS else []
    words += ["-grpc", "-ping"] if one.load.name == "grpc" else []
    return ["measured-load", *words, _target(one)]


def _target(one: Measured) -> str:
    place = f"{one.variant.name}:{one.port}"
    if one.load.name == "grpc":
        return place
    if one.load.name == "tcp":
        return f"tcp://{place}"
    return f"http{'s' if one.variant.own_tls else ''}://{place}/"


def read(stdout: bytes) -> Told:
    """Return what `measured-load` printed. Raises CommandFailed where no load was made."""
    told: dict[str, Any] = json.loads(stdout)
    result = told["result"]
    if result is None:
        raise CommandFailed(f"fortio made no load (code {told['code']}): {told['said']}")
    histogram = result["DurationHistogram"]
    codes = {str(code): int(number) for code, number in result["RetCodes"].items()}
    return Told(
        float(result["ActualQPS"]),
        int(histogram["Count"]),
        sum(number for code, number in codes.items() if code not in _ANSWERED),
        {f"{one['Percentile']:g}": float(one["Value"]) for one in histogram["Percentiles"]},
        float(told["cpu_seconds"]),
    )
