"""`istio-lab learn`: the first page in JupyterLab, while a cluster starts in the background."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys

from lab.commands.arguments import add_cluster


def add(parser: argparse.ArgumentParser) -> None:
    """Take `--cluster`, and what follows `--`, which is given to JupyterLab."""
    add_cluster(parser)


def run(options: argparse.Namespace) -> int:
    """Start the cluster, open JupyterLab on this machine only, and return its code."""
    from lab.model import store
    from lab.notebook import background, execute

    print(background.start_cluster(options.cluster), flush=True)
    # So the address that JupyterLab prints leads there too, not only the browser that it opens.
    first = (execute.NOTEBOOKS / execute.FIRST).relative_to(store.ROOT).as_posix()
    where = f"--LabApp.default_url=/lab/tree/{first}"
    root = ["--allow-root"] if os.name == "posix" and os.getuid() == 0 else []
    words = ["-m", "jupyter", "lab", "--ip", "127.0.0.1", *root, where, *options.words]
    return subprocess.call([sys.executable, *words], cwd=store.ROOT)
