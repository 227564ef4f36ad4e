"""Where each object of manifests is written: its file, and its line there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from lab.audit import folder

Named = tuple[str, str, str]
"""Kind, namespace and name."""


@dataclass(frozen=True)
class Line:
    """A place in a file; lines begin at 1."""

    path: Path
    number: int


def read(paths: Sequence[Path]) -> Mapping[Named, Line]:
    """Return where the objects in these files and folders are written.

    Raises BadEvidence for a file that is damaged.
    """
    return {
        named: Line(path, number)
        for path in folder.files(paths)
        if path.name.endswith(folder.YAML)
        for named, number in _objects(path)
    }


def _objects(path: Path) -> Iterator[tuple[Named, int]]:
    for document in yaml.compose_all(folder.data(path), Loader=yaml.CSafeLoader):
        for node in _each(document):
            text, meta = _fields(node), _fields(_field(node, "metadata"))
            if "kind" in text and "name" in meta:
                namespace = meta.get("namespace") or "default"
                yield (text["kind"], namespace, meta["name"]), node.start_mark.line + 1


def _each(document: Node) -> Iterator[Node]:
    """Yield a document's object, or those of the list that it is."""
    items = _field(document, "items")
    yield from items.value if isinstance(items, SequenceNode) else [document]


def _field(node: Node | None, name: str) -> Node | None:
    return next((value for key, value in _pairs(node) if key.value == name), None)


def _fields(node: Node | None) -> dict[str, str]:
    return {
        str(key.value): str(value.value)
        for key, value in _pairs(node)
        if isinstance(value, ScalarNode)
    }


def _pairs(node: Node | None) -> list[tuple[Node, Node]]:
    return node.value if isinstance(node, MappingNode) else []
