"""Removes secrets from a notebook's outputs: nbformat cuts a text, and a key in it, into lines."""

from __future__ import annotations

import json
from typing import Any

from lab.common import untrusted
from lab.common.redaction import redact_encoded


def without_secrets(text: str) -> str:
    """Remove the secrets that stand in several lines; return the same text where there is none."""
    try:
        notebook = untrusted.parse(text)
        cleaned = _cleaned(notebook)
    except (ValueError, RecursionError):
        return text  # it is no notebook; its text is looked at all the same
    if cleaned == notebook:
        return text
    return json.dumps(cleaned, indent=1, ensure_ascii=False) + "\n"


def _cleaned(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _cleaned(one) for key, one in value.items()}
    if not isinstance(value, list):
        return value
    if not all(isinstance(one, str) for one in value):
        return [_cleaned(one) for one in value]
    whole = "".join(value)
    redacted = redact_encoded(whole)
    return value if redacted == whole else redacted.splitlines(keepends=True)
