"""Writes RO-Crate 1.1 metadata: what a bundle is, for archives that do not know the lab.

Source: w3id.org/ro/crate/1.1 (a Process Run Crate's CreateAction tells how it came to be).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

from lab.bundle import CRATE, MANIFEST, STATEMENT, about
from lab.bundle.about import About
from lab.model.evidence import Evidence

_CONTEXT = "https://w3id.org/ro/crate/1.1/context"
_PROFILE = "https://w3id.org/ro/crate/1.1"
_FORMATS = {
    ".gz": "application/gzip",
    ".html": "text/html",
    ".ipynb": "application/x-ipynb+json",
    ".json": "application/json",
    ".jsonl": "application/jsonl",
    ".log": "text/plain",
    ".md": "text/markdown",
    ".pcap": "application/vnd.tcpdump.pcap",
    ".pcapng": "application/x-pcapng",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".txt": "text/plain",
    ".xml": "application/xml",
}
_PROGRAMS = {
    "istio": ("Istio", "https://istio.io"),
    "envoy": ("Envoy", "https://www.envoyproxy.io"),
    "kubernetes": ("Kubernetes", "https://kubernetes.io"),
}
_Entity = dict[str, Any]


def metadata(run: About, sizes: Mapping[str, int], kept: Mapping[str, str]) -> _Entity:
    """Return the content of ro-crate-metadata.json.

    sizes: bytes by path of each file that is packed so far; kept: by path, how it was packed.
    """
    files = [_file(path, kept[path], size) for path, size in sorted(sizes.items())]
    files += [_file(path, "written last, from all other files") for path in (STATEMENT, MANIFEST)]
    programs, parameters = _programs(run), _parameters(run)
    entities = [
        {
            "@id": CRATE,
            "@type": "CreativeWork",
            "about": {"@id": "./"},
            "conformsTo": {"@id": _PROFILE},
        },
        _root(run, files),
        _action(run, programs, parameters),
        {"@id": "#again", "@type": "HowTo", "name": "How to repeat it", "text": run.command},
        {
            "@id": "#licence",
            "@type": "CreativeWork",
            "name": "No licence is stated",
            "description": "Whoever made the run decides what may be done with it.",
        },
        *programs,
        *parameters,
        *files,
    ]
    return {"@context": _CONTEXT, "@graph": entities}


def _root(run: About, files: list[_Entity]) -> _Entity:
    root = {
        "@id": "./",
        "@type": "Dataset",
        "name": f"Run {run.run} of the Istio failure lab",
        "description": _description(run),
        "license": {"@id": "#licence"},
        "hasPart": [_reference(one) for one in files],
        "mentions": [{"@id": "#run"}, {"@id": "#again"}],
    }
    return {**root, "datePublished": about.date(run.recorded_at)} if run.recorded_at else root


def _description(run: About) -> str:
    names = ", ".join([*run.evidence, *run.missing]) or "no failure"
    told = (
        f"Evidence of {names}: calls, packets, configurations and logs of a real mesh, and the "
        "verdicts on them. Secrets are removed from all text. Captures are as they were recorded."
    )
    left = "; ".join(f"{path} ({why})" for path, why in run.left_out.items())
    return f"{told} Left out: {left}." if left else told


def _action(run: About, programs: list[_Entity], parameters: list[_Entity]) -> _Entity:
    began, ended = run.span
    action = {
        "@id": "#run",
        "@type": "CreateAction",
        "name": f"Run {run.run}",
        "instrument": [_reference(one) for one in programs],
        "object": [_reference(one) for one in parameters],
        "result": {"@id": "./"},
    }
    times = {"startTime": about.date(began), "endTime": about.date(ended)}
    return {**action, **times} if began else action


def _programs(run: About) -> list[_Entity]:
    """Return the lab, and each version of Istio, Envoy and Kubernetes that was used."""
    lab: _Entity = {"@id": "#lab", "@type": "SoftwareApplication", "name": "Istio failure lab"}
    if run.recorder.commit:
        changed = " with uncommitted changes" if run.recorder.dirty else ""
        lab["version"] = run.recorder.commit + changed
    found = {
        f"#{key}-{version}": (name, url, version)
        for one in run.evidence.values()
        for key, (name, url) in _PROGRAMS.items()
        for version in [_version(one, key)]
        if version
    }
    return [
        lab,
        *(
            {
                "@id": identity,
                "@type": "SoftwareApplication",
                "name": name,
                "url": url,
                "version": version,
            }
            for identity, (name, url, version) in sorted(found.items())
        ),
    ]


def _version(one: Evidence, key: str) -> str:
    version = one.stack.get(key, "")
    return f"{version} ({one.stack['flavour']})" if key == "envoy" and version else version


def _parameters(run: About) -> list[_Entity]:
    found = [
        (name, key, value)
        for name, one in sorted(run.evidence.items())
        for key, value in sorted({"cluster": one.cluster, **one.parameters}.items())
    ]
    return [
        {
            "@id": f"#{failure}-{key}",
            "@type": "PropertyValue",
            "name": f"{failure} {key}",
            "value": value,
        }
        for failure, key, value in found
    ]


def _file(path: str, kept: str, size: int | None = None) -> _Entity:
    file: _Entity = {"@id": path, "@type": "File", "name": path, "description": kept}
    file["encodingFormat"] = _FORMATS.get(PurePosixPath(path).suffix, "application/octet-stream")
    return {**file, "contentSize": str(size)} if size is not None else file


def _reference(entity: _Entity) -> dict[str, str]:
    return {"@id": entity["@id"]}
