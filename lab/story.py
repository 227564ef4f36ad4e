"""A run as a notebook tells it: each step shows what happened, and keeps nothing back.

run = lab.open_run("tcp_mtls")
run.before()
run.during()
run.wire("tcp-foo")
run.after()
run.verdict()
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

from lab.display import Picture, Table, Text
from lab.errors import BadArguments
from lab.evidence import CallRecord, Evidence
from lab.failure import STEPS, Failure, fill
from lab.observe import Case, Observation
from lab.planes import agreement
from lab.verdict import Verdict

if TYPE_CHECKING:
    from pathlib import Path


WITNESSES = ("packets", "server's proxy", "client's proxy", "control plane")


class Source(Protocol):
    """What a story is told from: a live run, or a recorded one."""

    source: str
    failure: Failure
    folder: Path

    @property
    def evidence(self) -> Evidence: ...
    def before(self) -> Sequence[CallRecord]: ...
    def during(self) -> Sequence[CallRecord]: ...
    def after(self) -> Sequence[CallRecord]: ...
    def remedies(self) -> Sequence[CallRecord]: ...
    def judge(self) -> Verdict: ...
    def close(self) -> None: ...


class Story:
    """One run of one failure, step by step."""

    def __init__(self, source: Source, why: str) -> None:
        self._source, self._why = source, why

    def __repr__(self) -> str:
        return repr(self.about())

    def _repr_html_(self) -> str:
        return self.about()._repr_html_()

    def about(self) -> Text:
        """Where this runs and why there, with which versions, in which namespaces."""
        from lab.recorded import said

        evidence = self._source.evidence
        first = said(evidence) if self._source.source == "recorded" else self._live(evidence)
        worlds = [
            f"  {world.namespace}: PeerAuthentication {world.mtls}, "
            f"DestinationRule {world.rule or 'none'}"
            for world in evidence.worlds.values()
        ]
        return Text((self._source.failure.title, first, f"({self._why})", *worlds))

    @staticmethod
    def _live(evidence: Evidence) -> str:
        stack = evidence.stack
        return (
            f"live: {evidence.cluster} cluster, Istio {stack['istio']}, "
            f"Envoy {stack['envoy']} ({stack['flavour']}), Kubernetes {stack['kubernetes']}"
        )

    def before(self) -> Table:
        """Call where nothing is secured: does everything work, and can the lab see."""
        return self._calls("Before: nothing is secured", self._source.before())

    def during(self) -> Table:
        """The post's own world."""
        return self._calls("During: the post's two rules", self._source.during())

    def after(self) -> Table:
        """One thing changed."""
        return self._calls("After: one thing is changed", self._source.after())

    def remedies(self) -> Table:
        """Each remedy tried on what fails: as it is, with the remedy, and taken back again."""
        made = {record.name: record for record in self._source.remedies()}
        rows = []
        for remedy in self._source.failure.remedies:
            records = [made.get(f"{remedy.name}:{step}") for step in STEPS]
            came = [_came_back(record) if record else "not tried" for record in records]
            rows.append((remedy.name, remedy.says, *came))
        header = ("remedy", "what is done", "as it is", "with it", "taken back")
        return Table("Remedies: broken, healed, and broken again", header, tuple(rows))

    def price(self) -> Table:
        """What each remedy did, what is then on the wire, and what it costs."""
        from lab.report import remedies_table

        return remedies_table([self._source.judge()])

    def diff(self, name: str) -> Text:
        """What a remedy changes, line by line."""
        remedy = next((r for r in self._source.failure.remedies if r.name == name), None)
        if remedy is None:
            there = ", ".join(r.name for r in self._source.failure.remedies)
            raise BadArguments(f"no remedy {name!r}; there is {there}")
        change, typed = remedy.change, []
        if remedy.instead:
            typed = [f"- $ {remedy.call.command}", f"+ $ {remedy.instead.command}"]
        texts = (change.before.splitlines(), change.after.splitlines())
        lines = [*difflib.unified_diff(*texts, lineterm="", n=9)][3:]
        return Text((*typed, *lines))

    def _calls(self, title: str, records: Sequence[CallRecord]) -> Table:
        rows = tuple(
            (record.name, f"$ {_shorten(record.typed)}", _came_back(record)) for record in records
        )
        return Table(title, ("call", "what was typed", "what came back"), rows)

    def wire(self, *names: str) -> Table:
        """What crossed between the pods: security, first bytes, how often the marker was read."""
        rows = []
        for name in names:
            seen = self._see(name)
            if seen is None:
                rows.append((name, *["no record"] * 4))
                continue
            facts = seen.wire.facts
            first = bytes.fromhex(str(facts.get("first_bytes", "")))
            rows.append(
                (
                    name,
                    seen.wire.security,
                    f"{first.hex(' ')}\n{''.join(chr(b) if 32 <= b < 127 else '.' for b in first)}",
                    str(facts.get("sni", "") or "-"),
                    f"{seen.marker_count}x",
                )
            )
        header = ("call", "on the wire", "first bytes of its connection", "SNI", "marker read")
        return Table("Packets at both pods' eth0", header, tuple(rows))

    def log(self, *names: str) -> Table:
        """What the server's own proxy says of the same connections."""
        rows = []
        for name in names:
            seen = self._see(name)
            if seen is None:
                rows.append((name, *["no record"] * 3))
                continue
            facts = seen.server.facts
            flags = f"{facts.get('flags') or '-'} {facts.get('details') or ''}".strip()
            peer = str(facts.get("peer") or "-")
            rows.append((name, seen.server.security, peer, flags))
        header = ("call", "the server's proxy says", "peer, from its certificate", "flags, details")
        return Table("Access log of the server's sidecar", header, tuple(rows))

    def route(self, *names: str) -> Table:
        """Where the client's own proxy sent a call."""
        rows = []
        for name in names:
            seen = self._see(name)
            line = (seen.client_line if seen else None) or {}
            cluster = str(line.get("upstream_cluster") or "-")
            rows.append((name, cluster, str(line.get("upstream_host") or "-")))
        title = "Access log of the client's sidecar"
        return Table(title, ("call", "cluster it chose", "sent to"), tuple(rows))

    def strangers(self, *names: str) -> Table:
        """How callers from outside the mesh were received, at both ends."""
        rows = []
        for name in names:
            seen = self._see(name)
            if seen is None:
                rows.append((name, *["no record"] * 3))
                continue
            record = seen.record
            alert = record.facts.get("alert")
            told = f"{record.outcome}" + (f" (alert {alert})" if alert else "")
            rose = ", ".join(f"{k.split('.')[-1]} +{v}" for k, v in record.counters.items()) or "-"
            rows.append((name, told, rose, str(record.facts.get("server_uri") or "-")))
        header = ("stranger", "what it met", "server's counters", "identity it was shown")
        return Table("Callers that are not in the mesh", header, tuple(rows))

    def planes(self, *names: str) -> Table:
        """What each witness says of a call, and how many of them agree with the packets."""
        rows = []
        for name in names:
            seen = self._see(name)
            if seen is None:
                rows.append((name, *["no record"] * 5))
                continue
            told = [said.security for said in seen.planes]
            rows.append((name, *told, agreement(seen.planes)))
        header = ("call", *WITNESSES, "together")
        return Table("Every witness of the same call", header, tuple(rows))

    def application(self, *names: str) -> Table:
        """What the application that was asked wrote into its own log."""
        rows = []
        for name in names:
            seen = self._see(name)
            line = (seen.app_line if seen else None) or {}
            complaint = str(line.get("error") or line.get("code") or "-")
            caller = str(line.get("client_certificate") or "-")
            rows.append((name, str(line.get("spoke") or "nothing"), caller, complaint))
        header = ("call", "what reached it", "certificate it was shown", "its complaint")
        return Table("The application's own log", header, tuple(rows))

    def manifest(self, name: str) -> Text:
        """What a call gives to the API server."""
        call = self._source.failure.all_calls[name]
        return Text(tuple(call.manifest.rstrip().splitlines()))

    def certificates(self, world: str = "posted") -> Table:
        """Who holds which identity, and until when."""
        record = self._source.evidence.worlds.get(world)
        pods = record.pods if record else {}
        rows = tuple(
            (name, pod.certificate["spiffe"], pod.certificate["issuer"], pod.certificate["expires"])
            for name, pod in pods.items()
            if pod.certificate
        )
        header = ("workload", "identity", "trusted issuer", "valid until")
        return Table("Certificates in the running proxies", header, rows)

    def policy(self, world: str = "posted") -> Text:
        """A world's policy as it was applied."""
        record = self._source.evidence.worlds[world]
        text = fill(self._source.failure.world(world).policy, {"namespace": record.namespace})
        return Text(tuple(text.rstrip().splitlines()))

    def said(self, name: str) -> Text:
        """A call as it was typed, and the words that came back."""
        seen = self._see(name)
        if seen is None:
            return Text((f"{name}: no record",))
        record = seen.record
        back = (record.received or record.error or record.outcome).splitlines()
        return Text((f"$ {_shorten(record.typed)}", *back[:24]))

    def verdict(self) -> Table:
        """The verdicts, from the stored files alone."""
        from lab.report import claims_table

        return claims_table([self._source.judge()])

    def why(self) -> Text:
        """Which packet, log line and configuration led to each verdict."""
        from lab.why import lines

        return Text(tuple(lines(self._source.judge(), self._source.folder)))

    def graph(self) -> Picture:
        """Who talked to whom, and how each edge was secured as proven."""
        from lab.draw import picture

        case = Case(self._source.failure, self._source.evidence, self._source.folder)
        drawn = picture(case)
        if self._source.source == "live":
            from lab.store import write_text

            write_text(self._source.folder / "graph.svg", drawn.svg)
        return drawn

    def close(self) -> None:
        """Remove the run's namespaces; a kernel's end does it too."""
        self._source.close()

    def _see(self, name: str) -> Observation | None:
        """A call as observed; None where a run broke off before it. The verdict says why."""
        case = Case(self._source.failure, self._source.evidence, self._source.folder)
        if name not in case.calls:
            raise BadArguments(f"no call {name!r}; there is {', '.join(case.calls)}")
        return case.see(name)


