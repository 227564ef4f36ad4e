"""The cluster's first process inside its namespaces: reaps, and runs the node in a child."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path


def main() -> None:
    """Run `python -m clusters.embedded.node SETTINGS API_FD CONTROL_FD PROGRESS_FD OWNER_FD`."""
    child = os.fork()
    if child == 0:
        from clusters.embedded.node.node import run

        run(Path(sys.argv[1]), *(int(fd) for fd in sys.argv[2:6]))
        return
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))  # and the kernel ends all the rest
    while True:
        pid, status = os.wait()
        if pid == child:
            os._exit(os.waitstatus_to_exitcode(status) & 0xFF)


main()
