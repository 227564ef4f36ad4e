"""All failures again and again on one standing cluster: how often is every verdict as pinned?

    .venv/bin/python benchmarks/runs.py --runs 100          (--more: beside those that are counted)

Writes benchmarks/runs.json, after each run, with the code and the seconds of every run; of one
that did not end as pinned the folder is kept, and named. Ends with 1 if there was one.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from clusters.embedded.cluster import Embedded
from lab.model import store

RESULT = Path(__file__).with_name("runs.json")


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--more", action="store_true")
    options = parser.parse_args(argv)
    told = json.loads(RESULT.read_text()) if options.more else {"runs": []}
    cluster = Embedded(f"runs-{os.getpid()}")
    cluster.up(lambda _step: None, owned=True)
    try:
        for _ in range(options.runs):
            told["runs"].append(one(cluster.name))
            RESULT.write_text(json.dumps({**summed(told["runs"]), **told}, indent=1) + "\n")
            print(told["runs"][-1], flush=True)
    finally:
        cluster.down()
    return int(any(run["code"] for run in told["runs"]))


def one(cluster: str) -> dict[str, Any]:
    """One `lab run` of all failures."""
    folder = Path(tempfile.mkdtemp(prefix="lab-runs-"))
    env = {**os.environ, "LAB_CLUSTER_NAME": cluster, "LAB_RUNS": str(folder)}
    began = time.monotonic()
    argv = [sys.executable, "-m", "lab", "run", "--cluster", "embedded"]
    done = subprocess.run(argv, cwd=store.ROOT, env=env, capture_output=True, text=True)
    told = {
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "commit": store.commit().get("commit", "")[:12],
        "code": done.returncode,
        "seconds": round(time.monotonic() - began, 1),
    }
    if done.returncode == 0:
        shutil.rmtree(folder)
        return told
    (folder / "terminal.txt").write_text(done.stdout + done.stderr)
    return {**told, "kept": folder.name}


def summed(runs: list[dict[str, Any]]) -> dict[str, Any]:
    seconds = [run["seconds"] for run in runs]
    return {
        "cores": os.cpu_count(),
        "count": len(runs),
        "as pinned": sum(run["code"] == 0 for run in runs),
        "seconds": {
            "median": statistics.median(seconds),
            "least": min(seconds),
            "most": max(seconds),
        },
    }


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
