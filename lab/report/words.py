"""The signs that stand beside words, so that nothing is told by colour alone."""

from __future__ import annotations

from collections.abc import Mapping

Sign = tuple[str, str]
"""(sign of templates/signs.svg, tone of templates/style.css)"""

SECURITY: Mapping[str, Sign] = {
    "mutual_tls": ("locked", "good"),
    "tls": ("lock", "info"),
    "plaintext": ("open", "bad"),
    "mixed": ("half", "warn"),
    "none": ("dash", "quiet"),
    "unknown": ("question", "quiet"),
}
VERDICT: Mapping[str, Sign] = {
    "reproduced": ("full", "info"),
    "not reproduced": ("ring", "plain"),
    "fails otherwise": ("half", "warn"),
    "inconclusive": ("question", "quiet"),
    "skipped": ("dash", "quiet"),
    "heals": ("check", "good"),
    "does not heal": ("cross", "bad"),
    "not needed": ("dash", "plain"),
}
AGREEMENT: Mapping[str, Sign] = {
    "as pinned": ("equal", "plain"),
    "differs": ("unequal", "bad"),
    "unsure": ("question", "warn"),
    "new": ("star", "warn"),
}
COMPARED: Mapping[str, Sign] = {
    "same": ("equal", "plain"),
    "differs": ("unequal", "warn"),
    "cannot say": ("question", "quiet"),
}
OTHER: Sign = ("question", "quiet")
MEANINGS: Mapping[str, str] = {
    "reproduced": "it is as the post says; of today's form, as this lab says",
    "fails otherwise": "it does not work today, but in another way than the post tells",
    "not reproduced": "it is proven that it is not so",
    "inconclusive": "it cannot be said, and the reason is told",
    "skipped": "it is not for this kind of cluster",
    "as pinned": "the verdict is the known one for these versions",
    "differs": "the verdict is another than the known one",
    "unsure": "a verdict is known, and this run could not say one",
    "new": "nothing is known yet for these versions or parameters",
}
