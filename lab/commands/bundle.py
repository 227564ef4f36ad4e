"""`istio-lab bundle`: a run as one archive to hand on."""

from __future__ import annotations

import argparse
from pathlib import Path

from lab.bundle import pack
from lab.commands.arguments import add_run
from lab.commands.stored import folder
from lab.common import files
from lab.common.text import printable
from lab.model import store


def add(parser: argparse.ArgumentParser) -> None:
    """Take a run, and where to write."""
    add_run(parser)
    parser.add_argument(
        "-o", "--output", metavar="FILE", help="default: RUN.tar.gz in the folder of the runs"
    )


def run(options: argparse.Namespace) -> int:
    """Write the archive; print what it holds, and what was left out and why."""
    place = folder(options.run)
    name = options.run if place == store.RECORDED else place.name
    packed = pack.pack(place, name)
    target = Path(options.output or store.runs())
    if target.is_dir() or not options.output:
        target /= f"{name}.tar.gz"
    files.write_bytes(target, packed.archive)
    lines = [f"{path}: left out: {why}" for path, why in packed.left_out.items()]
    lines += [
        f"{target}: {packed.files} files, {packed.unpacked / 1e6:.1f} MB, "
        f"{len(packed.archive) / 1e6:.1f} MB packed",
        "Secrets are removed from its text. Captures hold the packets as they crossed the wire: "
        "whoever gets the bundle can read them.",
        f"Next: istio-lab judge {target}",
    ]
    print(printable("\n".join(lines)))
    return 0
