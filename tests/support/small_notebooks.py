"""Small notebooks that tests execute."""

from __future__ import annotations

import json
from pathlib import Path


def written(folder: Path, *cells: str, parameters: str = "") -> Path:
    """Write `one.ipynb` of these code cells, the first with its parameters; returns its path."""

    def cell(source: str, tags: list[str]) -> dict:
        return {
            "cell_type": "code",
            "execution_count": None,
            "id": f"c{abs(hash(source)) % 10000}",
            "metadata": {"tags": tags},
            "outputs": [],
            "source": source,
        }

    made = [cell(parameters, ["parameters"]), *(cell(source, []) for source in cells)]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    path = folder / "one.ipynb"
    whole = {"cells": made, "metadata": kernel, "nbformat": 4, "nbformat_minor": 5}
    path.write_text(json.dumps(whole))
    return path
