"""Where the project's own files lie: in a checkout, or in an installed wheel.

A wheel has what is read beside the packages (notebooks, recorded evidence, the lock) in
`lab/shipped`, as pyproject.toml says; a checkout has it at its root. What a person is told to type
differs as well: a wheel has no Makefile. Only the standard library is used here.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from lab.common.errors import NeedsUnmet

_PACKAGES = Path(__file__).parents[2]
_SHIPPED = _PACKAGES / "lab" / "shipped"
INSTALLED = _SHIPPED.is_dir()
"""Whether this is an installed wheel."""
ROOT = _SHIPPED if INSTALLED else _PACKAGES
"""The folder that has `evidence` and `notebooks`."""
DISTRIBUTION = "istio-failure-lab"
EXTRA = "lab"
"""Of the wheel: the packages that only clusters of the lab's own, and notebooks, need."""
DOCTOR = "istio-lab doctor" if INSTALLED else "python3 -m lab doctor"
"""How the doctor is called, also before set-up."""
REPRODUCE = "istio-lab run" if INSTALLED else "make reproduce"
"""How all failures are run."""


def runs() -> Path:
    """Return the default folder of all runs: in the checkout, else among the user's own state."""
    if not INSTALLED:
        return ROOT / "runs"
    # https://specifications.freedesktop.org/basedir-spec/latest/
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(state) / DISTRIBUTION / "runs"


def version() -> str:
    """Return the version of the lab; `unknown` where it is not installed."""
    from importlib import metadata

    try:
        return metadata.version(DISTRIBUTION)
    except metadata.PackageNotFoundError:
        return "unknown"


def reproduce(failure: str) -> str:
    """Return how one failure is run."""
    return f"{REPRODUCE} {failure}" if INSTALLED else f"{REPRODUCE} FAILURE={failure}"


def set_up(command: str = "repeat this command") -> str:
    """Return what to do where a package is missing that a command needs."""
    if INSTALLED:
        file = f"{DISTRIBUTION.replace('-', '_')}-{version()}-py3-none-any.whl"
        return f"install it with its extra, as by: pipx install --force '{file}[{EXTRA}]'"
    return f"make env, then {command}"


def require_checkout(what: str) -> None:
    """Raise NeedsUnmet in an installed wheel. what: a command that writes into a checkout."""
    if INSTALLED:
        raise NeedsUnmet(
            f"{what} needs a checkout of the lab, and this is an installed wheel",
            hint="clone the lab's repository, and run `make env` in it",
        )


def require_extra() -> None:
    """Raise NeedsUnmet in an installed wheel that lacks packages of its extra."""
    lacking = sorted(missing())
    if lacking:
        raise NeedsUnmet(
            f"clusters of the lab's own, and notebooks, need packages that are not installed: "
            f"{', '.join(lacking)}",
            hint=set_up(),
        )


def missing() -> Iterator[str]:
    """Yield the packages of the extra that an installed wheel lacks; none in a checkout."""
    from importlib import metadata

    for wanted in (metadata.requires(DISTRIBUTION) or []) if INSTALLED else []:
        name = re.match(r"[\w.-]+", wanted)
        if name and re.search(rf"extra == .{EXTRA}.", wanted) and not _is_installed(name[0]):
            yield name[0]


def _is_installed(name: str) -> bool:
    from importlib import metadata  # slow to import, and most commands need none of it

    try:
        return bool(metadata.version(name))
    except metadata.PackageNotFoundError:
        return False
