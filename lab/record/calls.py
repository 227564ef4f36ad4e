"""Makes one call on a live cluster and records what came back; concludes nothing."""

from __future__ import annotations

import itertools
import secrets
import shlex
import time
import uuid
from collections.abc import Collection
from dataclasses import replace

from clusters.base import Cluster
from clusters.kube import ApiError
from lab.common import clock
from lab.common.errors import LabError
from lab.model import call_types
from lab.model.evidence import CallRecord
from lab.model.scenario import Call, fill
from lab.record import jobs
from lab.record.counters import Counters
from lab.record.world import LiveWorld
from lab.workloads.catalogue import reference
from lab.workloads.certificates import Authority

SECONDS = 40.0
"""A call that has no answer by then is recorded as lost. What is called ends after 10 s by itself
(lab/model/call_types.py); the rest is for a machine so busy that programs take seconds to start."""


def make(
    call: Call,
    cluster: Cluster,
    live: LiveWorld,
    counters: Counters,
    act: str = "",
    since: float = 0.0,
    counted: Collection[str] | None = None,
) -> CallRecord:
    """Make a call once. A lost answer is recorded as lost; nothing is tried again.

    counters: of the world's proxies. since: when the configuration that it is made under was
    seen active, Unix seconds. counted: whose counters tell of it; else those of `witnesses`.
    """
    _, service, port = call.asked
    there = live.services.get(service)
    known = there.targets.get(str(port), 0) if there else 0
    marker, request_id = f"lab-{secrets.token_hex(12)}", str(uuid.uuid4())
    typed = fill(call.command, {**live.values, "marker": marker})
    blank = CallRecord(
        name=call.name,
        world=call.world,
        typed=typed,
        marker=marker,
        request_id=request_id,
        started=time.time(),
        ended=time.time(),
        code=-1,
        outcome="error",
        act=act,
        step=call.step,
        target=port if call.to_address else known,
        since=since,
        clock=clock.ahead(),
    )
    ends = [name for name in (call.source, call.asked[0], call.to) if name in live.pods]
    with counters.increases(
        witnesses(call, live) if counted is None else counted, ends
    ) as increases:
        made = _make(call, cluster, live, blank)
    return replace(made, clock_after=clock.ahead(), counters=increases)


def witnesses(call: Call, live: LiveWorld) -> set[str]:
    """Return the workloads whose proxies count a call: the receiving end of each of its hops.

    Where that end has no sidecar, the calling end of the hop counts. A call to the API server is
    counted by none.
    """
    if call.source == "api":
        return set()
    stops = [call.source, call.asked[0], *([call.to] if call.through else [])]
    return {
        there if live.pods[there].has_sidecar else here for here, there in itertools.pairwise(stops)
    }


def _make(call: Call, cluster: Cluster, live: LiveWorld, blank: CallRecord) -> CallRecord:
    if call.source == "api":
        return _apply(call, cluster, live, blank)
    try:
        return _in_pod(call, cluster, live, blank)
    except LabError as problem:
        return replace(blank, lost=str(problem), ended=time.time())


def _in_pod(call: Call, cluster: Cluster, live: LiveWorld, blank: CallRecord) -> CallRecord:
    typed = shlex.split(blank.typed)
    call_type = call_types.for_program(typed[0])
    argv = call_type.completed(typed, blank.request_id)
    given = call_type.certificate and call_type.certificate in typed
    stdin = foreign_certificate(live.namespace) if given else b""
    done = cluster.exec(live.pods[call.source], argv, stdin=stdin, timeout=SECONDS)
    return replace(
        blank,
        started=done.started,
        ended=done.ended,
        code=done.code,
        request_id=blank.request_id if call_type.carries_request_id else "",
        **vars(call_type.read(done)),
    )


def _apply(call: Call, cluster: Cluster, live: LiveWorld, blank: CallRecord) -> CallRecord:
    """Give a manifest to the API server, as `kubectl apply -f` does; wait for a Job in it."""
    image = {"image:client": reference("client")}
    values = {"namespace": live.namespace, "rule": live.world.rule, **image}
    started, waited = time.time(), jobs.Waited("answered", "configured")
    try:
        for made in cluster.kube.apply(fill(call.manifest, values), live.namespace):
            if made["kind"] == "Job":
                waited = jobs.wait(cluster, live.namespace, made["metadata"]["name"])
    except ApiError as refused:
        waited = jobs.Waited("refused", refused.message)
    return replace(
        blank,
        started=started,
        ended=time.time(),
        code=int(waited.outcome != "answered"),
        outcome=waited.outcome,
        received=waited.said,
        lost=waited.lost,
    )


def foreign_certificate(namespace: str) -> bytes:
    """Return a key and a certificate (PEM) in a mesh member's name, of a CA that nobody trusts.

    They are made for one call, given to the probe on its standard input, and never written down.
    """
    uri = f"spiffe://cluster.local/ns/{namespace}/sa/client"
    key, certificate = Authority("another CA").issue("", uri=uri)
    return key + certificate
