"""Puts SVG figures into the page, without anything that runs or loads."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from lab.common.text import printable

if TYPE_CHECKING:
    from lab.judge.case import Case
    from lab.render.display import Picture

_SVG = "{http://www.w3.org/2000/svg}"
_LINK = "{http://www.w3.org/1999/xlink}href"
_DRAWN = {
    *("svg", "g", "path", "text", "tspan", "defs", "clipPath", "rect", "use", "circle", "ellipse"),
    *("line", "polyline", "polygon", "marker", "title"),
}
"""Elements that only draw: nothing that runs, loads or is styled by rules for the whole page."""
_KEPT = re.compile(
    r"id|d|x|y|x1|x2|y1|y2|r|rx|ry|cx|cy|width|height|viewBox|points|transform|style|class"
    r"|text-anchor|fill|stroke(-[a-z]+)?|font-[a-z]+|opacity|clip-path|marker-(start|mid|end)"
    r"|dominant-baseline|refX|refY|marker(Width|Height|Units)|orient|preserveAspectRatio"
)
_REFERENCE = re.compile(r"url\(#([^)]*)\)")
_LOADS = re.compile(r"url\((?!#)|[@\\]|expression", re.IGNORECASE)
WORD = 40
"""Characters of a policy's mode that are drawn: every mode that Istio has is shorter."""


def inline(picture: Picture, prefix: str) -> str:
    """Return an SVG as a part of a page; prefix: makes its ids this figure's own.

    Raises ValueError for what is no SVG.
    """
    from defusedxml import ElementTree as Defused

    try:
        root = Defused.fromstring(picture.svg)
    except ElementTree.ParseError as wrong:
        raise ValueError(f"it is no SVG: {wrong}") from None
    drawn = _cleaned(root, prefix)
    if drawn is None or drawn.tag != "svg":
        raise ValueError(f"it is no SVG: {root.tag}")
    drawn.attrib.update({"role": "img", "aria-label": printable(picture.alt), "class": "drawn"})
    if "viewBox" not in drawn.attrib:
        raise ValueError("it has no viewBox, and would not scale")
    for fixed in ("width", "height"):
        drawn.attrib.pop(fixed, None)
    return ElementTree.tostring(drawn, encoding="unicode")


def _cleaned(element: ElementTree.Element, prefix: str) -> ElementTree.Element | None:
    """Copy an element without its namespace, and only what draws; None for any other."""
    name = str(element.tag).removeprefix(_SVG)
    if name not in _DRAWN:
        return None
    copy = ElementTree.Element(name, _attributes(element.attrib, prefix))
    copy.text, copy.tail = element.text, element.tail
    copy.extend(c for child in element if (c := _cleaned(child, prefix)) is not None)
    return copy


def _attributes(given: Mapping[str, str], prefix: str) -> dict[str, str]:
    kept = {}
    for name, value in given.items():
        if name in (_LINK, "href") and value.startswith("#"):
            kept["href"] = f"#{prefix}-{value[1:]}"
        elif name == "id":
            kept[name] = f"{prefix}-{value}"
        elif _KEPT.fullmatch(name) and not _LOADS.search(value):
            kept[name] = _REFERENCE.sub(rf"url(#{prefix}-\1)", value)
    return kept


def drawable(case: Case) -> Case:
    """Return the case with policies cut to WORD: evidence of others may hold any text there."""
    worlds = {
        name: dataclasses.replace(
            world, mtls=printable(world.mtls)[:WORD], rule=printable(world.rule)[:WORD]
        )
        for name, world in case.evidence.worlds.items()
    }
    return type(case)(case.failure, dataclasses.replace(case.evidence, worlds=worlds), case.folder)
