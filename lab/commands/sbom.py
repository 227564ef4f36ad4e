"""`make sbom`: what the lab is made of, as CycloneDX documents that CycloneDX's own tools write.

python.cdx.json has what a wheel with its extra installs, in the lock's versions, without the tools
for development. go-SET.cdx.json has the modules of one set under clusters/stacks. Envoy's wheel and
Debian's packages are in neither.
"""

from __future__ import annotations

import sys
import sysconfig
import venv
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from clusters.stacks import binaries
from lab.common import places, scratch, shell

GOMOD = "github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod@v1.10.0"
GO_OPTIONS = ("-json", "-licenses", "-noserial", "-notimestamp", "-type", "application")


def main(argv: list[str]) -> int:
    """Write the documents into a folder, and print their names. Raises NeedsUnmet without Go."""
    folder = Path(argv[0]).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    with scratch.folder() as place:
        python(folder / "python.cdx.json", place)
    for module in sorted(binaries.STACKS.glob("*/go.mod")):
        into = folder / f"go-{module.parent.name}.cdx.json"
        words = ["go", "run", GOMOD, "mod", *GO_OPTIONS, "-output", str(into), "."]
        shell.run(words, cwd=module.parent)
        print(into, flush=True)
    return 0


def python(into: Path, place: Path) -> None:
    """Write the document of the Python packages.

    place: a folder for a virtual environment that has them as links, and nothing else: the tool
    lists all that is installed, and the lab's own environment has tools for development too.
    """
    environment = place / "environment"
    venv.EnvBuilder(clear=True, symlinks=True).create(environment)
    names = {"base": str(environment), "platbase": str(environment)}
    site = Path(sysconfig.get_path("purelib", "venv", names))
    for name in needed(places.DISTRIBUTION, frozenset({places.EXTRA}), set()):
        found = metadata.distribution(name)
        about = next(file for file in found.files or () if file.name == "METADATA").parent
        (site / about).symlink_to(Path(str(found.locate_file(about))))
    tool = [sys.executable, "-m", "cyclonedx_py", "environment", "--output-reproducible"]
    project = places.ROOT / "pyproject.toml"
    words = [f"--pyproject={project}", f"--output-file={into}", str(environment / "bin" / "python")]
    shell.run([*tool, *words], cwd=into.parent)
    print(into, flush=True)


def needed(name: str, extras: frozenset[str], known: set[str]) -> Iterator[str]:
    """Yield what a package needs, and what that needs, as far as it is installed here.

    extras: of the package. known: what was yielded before.
    """
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    for wanted in map(Requirement, metadata.requires(name) or []):
        marker, own = wanted.marker, canonicalize_name(wanted.name)
        if marker and not any(marker.evaluate({"extra": extra}) for extra in extras or {""}):
            continue
        try:
            metadata.distribution(own)
        except metadata.PackageNotFoundError:  # overridden in pyproject.toml
            continue
        if own not in known:
            known.add(own)
            yield own
        if (key := f"{own}[{','.join(sorted(wanted.extras))}]") not in known:
            known.add(key)
            yield from needed(own, frozenset(wanted.extras), known)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
