"""Ends one process of the lab at a moment of its run, again and again: what is left then?

    .venv/bin/python benchmarks/kills.py --seed 1 --kills 100        (as root, on a quiet machine)

Each time something is started as a user starts it, a phase is waited for that its own progress
names, and one process is ended. Only processes that descend from what was started here are.
Writes benchmarks/kills.json with each kill and its seed, and prints a table. Ends with 1 if
anything was left, hung, crashed, or ended with a code that it should not.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from victims import COMING_UP, LATE, VICTIMS, end, find, host_listing, started_in

from clusters.embedded import host
from lab.common import signals
from lab.common.errors import TimedOut
from lab.common.wait import until
from lab.model import store

RESULT = Path(__file__).with_name("kills.json")
PATIENCE = 240.0
"""Seconds for a phase to come, and for a command to end: a busy machine is no finding."""
SOON = 10.0
"""Seconds within which no process may be left."""
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)

PHASES = {
    "notebooks start": r" s  run 2\d+T",
    "API comes up": r"Kubernetes API",
    "objects are made": r"Istio's objects",
    "istiod comes up": r"istiod, controllers",
    "up": r"[: ] ready$",
    "deploying": r"  deploying: ",
    "deployed": r"  \S+: \S+ is ready$",
    "before": r"  before: ",
    "during": r"  during: ",
    "capturing": r"posted: .*<-  \$",
    "after": r"  after: ",
    "a trial begins": r"  remedies: ",
    "a trial's change": r" changed: ",
    "a trial's end": r" restored: ",
    "a trial of the mesh": r"  mesh: ",
    "judging": r"  judging what",
    "removing": r"removing the run's namespaces",
    "going down": r"stopping the cluster",
}
"""Phase -> the line that announces it."""


@dataclass(frozen=True)
class Command:
    """What a user starts, and which phases it has."""

    name: str
    argv: tuple[str, ...]
    phases: tuple[str, ...]
    standing: bool = False
    """On a cluster that is up already."""


def _lab(*words: str) -> tuple[str, ...]:
    return (sys.executable, "-m", "lab", *words)


def commands() -> list[Command]:
    """One and two failures, on a cluster of their own and a standing one; make; up; down."""
    own = tuple(name for name in PHASES if name not in ("after", "a trial of the mesh"))
    mesh = tuple(name for name in PHASES if name != "objects are made")
    using = tuple(name for name in own if name not in (*COMING_UP, "up", "going down"))
    return [
        Command("run tcp_mtls", _lab("run", "tcp_mtls"), own),
        Command("run https_in_mtls", _lab("run", "https_in_mtls"), mesh),
        Command("run rest_mtls grpc_h2c", _lab("run", "rest_mtls", "grpc_h2c"), own),
        Command("make", ("make", "reproduce", "FAILURE=tcp_mtls"), own),
        Command("run, standing", _lab("run", "tcp_mtls"), using, standing=True),
        Command(
            "run https, standing",
            _lab("run", "https_in_mtls"),
            (*using, "after", "a trial of the mesh"),
            standing=True,
        ),
        Command("up", _lab("up"), COMING_UP),
    ]


@dataclass
class Kill:
    """One kill: what was planned, what was done, what came of it."""

    seed: int
    command: str
    phase: str
    victim: str
    signal: str
    ended: str = ""
    """The process that was ended, as /proc showed it."""
    at: float = 0.0
    """Seconds after the command's start."""
    code: int | None = None
    seconds: float = 0.0
    """From the kill to the command's end."""
    said: str = ""
    next_run: int | None = None
    """The code of a whole run after it, where one was made."""
    findings: list[str] = field(default_factory=list)


Cell = tuple[Command, str, str, signal.Signals]
"""Command, phase, victim and signal of a kill."""


