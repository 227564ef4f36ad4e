"""Tables of a measurement."""

from __future__ import annotations

from collections.abc import Iterable

from lab.mtls_cost import ratios
from lab.mtls_cost.measurement import PARTS, Measurement
from lab.mtls_cost.ratios import PAIRS, Interval
from lab.mtls_cost.variants import CONNECTIONS, LOADS, Load, Measured, measured
from lab.render.display import Table

NOT_TOLD_APART = "not told apart"


def conditions(measurement: Measurement) -> str:
    """Return what every figure has to say of itself, in a sentence."""
    about = measurement.about
    flavour = about["stack"]["flavour"]
    return (
        f"{about['cores']} shared cores, no network between the pods, {flavour} Envoy "
        f"{about['stack']['envoy']}, Istio {about['stack']['istio']}, keys {about['keys']}; "
        f"{about['measured_at'][:10]}."
    )


def cpu(measurement: Measurement) -> Table:
    """Return the CPU time of each variant, part by part."""
    return Table(
        "CPU milliseconds per 1,000 requests",
        ("load", "variant", *PARTS, "all", "95 % of the median"),
        tuple(_cpu_row(measurement, one) for one in measured() if one.load != CONNECTIONS),
        f"{_asked(measurement)} {conditions(measurement)}",
    )


def _asked(measurement: Measurement) -> str:
    rates = (
        f"{load.says} {measurement.rates[load.name]:.0f}" for load in LOADS if load != CONNECTIONS
    )
    return (
        f"Medians of {measurement.about['rounds']} rounds. Requests a second: {', '.join(rates)}."
    )


def _cpu_row(measurement: Measurement, one: Measured) -> tuple[str, ...]:
    each = [ratios.per_thousand(measurement, one.key, part) for part in PARTS]
    whole = ratios.per_thousand(measurement, one.key)
    parts = [f"{1000 * each_part.median:.0f}" if each_part else "-" for each_part in each]
    if not one.variant.sidecars:
        parts[1] = parts[2] = ""
    return (one.load.says, one.variant.says, *parts, _milliseconds(whole), _range(whole, 1000, 0))


def _milliseconds(value: Interval | None) -> str:
    return f"{1000 * value.median:.0f}" if value else "-"


def ratio_table(measurement: Measurement, loads: Iterable[Load] = LOADS) -> Table:
    """Return what each step costs, as a ratio, with its interval."""
    figures = ("CPU", "p50", "p99")
    rows = [
        (
            pair.says,
            load.says,
            *(_told(ratios.ratio(measurement, load.name, pair, f)) for f in figures),
        )
        for load in loads
        for pair in PAIRS
        if ratios.ratio(measurement, load.name, pair, "CPU")
    ]
    return Table(
        "What each step costs, as a ratio",
        ("what is added", "load", "CPU", "latency, median", "latency, 99 %"),
        tuple(rows),
        "Medians of the rounds' ratios, and the range in which the median lies with 95 %. Where "
        f"1 is in it, both are {NOT_TOLD_APART}. {conditions(measurement)}",
    )


def _told(value: Interval | None) -> str:
    if value is None:
        return "-"
    words = f"{value.median:.2f} ({_range(value, 1, 2)})"
    return f"{words} {NOT_TOLD_APART}" if value.holds(1.0) else words


def _range(value: Interval | None, by: float, digits: int) -> str:
    if value is None:
        return "-"
    sure = "" if value.sure else ", too few rounds"
    return f"{by * value.low:.{digits}f} to {by * value.high:.{digits}f}{sure}"


def connections(measurement: Measurement) -> Table:
    """Return what a connection costs, and how many handshakes resumed an earlier one."""
    rows = [_connection_row(measurement, one) for one in measured() if one.load == CONNECTIONS]
    return Table(
        "A TCP connection for each request: CPU milliseconds per 1,000 connections",
        ("variant", *PARTS, "all", "95 % of the median", "mTLS handshakes", "resumed"),
        tuple(rows),
        f"Connections a second: {measurement.rates[CONNECTIONS.name]:.0f}. fortio's client resumes "
        f"no session of the applications' TLS. {conditions(measurement)}",
    )


def _connection_row(measurement: Measurement, one: Measured) -> tuple[str, ...]:
    samples = measurement.counted(one.key).values()
    handshakes = sum(sample.handshakes for sample in samples)
    resumed = sum(sample.resumed for sample in samples)
    counted = (f"{handshakes:,}", f"{resumed:,}") if one.variant.mutual else ("none", "")
    return (*_cpu_row(measurement, one)[1:], *counted)


def bytes_sent(measurement: Measurement) -> Table:
    """Return the bytes of frames that a request takes, both ways."""
    rows = []
    for one in measured():
        found = ratios.frame_bytes(measurement, one.key)
        crossed = measurement.crossed[one.key].security
        rows.append(
            (one.load.says, one.variant.says, crossed, f"{found.median:,.0f}" if found else "-")
        )
    payload = measurement.about["payload"]
    return Table(
        "Bytes per request at the server's interface, both ways",
        ("load", "variant", "crossed as", "bytes"),
        tuple(rows),
        f"{payload:,} bytes of payload are sent, and come back; acknowledgements and headers are "
        f"counted too. {conditions(measurement)}",
    )


def dropped(measurement: Measurement) -> Table:
    """Return how many samples do not count, and why the first of each does not."""
    rows = [
        (one.key, f"{len(found)}", found[0].dropped)
        for one in measured()
        if (found := measurement.dropped(one.key))
    ]
    return Table("Samples that do not count", ("what", "how many", "why"), tuple(rows))


def repeated(first: Measurement, second: Measurement) -> Table:
    """Return the CPU ratios of two measurements, and whether their intervals meet."""
    rows = []
    for load in LOADS:
        for pair in PAIRS:
            one, other = (ratios.ratio(each, load.name, pair, "CPU") for each in (first, second))
            if one and other:
                meet = one.low <= other.high and other.low <= one.high
                rows.append(
                    (pair.says, load.says, _told(one), _told(other), "" if meet else "differ")
                )
    return Table(
        "The same, measured twice: CPU",
        ("what is added", "load", "first", "second", ""),
        tuple(rows),
        "*differ*: the two ranges do not meet.",
    )
