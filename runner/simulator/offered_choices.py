"""Which answers does this prompt allow?

Owns finding "Answer with exactly one of: a, b, c" in a prompt's words.

Floor: simulator, bottom. Knows nobody.
"""

import re

_LIST = re.compile(
    r"\b(?:one of|(?:one|single) (?:word|label|category|choice))\b[^\n.:()]{0,60}?"
    r"(?::[ \t]*(?P<open>[^\n]+)|\((?P<closed>[^)\n]+)\))",
    re.IGNORECASE,
)
_SEPARATOR = re.compile(r"\s*[,;|/]\s*(?:or\s+)?|\s+or\s+", re.IGNORECASE)
_SENTENCE_END = re.compile(r"[.!?](?:\s|$)")
_LONGEST_CHOICE = 40


def offered_choices(text: str) -> tuple[str, ...]:
    """The answers a prompt allows; empty if it does not list any.

    >>> offered_choices("Answer with exactly one of: yes, no or unclear. Text: ...")
    ('yes', 'no', 'unclear')
    """
    for found in _LIST.finditer(text):
        choices = _split(found["open"] or found["closed"])
        if choices:
            return choices
    return ()


def _split(listed: str) -> tuple[str, ...]:
    sentence = _SENTENCE_END.split(listed, maxsplit=1)[0]
    choices = [part.strip(" \t\"'`*[]") for part in _SEPARATOR.split(sentence)]
    choices = [choice for choice in choices if choice]
    if len(choices) < 2 or max(map(len, choices)) > _LONGEST_CHOICE:  # noqa: PLR2004 (a choice)
        return ()
    return tuple(choices)