class Place:
    """A home, a temporary folder and a runs/ of this harness alone."""

    def __init__(self) -> None:
        self.top = Path(tempfile.mkdtemp(prefix="kills-"))
        for name in ("t", "home", "runs"):
            (self.top / name).mkdir()
        cache = os.environ.get("LAB_CACHE") or str(Path("~/.cache/istio-failure-lab").expanduser())
        self.env = {
            **os.environ,
            "HOME": str(self.top / "home"),
            "TMPDIR": str(self.top / "t"),
            "LAB_RUNS": str(self.top / "runs"),
            "LAB_CACHE": cache,
            "LAB_CLUSTER_NAME": "kills",
            "PYTHONPATH": str(store.ROOT),
        }

    def begin(self) -> None:
        """A first run: it is as pinned, and what programs make in a new home is there."""
        subprocess.run(
            ["make", "reproduce", "FAILURE=tcp_mtls"],
            env=self.env,
            cwd=store.ROOT,
            check=True,
            stdout=subprocess.DEVNULL,
        )

    def stands(self) -> None:
        """Have the standing cluster up. Raises TimedOut."""
        until(lambda: self.run("up")[0] == 0, "a standing cluster", timeout=PATIENCE)

    def up(self) -> bool:
        """Whether the standing cluster is there."""
        return host.alive(self.top / "t" / f"istio-failure-lab-{os.getuid()}" / "kills")

    def files(self) -> list[str]:
        """Everything in the home and the temporary folder."""
        parts = (self.top / "t", self.top / "home")
        found = (path for part in parts for path in part.rglob("*") if not path.is_dir())
        return sorted(str(path.relative_to(self.top)) for path in found)

    def run(self, *words: str) -> tuple[int, str]:
        """A command of the lab, to its end: code and output."""
        done = subprocess.run(
            _lab(*words), env=self.env, cwd=store.ROOT, capture_output=True, text=True, timeout=600
        )
        return done.returncode, done.stdout + done.stderr

    def newest(self) -> Path | None:
        """The newest run's folder."""
        found = sorted((self.top / "runs").glob("2*"))
        return found[-1] if found else None


