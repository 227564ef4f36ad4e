"""`istio-lab help`: every command, by what a person wants to do, and what exit codes mean."""

from __future__ import annotations

import argparse


def add(parser: argparse.ArgumentParser) -> None:
    """Take no arguments."""
    del parser


def run(options: argparse.Namespace) -> int:
    """Print the groups of commands and the exit codes."""
    from lab.commands import registry
    from lab.render.wording import EXPLAINED

    del options
    lines = ["usage: istio-lab COMMAND ...    (istio-lab COMMAND --help: its arguments)"]
    for heading, commands in registry.GROUPS.items():
        lines += ["", heading]
        lines += [f"  {name:<11} {text}" for name, text in commands.items()]
    lines += ["", "Exit codes of run, judge and compare"]
    lines += [f"  {code:<11} {text}" for code, text in EXPLAINED.items()]
    print("\n".join(lines))
    return 0
