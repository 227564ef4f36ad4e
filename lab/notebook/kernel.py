"""`python -m lab.notebook.kernel -f FILE`: the kernel of one notebook, which ends with it.

ipykernel looks once a second whether its parent is there, and not before it has started: a
notebook that is killed early would leave it for ever where orphans get another parent than
process 1. So the system is asked to end it, where it can do so.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1
"""prctl(2): the signal that a process gets when its parent ends."""


def end_with_parent(parent: int) -> None:
    """Have this process killed when its parent ends, or end it now if the parent has ended."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


if __name__ == "__main__":
    end_with_parent(int(os.environ["JPY_PARENT_PID"]))  # set by jupyter_client
    os.environ.setdefault("LAB_WIDGETS", "0")  # nobody is there who could choose
    from ipykernel import kernelapp

    kernelapp.launch_new_instance()
