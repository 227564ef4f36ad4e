"""Takes secrets out of text before it is kept: by `files.write_text`, and by what appends to logs.

Works on plain text and on JSON alike: what is taken out never holds a quote or half an escape, so
that JSON stays JSON. A secret that was cut off at its end is taken out too.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Sequence

REDACTED = "[redacted]"
_NEWLINE = r"(?:\s|\\+[nrt]|%0[AD9]|%20)"
"""Between a PEM block's lines: as it is, escaped as in JSON, or percent-encoded as Envoy has it."""
_LABEL = r"[A-Z0-9](?:[A-Z0-9 +]|%20){0,60}"
_BASE64 = r"(?:[A-Za-z0-9+/=]|%2[BF]|%3D)"
_BEGIN = re.compile(rf"-----BEGIN(?:[ +]|%20){_LABEL}-----")
_LINE = re.compile(rf"{_NEWLINE}*(?:(?:Proc-Type|DEK-Info): ?[\w,-]+|{_BASE64}{{16,}})")
"""A header of an encrypted key (RFC 1421), or a line of base64."""
_END = re.compile(rf"(?:{_NEWLINE}*{_BASE64}{{1,15}})?{_NEWLINE}*-----END(?:[ +]|%20){_LABEL}-----")
"""The last and short line with the end, where it was not cut off."""
_TORN = re.compile(rf"{_NEWLINE}*(?:{_BASE64}| ){{60,}}|{_NEWLINE}+(?:{_BASE64}| )+(?=\\*[\"'])")
"""A line of a form's field, where a `+` has become a space; the last one ends with a quote."""
_PEM_IN_BASE64 = re.compile(r"LS0tLS1CRUdJTi[\w+/=-]*+")
"""base64 of `-----BEGIN `: a kubeconfig's *-data, a Secret's data, Envoy's inline_bytes."""
_JWT = re.compile(r"eyJ[\w-]{8,}+((?:\.[\w-]*+){1,4})?")
"""What has no dots is no token; it is passed over at once, or long words would take for ever."""
_BEARER = re.compile(r"(?i)(bearer(?:\s|%20)+)[\w.~+/-]{16,}+=*+")
LONGEST_SCHEME = 21
_URL = re.compile(
    rf"(?i)\b([a-z][a-z0-9+.-]{{1,{LONGEST_SCHEME - 1}}}://)"
    r"[^\s/@:\"'\\]{0,200}+:[^\s/@\"'\\]{1,200}+(?=@)"
)
_NOT_YET = r"(?!\[redacted)"
_IS = rf"(?:\\*[\"'])?\s{{0,9}}+[:=]\s{{0,9}}+{_NOT_YET}\[?\s{{0,99}}+(?:\\*[\"'])?{_NOT_YET}"
"""From a name to its value, in an HTTP header, YAML, a shell's environment or JSON."""
_HEADERS = re.compile(rf"(?i)((?:authorization|cookie){_IS})(?![\"'\\\[])[^\"'\\\r\n]++")
_FORMAT = r"%[A-Z_]+\("
"""A command of Envoy's format strings, such as `%CEL(`: what begins with one is no secret."""
_NAMED = re.compile(
    r"(?i)((?:passw(?:or)?d|client[_-]?secret|(?:access|id|refresh|auth|api|session)[_-]?token"
    r"|client-key-data|client-certificate-data|inline_(?:string|bytes)"
    rf"|(?:api|secret|private|secret[_-]access|account)[_-]?key|(?:(?<![\w.-])|(?<=\\[nt]))token){_IS})"
    rf"(?![\"'\\\[{{]|{_FORMAT})[^\s\"'\\,;&}}]++"
)

