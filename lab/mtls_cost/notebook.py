"""What mTLS costs, as the notebook shows it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lab.model import store
from lab.mtls_cost import figure, measurement, tables
from lab.mtls_cost.measurement import Measurement
from lab.mtls_cost.variants import CONNECTIONS, LOADS
from lab.render.display import Picture, Table

RECORDED = store.ROOT / "benchmarks" / "mtls_cost"


class Cost:
    """A measurement, and the one that repeated it; each method returns what shows itself."""

    def __init__(self, found: Sequence[Measurement]) -> None:
        self._found = found

    def __repr__(self) -> str:
        each = (
            f"{len(one.samples)} samples in {one.about['rounds']} rounds, "
            f"{sum(bool(sample.dropped) for sample in one.samples)} of them not counted. "
            f"{tables.conditions(one)}"
            for one in self._found
        )
        return "\n".join(each)

    def cpu(self) -> Picture:
        """Return the CPU time of each variant."""
        return figure.cpu(self._found[0])

    def ratios(self) -> Picture:
        """Return what each step costs, as a ratio."""
        return figure.ratio(self._found[0])

    def connections(self) -> Table:
        """Return what a connection costs."""
        return tables.connections(self._found[0])

    def connection_ratios(self) -> Table:
        """Return what each step costs where each request has a connection of its own."""
        return tables.ratio_table(self._found[0], [CONNECTIONS])

    def bytes(self) -> Table:
        """Return the bytes that a request takes."""
        return tables.bytes_sent(self._found[0])

    def dropped(self) -> Table:
        """Return the samples that do not count."""
        return tables.dropped(self._found[0])

    def repeated(self) -> Table:
        """Return the two measurements beside each other; of one alone, its ratios."""
        if len(self._found) > 1:
            return tables.repeated(*self._found[:2])
        return tables.ratio_table(self._found[0], LOADS)


def opened(paths: Sequence[Path] = ()) -> list[Measurement]:
    """Read measurements; without paths, the recorded ones."""
    return [measurement.load(path) for path in paths or sorted(RECORDED.glob("*.json"))]


def open_cost() -> Cost:
    """Return the recorded measurements."""
    return Cost(opened())
