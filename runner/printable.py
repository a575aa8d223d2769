"""What of a foreign text may reach a terminal or a log?

Ids, error messages and model answers may hold escape sequences that retitle the
window, write to the clipboard (OSC 52) or reorder what is read (bidi controls).

Floor: words. Knows nobody.
"""

import re
import unicodedata

_SEQUENCES = re.compile(
    r"""\x1b\][^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c|\Z)   # OSC: title, clipboard, links
    | (?:\x1b[P^_X]|[\x90\x9e\x9f\x98])[^\x1b\x9c]*(?:\x1b\\|\x9c|\Z)  # DCS, PM, APC
    | \x9d[^\x07\x9c]*(?:\x07|\x9c|\Z)                   # OSC, as one C1 byte
    | (?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]                   # CSI: colours, cursor
    | \x1b[ -/]*[0-~]                                    # the other escapes
    """,
    re.VERBOSE,
)
"""Whole sequences as ECMA-48 builds them: no `[31m` stays behind as text."""

_KEPT_FORMATS = "\u200c\u200d"
"""Joiners that Persian, Indic scripts and emoji need; they reorder nothing."""
_DROPPED = frozenset({"Cc", "Cf", "Co", "Cn"})
_LINE_BREAKS = frozenset({"Zl", "Zp"})


def printable(text: object) -> str:
    """One line, safe for any terminal; line ends and tabs become single spaces."""
    return " ".join(printable_lines(text).split())


def printable_lines(text: object) -> str:
    r"""The same with line ends kept, as `\n`, and tabs as four spaces."""
    plain = str(text)
    if plain.isascii() and plain.isprintable():
        return plain
    plain = _SEQUENCES.sub("", plain).replace("\r\n", "\n").replace("\t", "    ")
    return "".join(map(_shown, plain))


def _shown(character: str) -> str:
    if character == "\n" or character in _KEPT_FORMATS:
        return character
    category = unicodedata.category(character)
    if category in _LINE_BREAKS:
        return "\n"
    if category == "Cs":
        return "\N{REPLACEMENT CHARACTER}"  # a lone surrogate has no encoding
    return "" if category in _DROPPED else character