NAMED: Sequence[tuple[re.Pattern[str], Sequence[str], int]] = (
    (_HEADERS, ("authorization", "cookie"), 0),
    (
        _NAMED,
        ("passw", "secret", "token", "key", "inline_", "certificate-data"),
        len("secret_access_"),
    ),
    (_URL, ("://",), LONGEST_SCHEME),
)
"""Whatever a pattern finds has one of the words, in lower case, at most so many letters in."""
_HIDDEN = re.compile("[\u0131\u017f]")

_ENCODED = re.compile(r"(?<![A-Za-z0-9+/_-])[A-Za-z0-9+/_-]{24,}+={0,2}")
_STANDARD = str.maketrans("-_", "+/")
_TEXT = re.compile(rb"[\t\n\r -~]{12}")
"""No secret is shorter, and what is no base64 hardly ever decodes to that much text."""


def redact(text: str) -> str:
    """Return the text without private keys, certificates, tokens, cookies and passwords."""
    text = _PEM_IN_BASE64.sub(REDACTED, _without_pem(text))
    text = _JWT.sub(lambda found: REDACTED if found[1] else found[0], text)
    text = _BEARER.sub(rf"\1{REDACTED}", text)
    for pattern, words, before in NAMED:
        text = _without(pattern, words, before, text)
    return text


def _without_pem(text: str) -> str:
    """Return the text without PEM blocks, line by line.

    A possessive group would do, but Pythons before 3.11.5 get that wrong: gh-106052.
    """
    kept, after = [], 0
    for begin in _BEGIN.finditer(text):
        if begin.start() < after:
            continue
        kept += [text[after : begin.start()], REDACTED]
        after = begin.end()
        while line := _TORN.match(text, after) or _LINE.match(text, after):
            after = line.end()
        if end := _END.match(text, after):
            after = end.end()
    return "".join([*kept, text[after:]])


def _without(pattern: re.Pattern[str], words: Sequence[str], before: int, text: str) -> str:
    """Return the text with all that a pattern finds in it redacted but for its first group.

    Most places hold nothing, and are passed over faster than by `pattern.sub`. Where lower case is
    longer than the text (of U+0130), or hides an i (U+0131) or an s (U+017F), all is looked at.
    """
    lowered = text.lower()
    if not text.isascii() and (len(lowered) != len(text) or _HIDDEN.search(text)):
        return pattern.sub(rf"\1{REDACTED}", text)
    kept, after = [], 0
    for found in sorted(_places(lowered, words)):
        starts = range(max(after, found - before), found + 1)
        named = next(filter(None, (pattern.match(text, start) for start in starts)), None)
        if named and named.end() > after:
            kept += [text[after : named.start()], named[1], REDACTED]
            after = named.end()
    return "".join([*kept, text[after:]])


def _places(lowered: str, words: Sequence[str]) -> Iterator[int]:
    for word in words:
        place = lowered.find(word)
        while place >= 0:
            yield place
            place = lowered.find(word, place + 1)


def redact_encoded(text: str) -> str:
    """Return the text as `redact` does, and without words that hold a secret in base64."""
    hides: dict[str, bool] = {}  # a configuration has a few long words, each of them very often

    def decoded(found: re.Match[str]) -> str:
        """Return what may stay of a word: an escape's letters before it do, to keep JSON valid."""
        word, before = found[0], found.string[found.start() - 1 : found.start()]
        escape = 0 if before != "\\" else 5 if word[0] == "u" else 1
        rest = word[escape:]
        if rest not in hides:
            hides[rest] = _hides(rest)
        return word[:escape] + REDACTED if hides[rest] else word

    return _ENCODED.sub(decoded, redact(text))


def _hides(word: str) -> bool:
    """Tell whether a secret shows when it is decoded; other letters may stand before it."""
    digits = word.rstrip("=").translate(_STANDARD)
    for start in range(4):
        part = digits[start:]
        whole = part[: len(part) // 4 * 4]
        decoded = base64.b64decode(whole)
        if _TEXT.search(decoded) and redact(told := decoded.decode(errors="replace")) != told:
            return True
    return False