def _came_back(record: CallRecord) -> str:
    if record.lost:
        return f"lost: {record.lost}"
    return f"{record.outcome} {record.status or ''}".strip()


def _shorten(typed: str, length: int = 110) -> str:
    return typed if len(typed) <= length else typed[: length - 3] + "..."


def open_run(name: str, cluster: str = "auto", **parameters: str) -> Story:
    """Start a run of a failure, on a live cluster or from what was recorded.

    cluster: `embedded`, `recorded`, or `auto`: LAB_CLUSTER, else embedded where it can run,
    else recorded. Raises BadArguments for names and values that do not exist.
    """
    from lab import failures
    from lab.parameters import parameters_of

    failure = failures.load(name)
    values = parameters_of(failure, parameters)
    kind, why = choose(cluster)
    if kind == "recorded":
        from lab.recorded import RecordedRun

        return Story(RecordedRun(failure, values), why)
    from lab.live import begin

    return Story(begin(failure, kind, values), why)


def choose(cluster: str) -> tuple[str, str]:
    """Which kind of cluster `cluster` means here, and why, in words."""
    import os

    if cluster != "auto":
        return cluster, f"as asked: cluster={cluster!r}"
    named: Any = os.environ.get("LAB_CLUSTER")
    if named and named != "auto":
        return named, f"LAB_CLUSTER={named}"
    from clusters.embedded import binaries

    if binaries.source("1.31").built:
        return "embedded", "its binaries are built on this machine"
    return "recorded", "the embedded cluster's binaries are not built here yet: `make up` does it"
