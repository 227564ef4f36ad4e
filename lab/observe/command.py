"""Runs `istio-lab observe`: one call between any two pods, in five planes and one picture."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from lab.common.errors import BadArguments, ClusterGone
from lab.common.text import printable, terminal_width

if TYPE_CHECKING:
    from lab.judge.case import Case


def add(observe: argparse.ArgumentParser) -> None:
    """Add the arguments of `observe` to its parser."""
    observe.add_argument(
        "run", nargs="?", help="a recorded run to show again; without it a call is made"
    )
    observe.add_argument("--from", dest="source", metavar="[NAMESPACE/]POD", default="")
    observe.add_argument("--to", metavar="SERVICE[.NAMESPACE]:PORT", default="", help="or IP:PORT")
    observe.add_argument(
        "--call",
        default="",
        help="the command to run in the pod (default: a GET by curl); {marker} stands for bytes "
        "that are searched for in the packets",
    )
    observe.add_argument("--cluster", default="auto")
    observe.add_argument(
        "--packets",
        action="store_true",
        help="on an existing cluster: capture packets, by an ephemeral container left in each pod",
    )


def main(options: argparse.Namespace) -> int:
    """Return 0 where the evidence says how the edge was secured, 3 where it does not."""
    from lab.observe import stored, text

    case = _recorded(options) if options.run else _made(options)
    print(printable(text.text(case, terminal_width())))
    print("\n" + "\n".join(f"written: {path}" for path in text.files(case)))
    seen = stored.seen(case)
    return 0 if seen and seen.security != "unknown" else 3


def _recorded(options: argparse.Namespace) -> Case:
    from lab.model import store
    from lab.observe import stored

    if options.source or options.to or options.call:
        raise BadArguments(
            "a recorded edge is shown as it is: --from, --to and --call are for a new call"
        )
    folders = (store.runs() / options.run, Path(options.run))
    found = next((one for one in folders if (one / stored.NAME / "call.json").exists()), None)
    if found is None:
        there = sorted(path.parts[-3] for path in store.runs().glob(f"2*/{stored.NAME}/call.json"))
        raise BadArguments(
            f"no recorded edge {options.run!r}; there is {', '.join(there) or 'none'}"
        )
    return stored.read(found.resolve())


def _made(options: argparse.Namespace) -> Case:
    from clusters import KINDS, open_cluster
    from lab.model import store
    from lab.observe import ends
    from lab.observe.recording import Recording

    if not (options.source and options.to):
        raise BadArguments(
            "observe takes --from POD and --to SERVICE:PORT",
            hint="istio-lab observe --from client --to httpbin:8000",
        )
    cluster = open_cluster(options.cluster)
    if not cluster.running():
        up = f"istio-lab up --cluster {options.cluster}"
        raise ClusterGone(f"no {cluster.kind} cluster is running, so no call can be made", hint=up)
    source = ends.source(cluster.kube, options.source)
    target = ends.target(cluster.kube, options.to, source.namespace)
    print(f"calling from {source.namespace}/{source.name}", file=sys.stderr, flush=True)
    recording = Recording(cluster, source, target, options.call)
    packets = options.packets or KINDS[cluster.kind].made_by_lab
    return recording.make(store.new_run(), packets=packets)
