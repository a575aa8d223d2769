"""How do a user's strings look in a message?

Ids, keys and paths come from files: they are shown without control characters,
bidirectional overrides or line breaks, and never at any length.
Must not know where they come from.

Floor: doors and rules. Knows nobody.
"""

import json
from pathlib import Path

from runner.records import JsonScalar

SHOWN_CHARACTERS = 80


def id_text(item_id: JsonScalar) -> str:
    """An item's id, safe for a terminal: one line, at most 80 characters or so."""
    return shown(item_id if isinstance(item_id, str) else json.dumps(item_id))


def path_text(path: Path) -> str:
    """A path, safe for a terminal, at full length."""
    return _printable(str(path))


def shown(text: str, characters: int = SHOWN_CHARACTERS) -> str:
    """Text safe for a terminal: escapes what does not print, cuts what is long."""
    if len(text) > characters:
        text = text[: characters - 1] + "…"
    return _printable(text)


def _printable(text: str) -> str:
    # str.isprintable is False for every control, format (bidi), surrogate,
    # private and unassigned character and for all separators but the space.
    if text.isprintable():
        return text
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape").decode("ascii")
        for c in text
    )
