"""Runs a notebook headlessly under a guard: papermill, with what it lets through refused.

papermill only warns of unknown parameters, drops some types, calls `sys.exit(0)` a success,
and writes its output in place. So parameters are read and converted here, the output is
written beside and renamed, and only a verdict file counts as a verdict.
"""

from __future__ import annotations

import ast
import json
import os
import signal
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.common import files, untrusted
from lab.common.errors import BadArguments, BadEvidence
from lab.common.redaction import redact
from lab.common.suggest import meant
from lab.model import store
from lab.model.failure import Failure

NOTEBOOKS = store.ROOT / "notebooks"
FIRST = "00_start_here.ipynb"
YOURS = "yours"
"""Tag of a cell whose output is its reader's, or their machine's: it is committed without."""
KERNEL = "python3"
_KERNEL = {
    "argv": [sys.executable, "-m", "lab.notebook.kernel", "-f", "{connection_file}"],
    "display_name": "Python 3 (ipykernel)",
    "language": "python",
}
"""A kernel that ends with its notebook, in place of the one of the same name."""


_DAMAGED: tuple[type[Exception], ...] = (
    *(AttributeError, LookupError, TypeError, ValueError, SyntaxError),
    *(MemoryError, RecursionError),  # Python's parser, of nesting that it cannot hold
)


@dataclass(frozen=True)
class NotebookParameter:
    """One assignment of the cell tagged `parameters`."""

    name: str
    annotation: str
    default: Any


def declared(path: Path) -> list[NotebookParameter]:
    """Return a notebook's parameters, read from its source without running it.

    Raises BadEvidence for what is no notebook, or parameters that are no plain values.
    """
    try:
        notebook = untrusted.read_json(path, path.parent)
        for cell in notebook["cells"]:
            if "parameters" in cell.get("metadata", {}).get("tags", []):
                return _assignments("".join(cell["source"]))
    except _DAMAGED as wrong:
        raise BadEvidence(f"{path} is damaged: {wrong!r}", hint=f"git checkout {path}") from None
    return []


def _assignments(source: str) -> list[NotebookParameter]:
    found = []
    for node in ast.parse(source).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            name, kind = node.targets[0].id, ""
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value:
            name, kind = node.target.id, ast.unparse(node.annotation)
        else:
            continue
        assert node.value is not None
        found.append(NotebookParameter(name, kind, ast.literal_eval(node.value)))
    return found


def require_parameters(failure: Failure) -> None:
    """Raise BadArguments where a failure's notebook has other parameters or defaults than it."""
    path = NOTEBOOKS / f"{failure.name}.ipynb"
    told = {one.name: one.default for one in declared(path) if one.name != "cluster"}
    wanted = {name: one.default for name, one in failure.parameters.items()}
    if told != wanted:
        file = path.relative_to(store.ROOT)
        raise BadArguments(
            f"{file}: its cell tagged `parameters` has {_listed(told)}; "
            f"lab/failures/{failure.name}.py has {_listed(wanted)}",
            hint="give the cell each parameter of the failure, with the same default",
        )


def _listed(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in values.items()) or "no parameter"


def convert(path: Path, given: dict[str, str]) -> dict[str, Any]:
    """Return values in the types of the notebook's cell; `1.30` stays text where text is declared.

    Raises BadArguments for a name it does not declare (the nearest is named) or a wrong type.
    """
    known = {parameter.name: parameter for parameter in declared(path)}
    values = {}
    for name, text in given.items():
        if name not in known:
            raise BadArguments(
                f"{path.name} has no parameter {name!r}: {meant(name, known)}"
                f"it has {', '.join(known)}"
            )
        values[name] = _value(name, text, type(known[name].default))
    return values


def _value(name: str, text: str, kind: type) -> Any:
    if kind is str:
        return text
    if kind is bool and text.lower() in ("true", "false"):
        return text.lower() == "true"
    if kind not in (int, float):
        _refuse(name, text, kind)
    try:
        return kind(text)
    except ValueError:
        _refuse(name, text, kind)


def _refuse(name: str, text: str, kind: type) -> Any:
    raise BadArguments(f"{name}={text!r} is not of type {kind.__name__}")


def _redacted(text: str) -> str:
    """Return a notebook without secrets: each text is joined first, since keys span lines."""
    import nbformat

    reads: Any = nbformat.reads  # untyped, as those below
    writes: Any = nbformat.writes
    from_dict: Any = nbformat.from_dict
    return str(writes(from_dict(_each_text(reads(text, as_version=4)))))


def _each_text(value: Any) -> Any:
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, list):
        return [_each_text(one) for one in value]
    if isinstance(value, dict):
        return {key: _each_text(one) for key, one in value.items()}
    return value


class _Atomic:
    """papermill's way to files, written beside and renamed."""

    def read(self, path: str) -> str:
        return Path(path.removeprefix("lab://")).read_text()

    def write(self, text: str, path: str) -> None:
        files.write_text(Path(path.removeprefix("lab://")), _redacted(text))

    def listdir(self, path: str) -> list[str]:
        return [str(entry) for entry in Path(path.removeprefix("lab://")).iterdir()]

    def pretty_path(self, path: str) -> str:
        return path.removeprefix("lab://")


def execute(name: str, folder: Path, private: Path, values: dict[str, Any]) -> None:
    """Run notebooks/<name>.ipynb; its executed copy, complete or not, is <folder>/notebook.ipynb.

    private: where the kernel's sockets and their key lie meanwhile.
    """
    import papermill
    from papermill.iorw import papermill_io
    from traitlets.config import Config

    os.environ["JUPYTER_PATH"] = str(private)
    files.write_json(private / "kernels" / KERNEL / "kernel.json", _KERNEL)
    connection = private / f"{os.getpid()}.json"  # a socket's path is short
    papermill_io.register("lab://", _Atomic())
    papermill.execute_notebook(
        str(NOTEBOOKS / f"{name}.ipynb"),
        f"lab://{folder / 'notebook.ipynb'}",
        parameters=values,
        cwd=str(folder),
        kernel_name=KERNEL,
        progress_bar=False,
        request_save_on_cell_execute=False,
        execution_timeout=600,
        shutdown_kernel="immediate",  # nothing in it is to run on, whatever ends the notebook
        # Sockets in the file system: nothing listens on the network, and nobody need wonder why.
        config=Config({"KernelManager": {"transport": "ipc", "connection_file": str(connection)}}),
    )


def _end_with_caller() -> None:
    os.read(0, 1)
    os.kill(os.getpid(), signal.SIGKILL)


def main(argv: list[str]) -> int:
    """Execute one notebook in a process of its own: NAME FOLDER PRIVATE JSON.

    It ends when its standard input does: however the runner ends, nothing goes on behind it.
    The kernel ends with this process (lab/notebook/kernel.py).
    """
    name, folder, private, values = argv
    threading.Thread(target=_end_with_caller, daemon=True).start()
    execute(name, Path(folder), Path(private), json.loads(values))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
