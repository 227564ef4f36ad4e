"""Every command, grouped by what a person wants to do. It imports none of them."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from types import ModuleType

GROUPS: Mapping[str, Mapping[str, str]] = {
    "Look, without running anything": {
        "list": "list the failures",
        "show": "show a failure's symptom, verdicts and first bytes on the wire, as recorded",
        "explain": "name the failures that look like a status, a flag or an error's words",
        "notebooks": "copy the notebooks, which tell each failure step by step, to a folder",
        "doctor": "check what this machine has and lacks",
        "preview": "show what a first start will build, and at what cost",
        "help": "show this list",
    },
    "Reproduce": {
        "run": "reproduce failures on a cluster, and judge them",
        "judge": "judge stored runs or bundles again, without a cluster",
    },
    "Understand a verdict": {
        "why": "show the packets, log lines and configuration that decided each verdict",
        "graph": "draw each edge with what every plane says about it",
        "kiali": "serve Kiali's real console over a run, or take a picture of its graph",
        "pcapng": "write the packets of calls, with comments, for Wireshark",
    },
    "Share and compare": {
        "report": "write a run, or several side by side, as one HTML page",
        "compare": "compare two runs",
        "site": "write what needs no cluster as a static site: atlas, truth table, lessons' texts",
        "bundle": "pack a run into one archive, with secrets removed from its text",
    },
    "Learn": {
        "learn": "open the course in JupyterLab, while a cluster starts in the background",
        "lessons": "run every lesson's notebook on a cluster, and say whether each still holds",
    },
    "Clusters": {
        "up": "start the standing cluster, which later runs use",
        "down": "stop it, and remove everything it made",
        "status": "show whether it is up, with its versions",
        "shell": "open a shell whose kubectl and istioctl use it",
        "exec": "run a command in one of its pods",
    },
    "The truth table": {
        "table": "measure what a mesh does with thousands of combinations, show it, compare it",
    },
    "What mTLS costs": {
        "cost": "measure CPU time, latency and bytes with and without mTLS, or show them",
    },
    "Any edge": {
        "audit": "name every edge of a mesh that is not mutual TLS, or fails, without a call",
        "predict": "say what a call would do, by the proxies' configuration, without making it",
        "observe": "make one call between two pods of any mesh, and show how it was secured",
    },
    "Add your own": {
        "new": "write the file and the notebook of a new failure: new failure NAME",
        "record": "make a run's evidence the recorded evidence",
    },
    "Continuous integration": {
        "cache-key": "print a cache key that changes when what is built changes",
        "cache-path": "print the folders to cache under that key",
    },
}
"""Heading -> command -> what it does, as `istio-lab help` shows it."""

SUMMARIES: Mapping[str, str] = {
    name: text for commands in GROUPS.values() for name, text in commands.items()
}


def module(name: str) -> ModuleType:
    """Import a command's file, which has `add(parser)` and `run(options) -> int`.

    Only the command that was typed is imported: those that need no package work before set-up.
    """
    return import_module(f"lab.commands.{name.replace('-', '_')}")
