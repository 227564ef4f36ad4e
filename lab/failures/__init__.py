"""The documented failures: one file each, found in this folder, listed nowhere."""

from __future__ import annotations

import functools
import importlib
import importlib.util
import pkgutil
import traceback
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

from lab.common.errors import BadArguments, BadFailure, LabError
from lab.common.suggest import meant
from lab.declare import Failure, refuse_wrong


def names() -> list[str]:
    """Return every failure's name, sorted."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


def load(name: str) -> Failure:
    """Return a failure by its name.

    Raises BadArguments with the nearest name there is, and BadFailure where its file is wrong.
    """
    wanted = name.replace("-", "_")
    if wanted not in names():
        near = meant(wanted, names())
        raise BadArguments(f"no failure {name!r}: {near}there is {', '.join(names())}")
    return _packaged(wanted)


@functools.cache
def _packaged(name: str) -> Failure:
    return _read(name, lambda: importlib.import_module(f"{__name__}.{name}"))


def load_file(path: Path) -> Failure:
    """Return the failure that a file anywhere holds. Raises BadFailure where it is wrong."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise BadFailure(f"{path}: no Python file")
    module, loader = importlib.util.module_from_spec(spec), spec.loader

    def run() -> ModuleType:
        loader.exec_module(module)
        return module

    return _read(path.stem, run)


def _read(name: str, module: Callable[[], ModuleType]) -> Failure:
    """Return a module's `FAILURE`, checked."""
    try:
        loaded = module()
    except LabError:
        raise
    except Exception as wrong:
        raise BadFailure(f"{_where(name, wrong)}: {type(wrong).__name__}: {wrong}") from wrong
    failure = getattr(loaded, "FAILURE", None)
    if not isinstance(failure, Failure) or failure.name != name:
        told = f"FAILURE named {name!r}, as the file is"
        raise BadFailure(f"{loaded.__file__}: it does not hold a {told}")
    refuse_wrong(failure)
    return failure


def _where(name: str, wrong: Exception) -> str:
    """Return the file and line of a failure's file that an error came from."""
    if isinstance(wrong, SyntaxError):
        return f"{wrong.filename}:{wrong.lineno}"
    frames = traceback.extract_tb(wrong.__traceback__)
    own = [frame for frame in frames if Path(frame.filename).stem == name]
    return f"{own[-1].filename}:{own[-1].lineno}" if own else f"{name}.py"
