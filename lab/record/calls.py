"""Makes one call on a live cluster and records what came back; concludes nothing."""

from __future__ import annotations

import base64
import itertools
import json
import secrets
import shlex
import time
import uuid
from collections.abc import Collection
from typing import Any

from clusters.base import Cluster, Completed
from clusters.kube import ApiError
from lab.common import clock
from lab.common.errors import LabError
from lab.model.evidence import CallRecord
from lab.model.scenario import Call, fill
from lab.record.counters import Counters
from lab.record.world import LiveWorld
from lab.workloads.certificates import Authority

SECONDS = 15.0
"""A call that has no answer by then is recorded as lost."""
_CURL = {7: "refused", 28: "hang", 35: "not_tls", 52: "closed", 55: "reset", 56: "reset"}
_CURL[60] = "tls_untrusted_issuer"
# One refusal has several codes, as curl meets it while it reads or while it writes.
_CURL_WORDS = {
    "alert certificate required": "tls_client_certificate_required",
    "wrong version number": "not_tls",
    "reset by peer": "reset",
    "unexpected eof": "closed",
    "SSL_ERROR_SYSCALL": "closed",
}


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
    with counters.of(witnesses(call, live) if counted is None else counted, ends) as rose:
        made = _made(call, cluster, live, blank)
    return _with(made, clock_after=clock.ahead(), counters=rose)


def witnesses(call: Call, live: LiveWorld) -> set[str]:
    """Whose counters tell of a call: of each hop the answering pod's; of one without, the caller's.

    Nobody's where the API server is asked.
    """
    if call.source == "api":
        return set()
    stops = [call.source, call.asked[0], *([call.to] if call.through else [])]
    return {
        there if live.pods[there].has_sidecar else here for here, there in itertools.pairwise(stops)
    }


def _made(call: Call, cluster: Cluster, live: LiveWorld, blank: CallRecord) -> CallRecord:
    if call.source == "api":
        return _apply(call, cluster, live, blank)
    try:
        return _in_pod(call, cluster, live, blank)
    except LabError as problem:
        return _with(blank, lost=str(problem), ended=time.time())


def _in_pod(call: Call, cluster: Cluster, live: LiveWorld, blank: CallRecord) -> CallRecord:
    argv = shlex.split(blank.typed)
    reads = _READERS.get(argv[0], _any)
    if argv[0] == "grpcurl":
        argv[1:1] = ["-max-time", "10", "-H", f"x-request-id: {blank.request_id}"]
    if argv[0] == "curl":
        # Told to stderr, beside the command that people read: ports, status, the error's words.
        extra = ["--max-time", "10", "-H", f"x-request-id: {blank.request_id}"]
        argv[1:1] = [*extra, "-w", "%{stderr}%{json}"]
    stdin = foreign_certificate(live.namespace) if "--stdin" in argv else b""
    done = cluster.exec(live.pods[call.source], argv, stdin=stdin, timeout=SECONDS)
    fields = reads(done)
    request_id = blank.request_id if argv[0] in ("curl", "grpcurl") else ""
    return _with(
        blank,
        started=done.started,
        ended=done.ended,
        code=done.code,
        request_id=request_id,
        **fields,
    )


def _curl(done: Completed) -> dict[str, Any]:
    text = done.stderr.decode(errors="replace")
    said, _, told = text.rpartition("{")
    try:
        facts = json.loads("{" + told) if told else {}
        status, port = int(facts.get("http_code") or 0), int(facts.get("local_port") or 0)
    except (TypeError, ValueError):
        return {"lost": f"what curl told of it cannot be read: {text[-300:]}"}
    words = (outcome for words, outcome in _CURL_WORDS.items() if words in said)
    outcome = "answered" if done.code == 0 else next(words, _CURL.get(done.code, "error"))
    return {
        "outcome": outcome,
        "status": status,
        "local_port": port,
        "received": done.stdout.decode(errors="replace")[:4000],
        "error": said.strip()[-4000:],
    }


def _any(done: Completed) -> dict[str, Any]:
    """What any program tells: its code, and what it printed."""
    said = done.stderr.decode(errors="replace").strip()
    if done.code in (126, 127):  # the shell's, and the container runtime's, for none that runs
        return {"lost": f"`{done.argv[0]}` did not run in the pod: {said[-300:]}"}
    received = done.stdout.decode(errors="replace")[:4000]
    outcome = "answered" if done.code == 0 else "error"
    return {"outcome": outcome, "received": received, "error": said[-4000:]}


def _told(done: Completed) -> dict[str, Any]:
    """The one line of JSON that the lab's own tools print."""
    try:
        told = json.loads(done.stdout)
        known = {
            "outcome": str(told.pop("outcome")),
            "local_port": int(told.pop("local_port") or 0),
            "received": str(told.pop("received"))[:4000],
            "error": str(told.pop("error", "")),
        }
        der = base64.b64decode(told.pop("certificate", "") or "")
        return {**known, "facts": {**told, **_identity(der)}}
    except (AttributeError, LookupError, TypeError, ValueError, RecursionError):
        return {"lost": f"no answer to read: {done.stderr.decode(errors='replace')[-300:]}"}


def _identity(der: bytes) -> dict[str, str]:
    """Whom the server's certificate names, and who signed it."""
    if not der:
        return {}
    from cryptography import x509

    certificate = x509.load_der_x509_certificate(der)
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    uris = names.get_values_for_type(x509.UniformResourceIdentifier)
    issuer = certificate.issuer.rfc4514_string()
    return {"server_uri": uris[0] if uris else "", "server_issuer": issuer}


def _apply(call: Call, cluster: Cluster, live: LiveWorld, blank: CallRecord) -> CallRecord:
    """Give a manifest to the API server, as `kubectl apply -f` does."""
    started = time.time()
    try:
        values = {"namespace": live.namespace, "rule": live.world.rule}
        cluster.kube.apply(fill(call.manifest, values))
        said, outcome, code = "configured", "answered", 0
    except ApiError as refused:
        said, outcome, code = refused.message, "refused", 1
    return _with(
        blank, started=started, ended=time.time(), code=code, outcome=outcome, received=said
    )


def _with(record: CallRecord, **fields: Any) -> CallRecord:
    import dataclasses

    return dataclasses.replace(record, **fields)


_READERS = {"curl": _curl, "grpcurl": _any, "say": _told, "tls-probe": _told}


def foreign_certificate(namespace: str) -> bytes:
    """Key and certificate (PEM) with a member's very name, signed by a CA of nobody's.

    Made for one call, given to the probe by its standard input, and never written down.
    """
    uri = f"spiffe://cluster.local/ns/{namespace}/sa/client"
    key, certificate = Authority("another CA").issue("", uri=uri)
    return key + certificate
