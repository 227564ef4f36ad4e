"""Makes the truth table's calls by commands as a person types them: curl, openssl, bash."""

from __future__ import annotations

import json
import re
import shlex
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from clusters.base import Cluster, Completed, PodRef
from lab.truth_table.calls import AT_ONCE, Job
from lab.truth_table.cells import Cell

SECONDS = 5
CURL: dict[str, str] = {
    "http1.0": "--http1.0",
    "http1.1": "--http1.1",
    "h2": "--http2-prior-knowledge",
    "grpc": "--http2-prior-knowledge -H 'content-type: application/grpc' -H 'te: trailers'",
    "upgrade-h2c": "--http2",
    "upgrade-tls": "--http1.1 -H 'Connection: Upgrade' -H 'Upgrade: TLS/1.2'",
    "websocket": "--http1.1 -H 'Connection: Upgrade' -H 'Upgrade: websocket' "
    "-H 'Sec-WebSocket-Key: bGFiLWxhYi1sYWItbGFiLQ==' -H 'Sec-WebSocket-Version: 13'",
}
"""What is sent -> curl's options for it."""
TYPED: dict[str, str] = {
    "line": "echo {marker} >&3",
    "three-bytes": "printf HEL >&3",
    "half-line": "printf 'GET /{marker}' >&3",
    "split-line": "printf 'lab ' >&3; sleep 0.1; echo {marker} >&3",
    "server-first": 'read -r -t {seconds} -u 3 hello; code=$?; echo "hello $code $hello"; '
    "[ $code = 0 ] || exit; echo {marker} >&3",
}
"""What is sent -> what is typed once bash has a connection at file descriptor 3."""


def can_type(cell: Cell) -> bool:
    """Return whether a person types it: no driver, no datagram, no TLS around another protocol."""
    server = cell.gateway_server
    around = server and server.within and cell.caller == "none"
    return cell.sends in {*CURL, *TYPED, "tls"} and not around


def send(cluster: Cluster, each: dict[PodRef, list[Job]], at_once: int) -> list[Job]:
    """Make each job's call; return the same records as table-calls does."""
    every = [(pod, job) for pod, own in each.items() for job in own]
    with ThreadPoolExecutor(max(at_once, AT_ONCE)) as pool:
        return [*pool.map(lambda one: _made(cluster, *one), every)]


def _made(cluster: Cluster, pod: PodRef, job: Job) -> Job:
    command, read = _command(job)
    done = cluster.exec(pod, ["bash", "-c", command], timeout=60)
    told = {"connected": True, "outcome": "closed", "answer": "", "error": "", "status": 0}
    told |= {"grpc_status": None, "seconds": done.ended - done.started, "started": done.started}
    return {**job, **told, **read(done), "pod": pod.name, "typed": command}


def _command(job: Job) -> tuple[str, Any]:
    if job["sends"] in CURL:
        return _curl(job), _read_curl
    if job["sends"] == "tls":
        return _openssl(job), _read_openssl
    return _bash(job), _read_bash


def _curl(job: Job) -> str:
    body = f"echo {job['marker']}"
    if job["sends"] == "grpc":
        body = f"printf '\\0\\0\\0\\0\\{len(job['marker']) + 1:o}%s\\n' {job['marker']}"
    # What stands before the mesh has names that no DNS server knows.
    to = f"--connect-to ::{job['host']}:{job['port']} " if ".lab.example:" in job["name"] else ""
    upgrade = job["sends"] in ("websocket", "upgrade-h2c", "upgrade-tls")
    return (
        f"{body} | curl -s {CURL[job['sends']]} {'' if upgrade else '--data-binary @-'} "
        f"-H 'x-request-id: {job['request_id']}' -H 'x-lab-marker: {job['marker']}' "
        f"{to}--local-port {job['source']} --max-time {SECONDS} -o /dev/null -D - "
        f"-w '\\n%{{json}}' http://{job['name']}/"
    )


def _read_curl(done: Completed) -> Job:
    heads, _, last = done.stdout.rpartition(b"\n")
    told = json.loads(last)
    grpc = re.search(rb"(?im)^grpc-status: *(\d+)", heads)
    found: Job = {"status": told["http_code"], "error": told["errormsg"] or ""}
    found["connected"] = told["time_connect"] > 0
    found["grpc_status"] = grpc[1].decode() if grpc else None
    # After an upgrade, curl waits for what the server may still say.
    answered = told["http_code"] and (done.code == 0 or told["http_code"] == 101)
    found["outcome"] = "answered" if answered else "hangs" if done.code == 28 else "reset"
    return found


def _openssl(job: Job) -> str:
    name = f"-servername {job['sni']}" if job["sni"] else "-noservername"
    request = (
        f"POST / HTTP/1.1\\r\\nhost: {job['name']}\\r\\nx-request-id: {job['request_id']}\\r\\n"
        f"x-lab-marker: {job['marker']}\\r\\ncontent-length: 0\\r\\n\\r\\n"
    )
    return (
        f"printf {shlex.quote(request)} | timeout {SECONDS} openssl s_client -quiet {name} "
        f"-connect {job['host']}:{job['port']} -bind 0.0.0.0:{job['source']} -alpn h2,http/1.1"
    )


def _read_openssl(done: Completed) -> Job:
    status = re.search(rb"^HTTP/1\.[01] (\d{3})", done.stdout)
    outcome = "answered" if status else "hangs" if done.code == 124 else "tls error"
    error = done.stderr.decode(errors="replace")
    return {
        "outcome": outcome,
        "status": int(status[1]) if status else 0,
        "error": "_ALERT_" if " alert " in error else "",
    }


def _bash(job: Job) -> str:
    typed = TYPED[job["sends"]].format(marker=job["marker"], seconds=SECONDS)
    return (
        f"exec 3<>/dev/tcp/{job['host']}/{job['port']} || exit 7; "
        'echo "began $EPOCHREALTIME"; id=$(readlink /proc/self/fd/3); '
        'echo "port $(awk -v id="${id//[^0-9]/}" \'$10 == id {print $2}\' /proc/net/tcp)"; '
        f'{typed}; read -r -t {SECONDS} -u 3 line; echo "line $? $line"; '
        'echo "ended $EPOCHREALTIME"'
    )


def _read_bash(done: Completed) -> Job:
    lines = done.stdout.decode(errors="replace").split("\n")  # an answer may hold any byte
    said = {name: rest for name, _, rest in (line.partition(" ") for line in lines)}
    if "port" not in said:
        return {"connected": False, "outcome": "refused"}
    code, _, line = said.get("line", said.get("hello", "1 ")).partition(" ")
    outcome = "answered" if code == "0" else "hangs" if int(code) > 128 else "closed"
    found: Job = {"source": int(said["port"].rpartition(":")[2], 16), "outcome": outcome}
    found["started"] = float(said["began"])
    found["seconds"] = float(said.get("ended", done.ended)) - found["started"]
    if said.get("hello", "1").startswith("0 "):
        found["greeting"] = said["hello"].partition(" ")[2]
    return {**found, "answer": line}
