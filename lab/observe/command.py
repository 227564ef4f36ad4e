"""`lab observe`: one call between any two pods of a cluster, five planes, one picture."""

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
    """Its arguments."""
    observe.add_argument("run", nargs="?", help="a recorded one, shown again; else a call is made")
    observe.add_argument("--from", dest="source", metavar="[NAMESPACE/]POD", default="")
    observe.add_argument("--to", metavar="SERVICE[.NAMESPACE]:PORT", default="", help="or IP:PORT")
    observe.add_argument(
        "--call",
        default="",
        help="what is typed in the pod; else a GET by curl. {marker}: bytes "
        "that are looked for in packets",
    )
    observe.add_argument("--cluster", default="auto")
    observe.add_argument(
        "--packets",
        action="store_true",
        help="on an existing cluster: record them, by a container in each pod that stays in it",
    )


def main(options: argparse.Namespace) -> int:
    """0 where it can be said how the edge was secured, 3 where it cannot."""
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
        raise BadArguments("a recorded edge is shown as it is: without --from, --to and --call")
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
        raise ClusterGone(f"no {cluster.kind} cluster is up: there is no edge to observe", hint=up)
    source = ends.source(cluster.kube, options.source)
    target = ends.target(cluster.kube, options.to, source.namespace)
    print(f"calling from {source.namespace}/{source.name}", file=sys.stderr, flush=True)
    recording = Recording(cluster, source, target, options.call)
    packets = options.packets or KINDS[cluster.kind].made_by_lab
    return recording.make(store.new_run(), packets=packets)
