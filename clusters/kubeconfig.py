"""Other people's kubeconfigs: read for one context that was named, and never written.

Several files in KUBECONFIG are merged as kubectl does it: the first to name something counts
(https://kubernetes.io/docs/concepts/configuration/organize-cluster-access-kubeconfig/).
"""

from __future__ import annotations

import os
from pathlib import Path

import yaml

from clusters.kube import Obj
from lab.common.errors import BadArguments
from lab.common.suggest import meant

ALLOW = "LAB_ALLOW_EXEC_PLUGIN"
"""Environment variable: 1 where a context's credentials may come from a program."""


_NO_KUBECONFIG: tuple[type[Exception], ...] = (
    *(yaml.YAMLError, OSError, UnicodeError, RecursionError),
    *(AttributeError, LookupError, TypeError, ValueError),
)


def files() -> list[Path]:
    """Return KUBECONFIG's files that exist, else the one in the home folder."""
    named = [Path(word).expanduser() for word in os.environ.get("KUBECONFIG", "").split(os.pathsep)]
    wanted = [path for path in named if path.name] or [Path.home() / ".kube" / "config"]
    return [path for path in wanted if path.is_file()]


def require(context: str) -> None:
    """Refuse a context that is not there or would run a program, with BadArguments.

    Raises BadArguments: the nearest context is named, or the program and what allows it.
    """
    contexts, users = _named("contexts", "context"), _named("users", "user")
    if context not in contexts:
        where = ", ".join(map(str, files())) or "any kubeconfig, of which there is none here"
        near, there = meant(context, contexts), ", ".join(contexts) or "none"
        raise BadArguments(f"no context {context!r} in {where}: {near}there is: {there}")
    program = _program(users.get(str(contexts[context].get("user", "")), {}))
    if program and os.environ.get(ALLOW) != "1":
        raise BadArguments(
            f"context {context!r} would run a program for its credentials: `{program}`",
            hint=f"if you trust it: {ALLOW}=1, or ALLOW_EXEC_PLUGIN=1 with make",
        )


def _program(user: Obj) -> str:
    """Return what a user's entry would have run, or nothing."""
    plugin, provider = user.get("exec"), user.get("auth-provider")
    if isinstance(plugin, dict):
        arguments = plugin.get("args")
        words = [plugin.get("command"), *(arguments if isinstance(arguments, list) else [])]
        return " ".join(map(str, words))
    if plugin or provider:
        name = provider.get("name") if isinstance(provider, dict) else provider
        return f"exec {plugin}" if plugin else f"auth-provider {name}"
    return ""


def _named(plural: str, singular: str) -> dict[str, Obj]:
    found: dict[str, Obj] = {}
    for path in files():
        try:
            data = yaml.safe_load(path.read_text()) or {}
            for entry in data.get(plural) or []:
                found.setdefault(str(entry["name"]), dict(entry.get(singular) or {}))
        except _NO_KUBECONFIG as problem:
            raise BadArguments(f"{path} is not a kubeconfig: {problem}") from None
    return found
