r"""`{{field}}` in a prompt: where the item's own values go.

Owns the syntax. Nothing is evaluated and a value is never expanded again.
`{{a.b}}` goes into an object, `{{a.0.b}}` into a list; `\{{` writes `{{`, and
`\\{{field}}` a backslash before a field (the escapes of Handlebars).

Floor: doors and rules.
"""

import re
from collections.abc import Callable
from typing import Any

from runner.errors import TaskError
from runner.records import JsonObject
from runner.task.plainjson import NotJson, compact, names, quoted

_LITERAL_HINT = r"for literal braces write \{{"
_TOKEN = re.compile(
    r"(?P<backslash>\\\\)(?=\{\{)"
    r"|(?P<literal>\\\{\{)"
    # of three braces the inner two count: {"a": {{{b}}}} is a field in braces
    r"|\{\{(?!\{)(?P<field>[^{}\n]*)\}\}"
    r"|(?P<open>\{\{(?!\{))"
)
_INDEX = re.compile(r"0|[1-9][0-9]{0,8}")

Part = Callable[[JsonObject], str]


class Template:
    """A text with fields, read once and rendered for each item."""

    def __init__(self, text: str, source: str) -> None:
        """Read `text`; `source` names it in messages ("--prompt", a file).

        Raises:
            TaskError: for `{{` without `}}`, or nothing between them.
        """
        self.fields: list[str] = []
        self._parts: list[Part] = []
        end = 0
        for token in _TOKEN.finditer(text):
            self._add_text(text[end : token.start()])
            self._add_token(token, f"{source}:{_line(text, token.start())}")
            end = token.end()
        self._add_text(text[end:])

    def render(self, fields: JsonObject) -> str:
        """The text for one item.

        Raises:
            TaskError: when the item has no such field.
        """
        return "".join([part(fields) for part in self._parts])

    def _add_token(self, token: re.Match[str], place: str) -> None:
        if token["backslash"]:
            self._add_text("\\")
        elif token["literal"]:
            self._add_text("{{")
        elif token["open"]:
            raise TaskError(f"{place}: '{{{{' is never closed", _LITERAL_HINT)
        else:
            name = token["field"].strip()
            if not name:
                raise TaskError(f"{place}: '{{{{}}}}' names no field", _LITERAL_HINT)
            self.fields.append(name)
            self._parts.append(lambda fields: _text_of(_lookup(name, fields)))

    def _add_text(self, text: str) -> None:
        if text:
            self._parts.append(lambda _fields: text)


def _line(text: str, position: int) -> int:
    return text.count("\n", 0, position) + 1


def _lookup(name: str, fields: JsonObject) -> Any:
    """The value at a path; a field whose own name has the dot in it wins."""
    if name in fields:
        return fields[name]
    value: Any = fields
    path: list[str] = []
    for step in name.split("."):
        value = _step(value, step, path)
        path.append(step)
    return value


def _step(value: Any, step: str, path: list[str]) -> Any:
    if isinstance(value, dict) and step in value:
        return value[step]
    if isinstance(value, list) and _INDEX.fullmatch(step) and int(step) < len(value):
        return value[int(step)]
    raise TaskError(_missing(value, step, ".".join(path)), _hint(step))


def _missing(value: Any, step: str, parent: str) -> str:
    wanted = quoted(step)
    if isinstance(value, dict):
        inside = f" in {quoted(parent)}" if parent else ""
        who = "it" if parent else "the item"
        return f"no field {wanted}{inside} ({who} has: {names(list(value))})"
    if isinstance(value, list):
        return f"{quoted(parent)} is a list of {len(value)}: it has no {wanted}"
    kind = "null" if value is None else type(value).__name__
    return f"no field {wanted} in {quoted(parent)}, which is {kind}"


def _hint(step: str) -> str | None:
    """Braces around something that is hardly a name were meant as braces."""
    looks_like_a_name = re.fullmatch(r"[\w \-/#$@]+", step)
    return None if looks_like_a_name else _LITERAL_HINT


def _text_of(value: Any) -> str:
    if isinstance(value, str):
        return value
    try:
        return compact(value)
    except NotJson as error:
        raise TaskError(f"a field cannot be written as JSON: {error}") from error
