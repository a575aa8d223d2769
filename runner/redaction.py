"""How is a key kept out of what is stored and shown?

Servers echo it, whole or masked, in errors and headers; so may the user's own code.

Floor: words. Knows nobody.
"""

import re
import unicodedata
from html.entities import html5

MESSAGE_CHARACTERS = 300
_READ_CHARACTERS = 8_000
"""More of a message is not looked at: a proxy's error page may be megabytes."""
_SHORT_KEY = 8
_REDACTED = "[redacted]"

_KEY_SHAPES = re.compile(
    r"""bearer[\s:]\s*[^\s'"<>]+        # an Authorization header read back
    | \b(?:sk|rk|gsk|xai)-[\w*.-]{6,}  # keys as OpenAI, Groq, xAI ... form them
    """,
    re.IGNORECASE | re.VERBOSE,
)
_MASKED = re.compile(r"""[^\s'"<>]*\*{3,}[^\s'"<>]*""")
"""As a provider shows a key: sk-abc****xyz."""
_INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Controls, escapes, bidi marks, lone surrogates: none belongs on a terminal."""


def is_secret(api_key: str) -> bool:
    """Whether it is one: keys of local servers ("x", "EMPTY") are words of their own.

    These are only taken out where they stand alone.
    """
    return len(api_key) >= _SHORT_KEY


class Redactor:
    """Takes one key, in any form, and what looks like one out of foreign words.

    An empty key: none is known.
    """

    def __init__(self, api_key: str = "") -> None:
        is_long = is_secret(api_key)
        source = _in_any_form(api_key) if is_long else _alone(api_key)
        self._key = re.compile(source) if api_key else None
        self._raw = re.compile(source.encode()) if is_long else None
        # No escape touches letters and digits: where these are not, no key is. A
        # search for them costs next to nothing in a body of megabytes.
        runs = re.findall("[A-Za-z0-9]+", api_key) if is_long else []
        self._sign = max(runs, key=len, default="")

    def line(self, text: str) -> str:
        """Return one line of at most 300 characters, safe to show and to store."""
        # Before it is cut, or half a key would be none.
        visible = "".join(map(_visible, self.text(text)[:_READ_CHARACTERS]))
        unnamed = _MASKED.sub(_REDACTED, _KEY_SHAPES.sub(_REDACTED, visible))
        words = " ".join(unnamed.split())
        if len(words) <= MESSAGE_CHARACTERS:
            return words
        return words[: MESSAGE_CHARACTERS - 1] + "…"

    def lines(self, text: str) -> str:
        """Return it with its line ends, without the key and what looks like one."""
        return _KEY_SHAPES.sub(_REDACTED, self.text(text))

    def text(self, text: str) -> str:
        """Return it without the key itself: servers echo it in headers as well."""
        if self._key is None or self._sign not in text:
            return text
        return self._key.sub(_REDACTED, text)

    def body(self, body: bytes) -> bytes:
        """Return a failure's body as received, but for the key itself."""
        if self._raw is None or self._sign.encode() not in body:
            return body
        return self._raw.sub(_REDACTED.encode(), body)


def _alone(key: str) -> str:
    return rf"(?<!\w){re.escape(key)}(?!\w)"


def _in_any_form(key: str) -> str:
    """A pattern for the key as JSON, HTML or a URL may write it."""
    return "".join(c if c.isalnum() else _any_form(c) for c in key)


def _any_form(character: str) -> str:
    r"""`+`: as it is, \u002b, %2B, &#43;, &#x2b;, &plus; and escaped twice."""
    code = ord(character)
    names = [n[:-1] for n, c in html5.items() if c == character and n.endswith(";")]
    entity = "|".join([f"#0{{0,6}}{code}", f"#[xX]0{{0,6}}(?i:{code:x})", *names])
    # Bounded, or a megabyte of backslashes would be gone through from each of them.
    json = rf"\\{{0,8}}{re.escape(character)}|\\{{1,8}}u(?i:{code:04x})"
    return rf"(?:{json}|%(?:25){{0,2}}(?i:{code:02x})|&(?:amp;){{0,2}}(?:{entity});)"


def _visible(character: str) -> str:
    return " " if unicodedata.category(character) in _INVISIBLE else character
