"""Which text matches this regular expression?

Owns a generator for the simple patterns that schemas use: literals, classes,
groups, alternatives, counts and anchors. Looks around nowhere.

Floor: simulator, bottom. Knows nobody.
"""

import random
import re
import string

_CLASSES = {
    "d": string.digits,
    "w": string.ascii_letters + string.digits + "_",
    "s": " ",
    "D": string.ascii_letters,
    "W": "-",
    "S": string.ascii_letters + string.digits,
}
_CONTROLS = {"n": "\n", "t": "\t", "r": "\r"}
_ANY = string.ascii_lowercase
_MORE = 3
"""How many repetitions beyond the fewest an open count gets at most."""


def text_matching(pattern: str, random_: random.Random) -> str | None:
    """A text that the pattern finds a match in; None if it is too clever."""
    try:
        text = _Generator(pattern, random_).text()
        return text if re.search(pattern, text) else None
    except (_TooCleverError, re.error, IndexError):
        return None


class _TooCleverError(Exception):
    pass


class _Generator:
    """Reads the pattern once, from left to right, and writes as it goes."""

    def __init__(self, pattern: str, random_: random.Random) -> None:
        self._pattern = pattern
        self._at = 0
        self._random = random_

    def text(self) -> str:
        text = self._alternatives()
        if self._at != len(self._pattern):
            raise _TooCleverError
        return text

    def _peek(self) -> str:
        return self._pattern[self._at : self._at + 1]

    def _take(self) -> str:
        character = self._pattern[self._at]
        self._at += 1
        return character

    def _alternatives(self) -> str:
        options = [self._sequence()]
        while self._peek() == "|":
            self._take()
            options.append(self._sequence())
        return self._random.choice(options)

    def _sequence(self) -> str:
        text = ""
        while self._peek() not in ("", "|", ")"):
            start = self._at
            piece = self._piece()
            end = self._at
            count = self._count()
            after = self._at
            if count == 0:
                piece = ""
            for _ in range(count - 1):
                self._at = start
                piece += self._piece()
                assert self._at == end
            self._at = after
            text += piece
        return text

    def _piece(self) -> str:
        character = self._take()
        if character in "^$":
            return ""
        if character == ".":
            return self._random.choice(_ANY)
        if character == "(":
            return self._group()
        if character == "[":
            return self._random.choice(self._class())
        if character == "\\":
            return self._random.choice(self._escape())
        if character in "*+?{":
            raise _TooCleverError
        return character

    def _group(self) -> str:
        if self._peek() == "?":
            self._take()
            if self._take() != ":":
                raise _TooCleverError
        text = self._alternatives()
        if self._take() != ")":
            raise _TooCleverError
        return text

    def _escape(self) -> str:
        """The characters that an escape stands for."""
        character = self._take()
        if character in "bB":
            raise _TooCleverError
        return _CLASSES.get(character, _CONTROLS.get(character, character))

    def _class(self) -> str:
        negated = self._peek() == "^"
        if negated:
            self._take()
        inside = ""
        while self._peek() != "]" or not inside:
            inside += self._class_part()
        self._take()
        if not negated:
            return inside
        return "".join(c for c in string.printable[:94] if c not in inside)

    def _class_part(self) -> str:
        first = self._take()
        if first == "\\":
            return self._escape()
        if self._peek() == "-" and self._pattern[self._at + 1] != "]":
            self._take()
            last = self._take()
            return "".join(map(chr, range(ord(first), ord(last) + 1)))
        return first

    def _count(self) -> int:
        least, most = self._bounds()
        if self._peek() in ("?", "+") and (least, most) != (1, 1):
            self._take()  # lazy and possessive counts match the same texts
        return self._random.randint(least, most)

    def _bounds(self) -> tuple[int, int]:
        sign = self._peek()
        if sign in ("?", "*", "+"):
            self._take()
            return {"?": (0, 1), "*": (0, _MORE), "+": (1, 1 + _MORE)}[sign]
        found = re.compile(r"\{(\d+)(,?)(\d*)\}").match(self._pattern, self._at)
        if not found:
            return 1, 1
        self._at = found.end()
        least = int(found[1])
        if not found[2]:
            return least, least
        return least, int(found[3]) if found[3] else least + _MORE
