"""Signs that stand beside words, so that nothing is told by colour alone, and words explained."""

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
    "reproduced": "the call fails as the claim says; for today's form, as this lab says",
    "fails otherwise": "it fails today, but in another way than the claim says",
    "not reproduced": "it is proven not to fail so",
    "inconclusive": "the evidence is not sufficient; the reason is given",
    "skipped": "not tried: it is not for this kind of cluster",
    "as pinned": "the verdict is the one pinned for these versions",
    "differs": "the verdict is another than the pinned one",
    "unsure": "a verdict is pinned, and this run was inconclusive",
    "new": "nothing is pinned for these versions or parameters",
}
