"""`istio-lab audit`: which edges of a mesh are not mutual TLS, and why; no call is made."""

from __future__ import annotations

import argparse
import datetime
import json
import sys
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from lab.commands.arguments import add_cluster
from lab.common import files
from lab.common.errors import BadArguments
from lab.common.text import printable, terminal_width

if TYPE_CHECKING:
    from lab.audit.edges import Walked
    from lab.audit.findings import Finding, Key
    from lab.audit.verify import Verified

SEVERITIES = ("high", "medium", "low")


def add(parser: argparse.ArgumentParser) -> None:
    """Take where the mesh is read from, and what ends with 1."""
    parser.add_argument(
        "dumps",
        nargs="*",
        type=Path,
        metavar="FILE",
        help="files, or folders of them, in place of a cluster: config dumps of the proxies "
        "(istioctl proxy-config all POD -o json), objects (kubectl get -A -o yaml), or manifests "
        "that are not applied yet",
    )
    parser.add_argument(
        "-n", "--namespace", action="append", default=[], help="callers of this namespace only"
    )
    parser.add_argument(
        "--fail-on", choices=SEVERITIES, default="high", help="ends with 1; default: high"
    )
    parser.add_argument(
        "--show", choices=SEVERITIES, default="medium", help="what is told; default: medium"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write it as JSON too")
    parser.add_argument("--junit", type=Path, metavar="FILE", help="write it as JUnit XML too")
    parser.add_argument(
        "--page", type=Path, metavar="FILE", help="write a page too: a map of edges, and findings"
    )
    parser.add_argument(
        "--sarif", type=Path, metavar="FILE", help="of manifests: write it as SARIF too"
    )
    parser.add_argument(
        "--baseline",
        type=Path,
        metavar="FILE",
        help="an earlier audit's JSON: what is in it does not end with 1",
    )
    parser.add_argument(
        "--verify",
        type=_number,
        default=0,
        metavar="N",
        help="make a call for each of the N most serious findings that a pod's call can show; "
        "needs a running cluster",
    )
    parser.add_argument(
        "--packets",
        action="store_true",
        help="on an existing cluster, with --verify: capture packets, by an ephemeral container "
        "left in each pod",
    )
    parser.add_argument(
        "--with",
        dest="changes",
        action="append",
        type=Path,
        default=[],
        metavar="FILE",
        help="manifests, or a folder of them: tells what would change if they were applied; "
        "istiod's own code generates what proxies would hold",
    )
    add_cluster(parser)


def _number(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is no number of findings")
    return int(text)


def run(options: argparse.Namespace) -> int:
    """Return 0: nothing as severe as --fail-on; 1: something; 3: not everything could be read."""
    from lab.audit import edges, findings, folder, source, text
    from lab.audit.rules import rules

    if options.sarif and not options.dumps:
        raise BadArguments("--sarif names lines of files, so it needs files of manifests")
    if options.verify and (options.dumps or options.changes):
        raise BadArguments("--verify makes calls, so it needs a running cluster, and no files")
    if options.changes:
        return _run_changed(options)
    with folder.refusing_other_shapes() if options.dumps else nullcontext():
        read = (
            source.of_files(options.dumps, options.namespace)
            if options.dumps
            else source.of_cluster(options.cluster, options.namespace)
        )
        walked = edges.walk_all(read.inventory)
        now = None if options.dumps else datetime.datetime.now(datetime.UTC)
        found = findings.find(walked.edges, read.inventory.objects(), rules(), now)
    verified = _verified(options, found)
    counted = _write(options, walked, found, found, verified, {"assumed": [*read.assumed]})
    for line in read.assumed:
        print(printable(line))
    for line in text.lines(walked, found, verified, options.show, terminal_width()):
        print(printable(line))
    if counted:
        return 1
    return _end(not walked.unread and not findings.unknown(walked))


def _run_changed(options: argparse.Namespace) -> int:
    """Return 1: an edge breaks, or a finding is new; 3: not all is known; else 0."""
    from lab.audit import folder, with_changes
    from lab.audit.changed import report as text

    with folder.refusing_other_shapes():
        told = with_changes.report(
            options.dumps, options.cluster, options.changes, options.namespace
        )
    counted = _write(
        options, told.after, told.findings, told.new, more={"with": text.as_json(told)}
    )
    for line in text.lines(told, options.show, terminal_width()):
        print(printable(line))
    if counted or told.breaks:
        return 1
    return _end(told.whole)


def _end(whole: bool) -> int:
    if not whole:
        print("not everything could be read", file=sys.stderr)
    return 0 if whole else 3


def _write(
    options: argparse.Namespace,
    walked: Walked,
    found: Sequence[Finding],
    counting: Sequence[Finding],
    verified: Mapping[Key, Verified] = MappingProxyType({}),
    more: Mapping[str, Any] = MappingProxyType({}),
) -> list[Finding]:
    """Write the files that are asked for; return what ends with 1, of `counting`."""
    from lab.audit import as_json, baseline, findings, junit, manifest_lines, sarif
    from lab.audit.rules import rules

    known = baseline.read(options.baseline) if options.baseline else frozenset()
    counted = findings.at_or_above(baseline.new(counting, known), options.fail_on)
    if options.junit:
        files.write_text(options.junit, junit.junit(walked, rules(), counted, verified))
    if options.page:
        from lab.commands import audit_page

        audit_page.write(options.page, walked, found, verified, more.get("assumed", ()))
    if options.sarif:
        lines = manifest_lines.read([*options.dumps, *options.changes])
        made = sarif.told(found, rules(), lines, known)
        files.write_text(options.sarif, json.dumps(made, indent=1) + "\n")
    if options.json:
        told = json.dumps({**as_json.told(walked, found, verified), **more}, indent=1) + "\n"
        files.write_text(options.json, told)
    return counted


def _verified(options: argparse.Namespace, found: Sequence[Finding]) -> Mapping[Key, Verified]:
    if not options.verify:
        return {}
    from clusters import open_cluster
    from lab.audit.verify import verify

    cluster = open_cluster(options.cluster)
    told = verify(cluster, found, options.verify, packets=options.packets)
    if len(told) < options.verify:
        print(f"{len(told)} findings could be verified by a pod's call", file=sys.stderr)
    return told
