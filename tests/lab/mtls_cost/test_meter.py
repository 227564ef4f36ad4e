"""The kernel's counters of a container, as text, and what is made of two looks at them."""

from __future__ import annotations

import subprocess
import sys

import pytest

from lab.common.errors import CommandFailed
from lab.mtls_cost import meter
from lab.mtls_cost.meter import Reading

LOOK = """\
/proc/1/comm:sh
/proc/7/comm:envoy
/proc/8/comm:grep
/proc/1/task/1/schedstat:5000000000 1 1
/proc/7/task/7/schedstat:1500000000 20 3
/proc/7/task/9/schedstat:500000000 20 3
/proc/8/task/8/schedstat:77000000 20 3
  eth0: 1234567     100    0    0    0     0          0         0  7654321      90 0 0 0 0 0 0
"""


def test_the_threads_of_the_named_program_are_added_and_no_others() -> None:
    assert meter.parse(LOOK, "envoy", 3.0) == Reading(3.0, 2.0, 1234567, 7654321)


@pytest.mark.parametrize("text", ["", LOOK.replace("envoy", "fortio"), LOOK.partition("  eth0")[0]])
def test_a_look_without_the_program_or_the_interface_is_an_error(text: str) -> None:
    with pytest.raises(CommandFailed, match="no CPU time of envoy"):
        meter.parse(text, "envoy", 3.0)


def test_what_is_used_when_idle_is_subtracted_for_as_long_as_it_lasted() -> None:
    before, after = {"server": Reading(10.0, 1.0, 0, 0)}, {"server": Reading(14.0, 3.0, 0, 0)}
    assert meter.used(before, after, {"server": 0.25}) == {"server": 1.0}


def test_this_machine_counts_what_a_busy_process_runs() -> None:
    """By the very line of shell; the interface is left to clusters."""
    busy = "import time\nend = time.process_time() + 0.2\nwhile time.process_time() < end: pass\n"
    look = meter.SCRIPT.partition(";")[0]
    script = f"import subprocess\n{busy}print(subprocess.getoutput({look!r}))"
    text = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True).stdout
    name = next(line for line in text.splitlines() if "/comm:python" in line).partition(":")[2]
    assert meter.parse(f"{text}\n{LOOK.splitlines()[-1]}", name, 0.0).cpu > 0.2
