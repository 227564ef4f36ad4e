"""What a measurement recorded: every sample, and under which conditions; stored as JSON."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lab.common.errors import BadEvidence

PARTS = ("client", "client's sidecar", "server's sidecar", "server")
"""Whose CPU time is counted."""
AT_ONCE = 4
"""Connections of a load, each with one request at a time."""
FORMAT = 1


@dataclass(frozen=True)
class Sample:
    """One load over one variant, for some seconds."""

    round: int
    key: str
    """`http/mtls`."""
    asked: float
    """Requests a second."""
    achieved: float
    requests: int
    cpu: Mapping[str, float]
    """Part -> CPU seconds, without what it uses when idle, and without what a load takes to start:
    the load's own program, and the first request on each connection."""
    latency: Mapping[str, float]
    """Percentile (`50`, `90`, `99`) -> seconds."""
    sent: int
    """Bytes of frames that left the server's pod, by its interface's counters."""
    received: int
    handshakes: int = 0
    """That the server's sidecar completed; only counted where a connection is measured."""
    resumed: int = 0
    dropped: str = ""
    """Why it does not count; empty: it does."""

    def cpu_per_request(self, part: str = "") -> float:
        """Return the CPU seconds of one more request: of one part, or of all."""
        seconds = self.cpu.get(part, 0.0) if part else sum(self.cpu.values())
        return seconds / (self.requests - AT_ONCE)


@dataclass(frozen=True)
class Crossed:
    """What crossed between the pods, captured before anything was measured."""

    security: str
    """`tls` or `plaintext`."""
    alpn: tuple[str, ...] = ()
    """That the client's hello offered."""


@dataclass(frozen=True)
class Measurement:
    """A whole measurement."""

    about: Mapping[str, Any]
    """Machine, stack, certificates, time, and the settings of the load."""
    highest: Mapping[str, float]
    """Key -> requests a second that were reached without a limit."""
    rates: Mapping[str, float]
    """Load -> requests a second that were asked of each of its variants."""
    start: Mapping[str, Mapping[str, float]]
    """Key -> part -> CPU seconds of a load of one request on each connection."""
    crossed: Mapping[str, Crossed]
    samples: Sequence[Sample] = field(default_factory=list)

    def counted(self, key: str) -> dict[int, Sample]:
        """Return round -> sample, of those that count."""
        return {one.round: one for one in self.samples if one.key == key and not one.dropped}

    def dropped(self, key: str) -> list[Sample]:
        """Return the samples that do not count."""
        return [one for one in self.samples if one.key == key and one.dropped]


def to_json(measurement: Measurement) -> dict[str, Any]:
    """Return a measurement as it is stored."""
    return {"format": FORMAT, **dataclasses.asdict(measurement)}


def load(path: Path) -> Measurement:
    """Read a stored measurement. Raises BadEvidence for a file that is none."""
    try:
        told = json.loads(path.read_text())
        crossed = {
            key: Crossed(one["security"], tuple(one["alpn"]))
            for key, one in told["crossed"].items()
        }
        samples = [Sample(**one) for one in told["samples"]]
        return Measurement(
            told["about"], told["highest"], told["rates"], told["start"], crossed, samples
        )
    except OSError as error:
        raise BadEvidence(f"{path} cannot be read: {error.strerror}") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadEvidence(f"{path} is no measurement of what mTLS costs: {error!r}") from None
