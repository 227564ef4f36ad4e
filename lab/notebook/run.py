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
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

from lab.common.errors import BadArguments, BadEvidence
from lab.judge.case import Case
from lab.judge.observation import FINAL_HOP, Observation
from lab.judge.verdict import Verdict
from lab.model.evidence import CallRecord, Evidence, WorldRecord
from lab.model.failure import Failure
from lab.model.scenario import STEPS
from lab.render import call_tables
from lab.render.display import Picture, Table, Text
from lab.render.wording import came_back, difference, filled, legible, shorten

if TYPE_CHECKING:
    from pathlib import Path


class RunSource(Protocol):
    """Where a notebook's run comes from: a live run, or a recorded one."""

    source: str
    failure: Failure
    folder: Path

    @property
    def evidence(self) -> Evidence: ...
    @property
    def case(self) -> Case:
        """What was recorded so far, opened for checks."""

    def before(self) -> Sequence[CallRecord]: ...
    def during(self) -> Sequence[CallRecord]: ...
    def after(self) -> Sequence[CallRecord]: ...
    def remedies(self) -> Sequence[CallRecord]: ...
    def judge(self) -> Verdict: ...
    def close(self) -> None: ...


class NotebookRun:
    """One run of one failure, step by step."""

    def __init__(self, source: RunSource, why: str) -> None:
        self._source, self._why = source, why
        self._opened: Case | None = None

    def __repr__(self) -> str:
        return repr(self.about())

    def _repr_html_(self) -> str:
        return self.about()._repr_html_()

    def about(self) -> Text:
        """Show where this runs and why there, with which versions, in which namespaces."""
        from lab.render.wording import policies, said

        evidence = self._source.evidence
        first = said(evidence) if self._source.source == "recorded" else self._live(evidence)
        worlds = [
            f"  {world.namespace}: {policies(declared, world)}{_on_nodes(world)}"
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
        return self._calls("Before: can the lab see?", self._made(self._source.before))

    def during(self) -> Table:
        """Call in the world of the report."""
        return self._calls("During: as reported", self._made(self._source.during))

    def after(self) -> Table:
        """Call in a world where one thing is changed."""
        return self._calls("After: one thing is changed", self._made(self._source.after))

    def remedies(self) -> Table:
        """Try each remedy on what fails: as it is, with the remedy, and taken back again."""
        made = {record.name: record for record in self._made(self._source.remedies)}
        rows = []
        for remedy in self._source.failure.remedies:
            records = [made.get(f"{remedy.name}:{step}") for step in STEPS]
            came = [came_back(record) if record else "not tried" for record in records]
            rows.append((remedy.name, remedy.says, *came))
        header = ("remedy", "what is done", "as it is", "with it", "taken back")
        return Table("Remedies: broken, healed, and broken again", header, tuple(rows))

    def price(self) -> Table:
        """Show what each remedy did, what is then on the wire, and what it costs."""
        from lab.render.tables import remedies_table

        return remedies_table([self._source.judge()], "What each remedy does, and what it costs")

    def diff(self, name: str) -> Text:
        """Show what a remedy changes, line by line."""
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
        """Show what crossed between the pods: security, first bytes, the marker."""
        return call_tables.wire_table(self._case, self._required(names))

    def inside(self, *names: str) -> Table:
        """Show what the server's sidecar sent to its application, without Istio's own TLS."""
        return call_tables.inside_table(self._case, self._required(names))

    def log(self, *names: str) -> Table:
        """Show what the server's own proxy logged of the same connections."""
        return call_tables.log_table(self._case, self._required(names))

    def chains(self, *names: str) -> Table:
        """Show the filter chains that the server's sidecar has for the port of a call."""
        from lab.render.chains_table import chains_table

        return chains_table(self._case, self._required(names))

    def route(self, *names: str) -> Table:
        """Show where the client's own proxy sent a call."""
        return call_tables.route_table(self._case, self._required(names))

    def strangers(self, *names: str) -> Table:
        """Show how callers were received that make their own TLS handshake."""
        return call_tables.strangers_table(self._case, self._required(names))

    def planes(self, *names: str) -> Table:
        """Show what each witness says of a call, and how many agree with the packets."""
        return call_tables.witnesses_table(self._case, self._required(names))

    def graphs(self, *names: str) -> Table:
        """Show what each generation of Kiali would have drawn of a call, and why."""
        from lab.render.tables import graphs_table

        return graphs_table(self._case, self._required(names))

    def disagreements(self, *names: str) -> Table:
        """Show where the planes are at odds about a call, and what is likely behind it."""
        from lab.render.tables import disagreements_table

        return disagreements_table(self._case, self._required(names))

    def application(self, *names: str) -> Table:
        """Show what the application that was asked wrote into its own log."""
        return call_tables.application_table(self._case, self._required(names))

    def manifest(self, name: str) -> Text:
        """Show what a call gives to the API server."""
        call = self._source.failure.all_calls[name]
        return Text(tuple(self._filled(call.manifest, call.world).rstrip().splitlines()))

    def then_and_now(self, name: str, world: str = "posted") -> Text:
        """Show the manifest of a call beside the policy that took its place."""
        pair = (self.manifest(name).lines, self.policy(world).lines)
        new = tuple(itertools.takewhile(lambda line: line != "---", pair[1]))
        width = max(len(line) for line in pair[0])
        both = itertools.zip_longest(("then", "", *pair[0]), ("today", "", *new), fillvalue="")
        return Text(tuple(f"{old:<{width}}   {now}".rstrip() for old, now in both))

    def _filled(self, text: str, world: str) -> str:
        return filled(text, world, self._source.evidence)

    def certificates(self, world: str = "posted") -> Table:
        """Show who holds which identity, and until when."""
        return call_tables.certificates_table(self._case, world)

    def policy(self, world: str = "posted") -> Text:
        """Show a world's policy as it was applied."""
        text = self._filled(self._source.failure.world(world).policy, world)
        return Text(tuple(text.rstrip().splitlines()))

    def said(self, name: str) -> Text:
        """Show a call as it was typed, and the words that came back."""
        seen = self._see(name)
        if seen is None:
            return Text((f"{name}: no record",))
        record = seen.record
        back = record.received or record.error or record.outcome
        return Text((f"$ {record.typed}", *legible(back)[:24]))

    def istioctl(self, world: str = "") -> Text:
        """Show what istioctl said of a world, or of all, where the run was told to ask it."""
        from lab.render import tools

        asked = tools.lines(self._source.evidence, world)
        return Text(tuple(asked or ["istioctl was not asked: istio-lab run --istioctl asks it"]))

    def verdict(self) -> Table:
        """Show the verdicts, from the stored files alone."""
        from lab.render.tables import questions_table

        title = "Verdicts, from the stored files alone"
        return questions_table(self._source.failure, self._source.judge(), title)

    def why(self, *names: str) -> Text:
        """Show which packet, log line and configuration led to each verdict, or to those named."""
        from lab.render import explain

        verdict, folder = self._source.judge(), self._source.folder
        there = [*(c.id for c in verdict.claims), *(r.name for r in verdict.remedies)]
        if unknown := [name for name in names if name not in there]:
            raise BadArguments(f"no claim or remedy {unknown[0]!r}; there is {', '.join(there)}")
        if names:
            return Text(tuple(explain.lines_of(verdict, folder, names)))
        return Text(tuple(explain.lines(verdict, folder)))

    def graph(self) -> Picture:
        """Draw who called whom, and how each edge was secured as proven."""
        from lab.render.edges_figure import picture

        drawn = picture(self._case)
        if self._source.source == "live":
            from lab.common.files import write_text

            write_text(self._source.folder / "graph.svg", drawn.svg)
        return drawn

    def sequence(self, name: str) -> Picture | Text:
        """Draw what crossed each hop of a call, in time order: application, sidecar, wire and back.

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
        """Return a call as observed; None where a run broke off before it. The verdict says why."""
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
        """What was recorded so far: opened anew only after more calls were made."""
        if self._opened is None:
            self._opened = self._source.case
        return self._opened

    def _made(self, make: Callable[[], Sequence[CallRecord]]) -> Sequence[CallRecord]:
        """Make calls; what was opened before does not hold them."""
        self._opened = None
        return make()


def _on_nodes(world: WorldRecord) -> str:
    """Return which pods are on which node, where they are on several."""
    nodes: dict[str, list[str]] = {}
    for name, pod in world.pods.items():
        nodes.setdefault(pod.node, []).append(name)
    if len(nodes) < 2:
        return ""
    return "".join(f"\n    {', '.join(names)} on node {node}" for node, names in nodes.items())