class Running:
    """A command in a process group of its own, with the lines it printed."""

    def __init__(self, place: Place, argv: tuple[str, ...]) -> None:
        self.began = time.monotonic()
        self.process = subprocess.Popen(
            argv,
            env=place.env,
            cwd=store.ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout
        self.lines.extend(iter(self.process.stdout.readline, ""))

    def reached(self, phase: str) -> bool:
        """Wait for the phase's line; False when the command ended without it."""
        wanted = re.compile(PHASES[phase])

        def look() -> str:
            if any(wanted.search(line.rstrip()) for line in list(self.lines)):
                return "seen"
            return "ended" if self.process.poll() is not None else ""

        return until(look, phase, timeout=PATIENCE, every=0.005) == "seen"

    def end(self) -> int:
        """Wait for its end. Raises TimedOut."""
        until(lambda: self.process.poll() is not None, "the command to end", timeout=PATIENCE)
        self._reader.join(SOON)
        return int(self.process.returncode)

    def give_up(self) -> None:
        """End what does not end; it is a finding."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def plan(seed: int, kills: int, known: list[Kill]) -> list[Cell]:
    """Kills in a random order in which the rarest victim, phase and signal always come next.

    known: those that were done before, which count.
    """
    draw = random.Random(seed)
    seen: Counter[object] = Counter()
    for one in (kill for kill in known if kill.ended):
        number = signal.Signals[one.signal]
        seen.update(_told(one.command, one.phase, one.victim, number))
    cells = [
        (command, phase, name, number)
        for command in commands()
        for name, victim in VICTIMS.items()
        if victim.of(command.name)
        for phase in command.phases
        if victim.there(phase, list(PHASES)) and not (command.standing and victim.ends_all)
        for number in victim.signals
    ]
    planned = []
    for _ in range(kills):
        draw.shuffle(cells)
        chosen = min(
            cells,
            key=lambda c: (
                seen[c[1:]],
                seen[c[2]] + seen[c[1]],
                seen[c[2:]],
                seen["started as", c[0].name],
            ),
        )
        planned.append(chosen)
        seen.update(_told(chosen[0].name, *chosen[1:]))
    return planned


def _told(command: str, phase: str, victim: str, number: signal.Signals) -> list[object]:
    """What one kill adds to: its place in the table, and each of its parts."""
    return [(phase, victim, number), victim, phase, (victim, number), ("started as", command)]


def kill(place: Place, planned: Cell, seed: int, draw: random.Random) -> Kill:
    """Do one of them, and look at everything that came of it."""
    command, phase, victim, number = planned
    done = Kill(seed, command.name, phase, victim, number.name)
    if command.standing:
        place.stands()
    before, files = host_listing(), place.files()
    running = Running(place, command.argv)
    try:
        try:
            reached = running.reached(phase)
        except TimedOut:
            running.give_up()
            return _not_reached(place, done)
        if reached:
            _end_one(place, running, done, number, draw)
        began = time.monotonic()
        done.code = running.end()
        done.seconds = round(time.monotonic() - began, 1)
    except TimedOut as late:
        done.findings.append(f"hangs: {late}")
        running.give_up()
    done.said = "".join(running.lines)[-6000:]
    _look(place, command, done, before, files)
    return done


def _not_reached(place: Place, done: Kill) -> Kill:
    """On a machine with too much to do: nothing was ended, and nothing is found out."""
    place.run("run", "rest_mtls", "--cluster", "recorded")
    place.run("down")
    return done


def _end_one(
    place: Place, running: Running, done: Kill, number: signal.Signals, draw: random.Random
) -> None:
    """Find the process, as soon as there is one, and end it."""

    def look() -> tuple[int, str] | None:
        found = find(done.victim, running.process.pid, Path(place.env["TMPDIR"]))
        if found:
            return draw.choice(found)
        return (0, "") if running.process.poll() is not None else None

    try:
        pid, what = until(look, done.victim, timeout=SOON, every=0.005)
    except TimedOut:
        return
    if pid and end(done.victim, pid, number):
        done.ended, done.at = what, round(time.monotonic() - running.began, 2)


def _look(
    place: Place, command: Command, done: Kill, before: dict[str, list[str]], files: list[str]
) -> None:
    """What is left, what was said, and whether it was right."""
    hard = done.victim == "runner" and done.signal == "SIGKILL"
    allowed = VICTIMS[done.victim].codes(done.signal, done.phase)
    if done.phase in LATE and not hard:
        allowed |= {0}  # all was done by then, and said
    if done.ended and done.code is not None and done.code not in allowed:
        done.findings.append(f"code {done.code}, not one of {sorted(allowed)}")
    told = re.search(r"^Exit code (\d+)", done.said, re.MULTILINE)
    # Where a signal ended make itself, its code is no word about the lab.
    by_signal = done.command == "make" and done.code is not None and done.code < 0
    if told and not by_signal and done.code not in (int(told[1]), 2 * bool(int(told[1]))):
        done.findings.append(f"code {done.code}, and the terminal says {told[1]}")
    if "Traceback" in done.said:
        done.findings.append("a traceback on the terminal")
    _look_at_run(place, command, done)
    top = str(place.top)
    stays = place.up()
    try:
        until(lambda: stays or not started_in(top), "processes", timeout=SOON)
    except TimedOut:
        done.findings.append(f"processes are left: {started_in(top)}")
    if hard or stays or command.name == "up":
        code, said = place.run("down")
        if code:
            done.findings.append(f"down ended with {code}: {said}")
    if started_in(top):
        done.findings.append(f"processes are left after down: {started_in(top)}")
    left = [one for one in place.files() if one not in files and not command.standing]
    if left:
        done.findings.append(f"files are left: {left[:8]}")
    try:
        until(lambda: host_listing() == before, "the host to be as before", timeout=SOON, every=0.5)
    except TimedOut:
        after = host_listing()
        done.findings += [
            f"{name}: {sorted(set(after[name]) ^ set(lines))[:4]}"
            for name, lines in before.items()
            if after[name] != lines
        ]


def _look_at_run(place: Place, command: Command, done: Kill) -> None:
    """What was recorded is there, and can be judged."""
    folder = place.newest()
    if folder is None or command.name == "up":
        return
    if "Traceback" in (folder / "run.log").read_text():
        done.findings.append("a traceback in run.log")
    code, said = place.run("judge", folder.name)
    allowed = (0, 3) if list(folder.glob("*/evidence.json")) else (3, 254)
    if "Traceback" in said or code not in allowed:
        done.findings.append(f"judge ended with {code}: {said[-600:]}")
    half = [str(path.relative_to(folder)) for path in folder.rglob(".*.*")]
    if half and done.signal != "SIGKILL":
        done.findings.append(f"half-written files: {half[:5]}")
    if code not in (done.code, 254) and done.code in (0, 1, 3):
        done.findings.append(f"the run ended with {done.code}, judge with {code}")


def table(kills: list[Kill]) -> str:
    """Victim by phase: signals' first letters, each with the code that it led to."""
    rows = [f"{'process':<14} {'phase':<20} {'signal':<8} {'code':>5} {'s':>6}  command: outcome"]
    for one in sorted(kills, key=lambda k: (k.victim, list(PHASES).index(k.phase), k.signal)):
        what = "; ".join(one.findings) or ("as it should be" if one.ended else "was not there")
        rows.append(
            f"{one.victim:<14} {one.phase:<20} {one.signal:<8} {one.code!s:>5} "
            f"{one.seconds:>6}  {one.command}: {what}"
        )
    done = [one for one in kills if one.ended]
    bad = sum(bool(one.findings) for one in kills)
    return "\n".join([*rows, f"{len(done)} kills, {bad} with findings"])


def _write(path: Path, kills: list[Kill]) -> None:
    """What was done and seen, without what the terminal said where all was well."""
    told = [
        {k: v for k, v in dataclasses.asdict(one).items() if k != "said" or one.findings}
        for one in kills
    ]
    folders = re.compile(r"(?<![\w.])(/[\w.+-]+)+/")  # of this machine
    text = folders.sub("", json.dumps(told, indent=1))
    path.write_text(text + "\n")


def _known(path: Path) -> list[Kill]:
    """What a file holds."""
    return [Kill(**one) for one in json.loads(path.read_text())] if path.exists() else []


@contextlib.contextmanager
def _place() -> Iterator[Place]:
    place = Place()
    try:
        yield place
    finally:
        place.run("down")
        shutil.rmtree(place.top, ignore_errors=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--more", action="store_true", help="go on where the file ends")
    parser.add_argument("--only", default="", help="victims, phases or commands with this in them")
    parser.add_argument("--next", type=int, default=10, help="how often a whole run follows")
    parser.add_argument("--result", type=Path, default=RESULT)
    options = parser.parse_args()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # or what is started ignores it too
    signals.listen()
    known = _known(options.result) if options.more else []
    planned = plan(options.seed, options.kills, known)
    planned = [one for one in planned if options.only in f"{one[0].name} {one[1]} {one[2]}"]
    draw = random.Random(options.seed)
    done: list[Kill] = []
    with _place() as place:
        place.begin()
        for number, one in enumerate(planned, 1):
            last = kill(place, one, options.seed, draw)
            done.append(last)
            if number % options.next == 0:
                last.next_run, said = place.run("run", "tcp_mtls")
                if last.next_run:
                    last.findings.append(f"the next run ended with {last.next_run}: {said[-800:]}")
            print(f"{number:>3} {table([last]).splitlines()[1]}", flush=True)
            if last.findings:
                print(last.said[-3000:], flush=True)
            _write(options.result, known + done)
    print("\n" + table(known + done))
    return int(any(one.findings for one in known + done))


if __name__ == "__main__":
    sys.exit(main())
