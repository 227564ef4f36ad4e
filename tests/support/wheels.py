"""A wheel of a test's own, for pip to find in a folder."""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path


def make(shop: Path, package: str, version: str, files: dict[str, str]) -> tuple[Path, str]:
    """Write it into a new folder; returns it and its sha256."""
    shop.mkdir()
    stem = f"{package.replace('-', '_')}-{version}"
    path = shop / f"{stem}-py3-none-any.whl"
    about = {
        "METADATA": f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n",
        "WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        "RECORD": "",
    }
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
        for name, content in about.items():
            archive.writestr(f"{stem}.dist-info/{name}", content)
    return path, hashlib.sha256(path.read_bytes()).hexdigest()
