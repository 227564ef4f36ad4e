"""Which edges change, on a recorded world of which one proxy or one port is made to differ."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace

import audited_worlds
import pytest
from audited_worlds import RecordedWorld

from lab.audit import edges, seen
from lab.audit.changed import compare
from lab.audit.changed.compare import Changed
from lab.audit.changed.compared import Compared
from lab.audit.edges import Inventory
from lab.audit.ports import Destination
from lab.common.errors import BadEvidence
from lab.envoy.dump import Proxy
from lab.envoy.mesh import Mesh, Workload

INBOUND = ("0.0.0.0", 15006)
KEPT = "kept."


@pytest.fixture
def recorded() -> RecordedWorld:
    return audited_worlds.world("wrong_version_number", "posted")


def strict(proxy: Proxy) -> Proxy:
    """A proxy that takes no plaintext."""
    inbound = copy.deepcopy(dict(proxy.listeners[INBOUND]))
    inbound["filter_chains"] = [
        one
        for one in inbound["filter_chains"]
        if (one.get("filter_chain_match") or {}).get("transport_protocol") != "raw_buffer"
    ]
    return replace(proxy, listeners={**proxy.listeners, INBOUND: inbound}, _found={})


def unread() -> Proxy:
    raise BadEvidence("what it would hold is unknown")


@dataclass(frozen=True)
class Altered:
    """A recorded world, with another server, and other names of ports."""

    of: RecordedWorld
    server: str = ""
    """`strict` or `unread`."""
    protocol: str = "http"
    without: str = ""

    def mesh(self) -> Mesh:
        mesh = self.of.mesh()
        return replace(mesh, workloads={key: self._one(x) for key, x in mesh.workloads.items()})

    def callers(self) -> Sequence[Workload]:
        return [self._one(one) for one in self.of.callers()]

    def destinations(self, caller: Workload) -> Sequence[Destination]:
        if self.server == "unread" and "excluded" in caller.name:
            unread()
        return [
            replace(one, protocol=self.protocol) if one.host.startswith(KEPT) else one
            for one in self.of.destinations(caller)
            if not (self.without and one.host.startswith(self.without))
        ]

    def objects(self) -> object:
        return self.of.objects()

    def _one(self, workload: Workload) -> Workload:
        if "excluded" not in workload.name or not self.server:
            return workload
        proxy = workload.proxy
        assert proxy
        return replace(
            workload, read_proxy=unread if self.server == "unread" else lambda: strict(proxy)
        )


def changes(before: Inventory, after: Inventory) -> list[Changed]:
    states = Compared(before, after), Compared(after, before)
    return compare.changes(*(edges.walk_all(one) for one in states))


def kept(found: list[Changed]) -> dict[tuple[str, str], Changed]:
    return {
        (one.caller.rpartition("/")[2], one.sends): one
        for one in found
        if one.to.startswith(KEPT)
    }  # fmt: skip


def test_a_mesh_that_stays_as_it_is_has_no_edge_that_changes(recorded: RecordedWorld) -> None:
    assert changes(Altered(recorded), Altered(recorded)) == []


def test_a_server_that_takes_no_plaintext_any_more_breaks_the_stranger_alone(
    recorded: RecordedWorld,
) -> None:
    found = changes(Altered(recorded), Altered(recorded, "strict"))
    assert {(one.caller, one.effect) for one in found} == {("a client outside the mesh", "breaks")}
    (one,) = kept(found).values()
    assert one.before == ("arrives, plaintext",)
    assert one.after[0].startswith("refused by the server's proxy")
    healed = changes(Altered(recorded, "strict"), Altered(recorded))
    assert {(one.caller, one.effect) for one in healed} == {("a client outside the mesh", "heals")}


def test_a_proxy_that_is_not_known_makes_its_edges_unknown(recorded: RecordedWorld) -> None:
    found = changes(Altered(recorded), Altered(recorded, "unread"))
    assert {one.effect for one in found} == {"unknown"}
    assert any(seen.workload(one.caller).endswith("excluded") for one in found)
    assert kept(found)["client", "http1.1"].after == ("unknown",)


def test_clients_of_a_port_that_is_declared_otherwise_send_what_they_sent(
    recorded: RecordedWorld,
) -> None:
    states = Altered(recorded), Altered(recorded, protocol="tcp")
    after = Compared(states[1], states[0])
    walked = edges.walk_all(after)
    sent = {one.sends for one in walked.edges if one.to.host.startswith(KEPT)}
    assert sent == {"http1.1", "line", "nothing"}
    own = {one.sends for one in after.own(walked).edges if one.to.host.startswith(KEPT)}
    assert own == {"line", "nothing"}


def test_a_destination_that_is_taken_away_breaks_its_callers(recorded: RecordedWorld) -> None:
    found = kept(changes(Altered(recorded), Altered(recorded, without=KEPT)))
    assert found["client", "http1.1"].effect == "breaks"
    assert found["client", "http1.1"].after == ("it is not there",)
    back = kept(changes(Altered(recorded, without=KEPT), Altered(recorded)))
    assert back["client", "http1.1"].effect == "changes"
