"""Errors that a person can act on.

LabError                 anything the lab foresees: what happened, expected, what to do
├── NeedsUnmet           this machine or cluster lacks something; says what mends it
├── CaptureRefused       a cluster does not let packets be recorded; the wire is unknown then
├── CommandFailed        a command, as one would paste it, with its output
├── TimedOut             what was awaited, how long, what was last seen
├── ClusterGone          the cluster ended or does not answer
├── BadArguments         an unknown failure, parameter, cluster (exit code 254)
├── BadFailure           a failure's file is wrong: file, line, what there is (exit code 254)
└── BadEvidence          stored evidence is damaged or of another schema
    └── BadBundle        a bundle is not what was packed: nothing is concluded (exit code 3)
"""

from __future__ import annotations


class LabError(Exception):
    """What happened, and what to do about it; shown without a traceback."""

    exit_code = 255

    def __init__(self, what: str, *, hint: str = "") -> None:
        super().__init__(what)
        self.hint = hint

    def _render_traceback_(self) -> list[str]:
        """Return what IPython shows in a notebook in place of a traceback."""
        return [f"lab: {self}"]

    def __str__(self) -> str:
        text = super().__str__()
        return f"{text}\n  -> {self.hint}" if self.hint else text


class NeedsUnmet(LabError):
    """Something the lab needs is missing here."""


class CaptureRefused(LabError):
    """A cluster does not let the lab record packets; said in the cluster's own words."""


class CommandFailed(LabError):
    """A command ended with an unexpected code."""


class TimedOut(LabError):
    """Something awaited did not come."""


class ClusterGone(LabError):
    """The cluster is not there, or no longer answers."""


class BadArguments(LabError):
    """The person asked for something that does not exist."""

    exit_code = 254


class BadFailure(BadArguments):
    """A failure's file cannot be loaded, or its parts do not fit together."""


class BadEvidence(LabError):
    """Stored evidence cannot be read."""


class BadBundle(BadEvidence):
    """A bundle is damaged, was altered, or holds what is not unpacked."""

    exit_code = 3
