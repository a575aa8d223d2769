"""What may be shown of what a server says? One clean line, without secrets.

Error messages echo keys, whole or masked, and may hold terminal escapes.

Floor: doors and rules. Knows nobody.
"""

import re
import unicodedata

MESSAGE_CHARACTERS = 300
_READ_CHARACTERS = 8_000
"""More of a message is not looked at: a proxy's error page may be megabytes."""
_SHORT_KEY = 8
"""Keys for local servers ("x", "EMPTY") are words of their own, no secrets: they
are only taken out where they stand alone."""
_REDACTED = "[redacted]"

_SECRETS = re.compile(
    r"""bearer\s+[^\s'"<>]+          # an Authorization header read back
    | \b(?:sk|rk|gsk|xai)-[\w*.-]{6,} # keys as OpenAI, Groq, xAI ... form them
    | [^\s'"<>]*\*{3,}[^\s'"<>]*      # masked by the provider: sk-abc****xyz
    """,
    re.IGNORECASE | re.VERBOSE,
)
_INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Controls, escapes, bidi marks, lone surrogates: none belongs on a terminal."""


class Redactor:
    """Takes the key, and what looks like one, out of a server's words."""

    def __init__(self, api_key: str) -> None:
        exact = re.escape(api_key)
        bounded = exact if len(api_key) >= _SHORT_KEY else rf"(?<!\w){exact}(?!\w)"
        self._key = re.compile(bounded) if api_key else None
        self._raw = api_key.encode() if len(api_key) >= _SHORT_KEY else b""

    def line(self, text: str) -> str:
        """Return one line of at most 300 characters, safe to show and to store."""
        visible = "".join(map(_visible, text[:_READ_CHARACTERS]))
        if self._key is not None:
            visible = self._key.sub(_REDACTED, visible)
        words = " ".join(_SECRETS.sub(_REDACTED, visible).split())
        if len(words) <= MESSAGE_CHARACTERS:
            return words
        return words[: MESSAGE_CHARACTERS - 1] + "…"

    def header(self, value: str) -> str:
        """Return a header's value without the key: servers echo those as well."""
        return value if self._key is None else self._key.sub(_REDACTED, value)

    def body(self, body: bytes) -> bytes:
        """Return a failure's body as received, but for the key itself."""
        if self._raw and self._raw in body:
            return body.replace(self._raw, _REDACTED.encode())
        return body


def _visible(character: str) -> str:
    return " " if unicodedata.category(character) in _INVISIBLE else character
