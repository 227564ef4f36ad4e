"""A run as a notebook tells it: each step shows what happened, and keeps nothing back.

run = lab.open_run("tcp_mtls")
run.before()
run.during()
run.wire("tcp-foo")
run.after()
run.verdict()
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from lab.common.errors import BadArguments, BadEvidence
from lab.judge.case import Case
from lab.judge.observation import FINAL_HOP, Observation
from lab.judge.verdict import Verdict
from lab.model.evidence import CallRecord, Evidence, WorldRecord
from lab.model.failure import Failure
from lab.model.scenario import STEPS
from lab.planes import Seen, agreement, stats
from lab.render.display import Picture, Table, Text
from lab.render.wording import came_back, difference, filled, legible, shorten

if TYPE_CHECKING:
    from pathlib import Path


WITNESSES = ("packets", "server's proxy", "what it counted", "client's proxy", "control plane")


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
        from lab.render.wording import said

        evidence = self._source.evidence
        first = said(evidence) if self._source.source == "recorded" else self._live(evidence)
        worlds = [
            f"  {world.namespace}: PeerAuthentication {world.mtls or 'none'}, "
            f"DestinationRule {world.rule or 'none'}{_on_nodes(world)}"
            for declared in self._source.failure.worlds
            if (world := evidence.worlds.get(declared.name))
        ]
        return Text((self._source.failure.title, first, f"({self._why})", *worlds))

    @staticmethod
    def _live(evidence: Evidence) -> str:
        stack = evidence.stack
        return (
            f"live: {evidence.cluster} cluster, Istio {stack['istio']}, "
            f"Envoy {stack['envoy'] or 'not seen'} ({stack['flavour'] or 'no proxy'}), "
            f"Kubernetes {stack['kubernetes']}"
        )

    def before(self) -> Table:
        """Call where nothing is secured: does everything work, and can the lab see."""
        return self._calls("Before: can the lab see?", self._source.before())

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
            came = [came_back(record) if record else "not tried" for record in records]
            rows.append((remedy.name, remedy.says, *came))
        header = ("remedy", "what is done", "as it is", "with it", "taken back")
        return Table("Remedies: broken, healed, and broken again", header, tuple(rows))

    def price(self) -> Table:
        """What each remedy did, what is then on the wire, and what it costs."""
        from lab.render.tables import remedies_table

        return remedies_table([self._source.judge()], "What each remedy does, and what it costs")

    def diff(self, name: str) -> Text:
        """What a remedy changes, line by line."""
        remedy = next((r for r in self._source.failure.remedies if r.name == name), None)
        if remedy is None:
            there = ", ".join(r.name for r in self._source.failure.remedies)
            raise BadArguments(f"no remedy {name!r}; there is {there}")
        return Text(tuple(difference(remedy, self._source.evidence)))

    def _calls(self, title: str, records: Sequence[CallRecord]) -> Table:
        rows = tuple(
            (record.name, f"$ {shorten(record.typed)}", came_back(record)) for record in records
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
            rows.append((name, *_crossed(seen.wire), f"{seen.marker_count}x"))
        header = ("call", "on the wire", "connection begins with", "SNI", "marker read")
        return Table("Packets at both pods' eth0", header, tuple(rows))

    def inside(self, *names: str) -> Table:
        """What the server's sidecar handed to its application, once Istio's own TLS was off."""
        rows = []
        for name in names:
            case, seen = self._case, self._see(name)
            handed = case.handed_on(seen) if seen else None
            rows.append((name, *(_crossed(handed) if handed else ["no record"] * 3)))
        header = ("call", "handed on as", "connection begins with", "SNI")
        return Table(
            "Packets between the server's sidecar and its application", header, tuple(rows)
        )

    def log(self, *names: str) -> Table:
        """What the server's own proxy says of the same connections."""
        rows = []
        for name in names:
            seen = self._see(name)
            if seen is None:
                rows.append((name, *["no record"] * 3))
                continue
            if seen.server_line is None:
                rows.append((name, "no line of it", "-", "-"))
                continue
            facts = seen.server.facts
            flags = f"{facts.get('flags') or '-'} {facts.get('details') or ''}".strip()
            peer = str(facts.get("peer") or "-")
            unmatched = "filter_chain_not_found" in flags
            took = "nothing it knows" if unmatched else seen.server.security
            rows.append((name, took, peer, flags))
        header = ("call", "took it for", "peer, from its certificate", "flags, details")
        return Table("Access log of the server's sidecar", header, tuple(rows))

    def route(self, *names: str) -> Table:
        """Where the client's own proxy sent a call."""
        rows = []
        for name in names:
            seen = self._see(name)
            line = (seen.client_line if seen else None) or {}
            cluster = str(line.get("upstream_cluster") or "-")
            sent = str(line.get("upstream_host") or "nowhere")
            rows.append((name, cluster, sent, str(line.get("response_code_details") or "-")))
        title = "Access log of the client's sidecar"
        return Table(title, ("call", "cluster it chose", "sent to", "details"), tuple(rows))

    def strangers(self, *names: str) -> Table:
        """How callers were received that shake hands by themselves, at both ends."""
        rows = []
        for name in names:
            seen = self._see(name)
            if seen is None:
                rows.append((name, *["no record"] * 3))
                continue
            record = seen.record
            alert = record.facts.get("alert")
            told = f"{record.outcome}" + (f" (alert {alert})" if alert else "")
            counted = stats.of_listener(record.counters.get(seen.call.to, {}), stats.INBOUND)
            tls = {name.removeprefix("ssl."): by for name, by in counted.items() if "ssl." in name}
            rose = ", ".join(f"{name} +{by}" for name, by in tls.items()) or "-"
            shown = str(record.facts.get("server_uri") or "-")
            shown += f"\nissued by {record.facts.get('server_issuer')}" if shown != "-" else ""
            rows.append((name, told, rose, shown))
        header = ("caller", "what it met", "server's counters", "certificate it was shown")
        return Table("What callers met at the server's sidecar", header, tuple(rows))

    def planes(self, *names: str) -> Table:
        """What each witness says of a call, and how many of them agree with the packets."""
        rows = []
        for name in names:
            seen = self._see(name)
            if seen is None:
                rows.append((name, *["no record"] * (len(WITNESSES) + 1)))
                continue
            told = [said.security for said in seen.planes]
            rows.append((name, *told, agreement(seen.planes)))
        header = ("call", *WITNESSES, "together")
        return Table("Every witness of the same call", header, tuple(rows))

    def graphs(self, *names: str) -> Table:
        """What a graph would have drawn of a call, in each generation of Kiali, and why."""
        from lab.render.tables import graphs_table

        return graphs_table(self._case, self._required(names))

    def disagreements(self, *names: str) -> Table:
        """What is at odds about a call, by name, and what is likely behind it."""
        from lab.render.tables import disagreements_table

        return disagreements_table(self._case, self._required(names))

    def application(self, *names: str) -> Table:
        """What the application that was asked wrote into its own log."""
        rows = []
        for name in names:
            seen = self._see(name)
            line = (seen.app_line if seen else None) or {}
            complaint = str(line.get("error") or line.get("code") or "-")
            caller = str(line.get("client_certificate") or "-")
            rows.append((name, str(line.get("spoke") or "nothing of it"), caller, complaint))
        header = ("call", "what reached it", "certificate it was shown", "its complaint")
        return Table("The application's own log", header, tuple(rows))

    def manifest(self, name: str) -> Text:
        """What a call gives to the API server."""
        call = self._source.failure.all_calls[name]
        return Text(tuple(self._filled(call.manifest, call.world).rstrip().splitlines()))

    def then_and_now(self, name: str, world: str = "posted") -> Text:
        """The manifest of a call beside the first of a world's policies: what took its place."""
        pair = (self.manifest(name).lines, self.policy(world).lines)
        new = tuple(itertools.takewhile(lambda line: line != "---", pair[1]))
        width = max(len(line) for line in pair[0])
        both = itertools.zip_longest(("then", "", *pair[0]), ("today", "", *new), fillvalue="")
        return Text(tuple(f"{old:<{width}}   {now}".rstrip() for old, now in both))

    def _filled(self, text: str, world: str) -> str:
        return filled(text, world, self._source.evidence)

    def certificates(self, world: str = "posted") -> Table:
        """Who holds which identity, and until when."""
        record = self._source.evidence.worlds.get(world)
        pods = record.pods if record else {}
        rows = tuple(
            (name, *(pod.certificate.get(field, "-") for field in ("spiffe", "issuer", "expires")))
            for name, pod in pods.items()
            if pod.certificate
        )
        header = ("workload", "identity", "trusted issuer", "valid until")
        return Table("Certificates in the running proxies", header, rows)

    def policy(self, world: str = "posted") -> Text:
        """A world's policy as it was applied."""
        text = self._filled(self._source.failure.world(world).policy, world)
        return Text(tuple(text.rstrip().splitlines()))

    def said(self, name: str) -> Text:
        """A call as it was typed, and the words that came back."""
        seen = self._see(name)
        if seen is None:
            return Text((f"{name}: no record",))
        record = seen.record
        back = record.received or record.error or record.outcome
        return Text((f"$ {record.typed}", *legible(back)[:24]))

    def verdict(self) -> Table:
        """The verdicts, from the stored files alone."""
        from lab.render.tables import claims_table

        return claims_table([self._source.judge()], "Verdicts, from the stored files alone")

    def why(self, *names: str) -> Text:
        """Which packet, log line and configuration led to each verdict, or to those of `names`."""
        from lab.render import explain

        verdict, folder = self._source.judge(), self._source.folder
        there = [*(c.id for c in verdict.claims), *(r.name for r in verdict.remedies)]
        if unknown := [name for name in names if name not in there]:
            raise BadArguments(f"no claim or remedy {unknown[0]!r}; there is {', '.join(there)}")
        if names:
            return Text(tuple(explain.lines_of(verdict, folder, names)))
        return Text(tuple(explain.lines(verdict, folder)))

    def graph(self) -> Picture:
        """Who talked to whom, and how each edge was secured as proven."""
        from lab.render.edges_figure import picture

        drawn = picture(self._case)
        if self._source.source == "live":
            from lab.common.files import write_text

            write_text(self._source.folder / "graph.svg", drawn.svg)
        return drawn

    def sequence(self, name: str) -> Picture | Text:
        """What crossed each hop of a call, in time order: application, sidecar, wire and back.

        Where it cannot be drawn, why: what comes after it in a notebook is told nevertheless.
        """
        from lab.render import sequence_diagram

        self._require(name)
        try:
            drawn = sequence_diagram.picture(self._case, name)
        except BadEvidence as problem:
            return Text((str(problem),))
        if self._source.source == "live":
            from lab.common.files import write_text

            write_text(self._source.folder / sequence_diagram.file_name(name), drawn.svg)
        return drawn

    def close(self) -> None:
        """Remove the run's namespaces; a kernel's end does it too."""
        self._source.close()

    def _see(self, name: str) -> Observation | None:
        """A call as observed; None where a run broke off before it. The verdict says why."""
        self._require(name.removesuffix(FINAL_HOP))
        return self._case.see(name)

    def _required(self, names: Sequence[str]) -> Sequence[str]:
        for name in names:
            self._require(name.removesuffix(FINAL_HOP))
        return names

    def _require(self, name: str) -> None:
        if name not in self._case.calls:
            raise BadArguments(f"no call {name!r}; there is {', '.join(self._case.calls)}")

    @property
    def _case(self) -> Case:
        return Case(self._source.failure, self._source.evidence, self._source.folder)


def _on_nodes(world: WorldRecord) -> str:
    """Which pods are on which node, where they are on several."""
    nodes: dict[str, list[str]] = {}
    for name, pod in world.pods.items():
        nodes.setdefault(pod.node, []).append(name)
    if len(nodes) < 2:
        return ""
    return "".join(f"\n    {', '.join(names)} on node {node}" for node, names in nodes.items())


def _crossed(said: Seen) -> tuple[str, str, str]:
    """How it crossed, its first bytes and the name asked for; or why none can be shown."""
    first = bytes.fromhex(str(said.facts.get("first_bytes", "")))[:12]
    text = "".join(chr(b) if 32 <= b < 127 else "." for b in first)
    shown = f"{first.hex(' ')}\n{text}" if first else said.why
    return said.security, shown, str(said.facts.get("sni") or "-")
