"""Where a question comes from: a template, a task file, or a Batch API line.

Owns the way from an item to its request; the body's shape is the business of
`bodies`. Errors here name no item: `loading` puts its place before them.

Floor: doors and rules.
"""

import re
from dataclasses import dataclass
from typing import Any, Protocol

from runner.errors import TaskError
from runner.records import PATHS, Endpoint, Item, JsonObject, Request
from runner.task.bodies import BodyShape, Prompt, checked_prompt
from runner.task.measure import input_count, measured
from runner.task.params import check_possible, checked_params
from runner.task.plainjson import own_copy, quoted
from runner.task.taskfile import TaskFile
from runner.task.template import Template

_ENDPOINTS = {path: endpoint for endpoint, path in PATHS.items()}
_URL = re.compile(r"(?:/v1)?(?P<path>(?:/[A-Za-z0-9_-][A-Za-z0-9_.-]*)+)")


class Questions(Protocol):
    """What the three sources can be asked."""

    def request_for(self, item: Item) -> Request:
        """The request, or TaskError."""
        ...

    def endpoint_of(self, item: Item) -> Endpoint:
        """Which shape its answer has."""
        ...

    def input_count(self, item: Item) -> int:
        """How many vectors it asks for; embeddings only."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateQuestions:
    """The prompt is a text with fields."""

    prompt: Template
    system: Template | None
    shape: BodyShape

    def request_for(self, item: Item) -> Request:
        """Render prompt and system text with the item's fields."""
        system = self.system.render(item.fields) if self.system else None
        return self.shape.request(self.prompt.render(item.fields), system, {})

    def endpoint_of(self, _item: Item) -> Endpoint:
        """The same for all items."""
        return self.shape.endpoint

    def input_count(self, _item: Item) -> int:
        """A rendered prompt is one text."""
        return 1


@dataclass(frozen=True, slots=True, kw_only=True)
class FileQuestions:
    """The prompt is what the user's `get_prompt` returns."""

    file: TaskFile
    system: Template | None
    shape: BodyShape

    def request_for(self, item: Item) -> Request:
        """Ask `get_prompt`, and `get_params` where there is one."""
        system = self.system.render(item.fields) if self.system else None
        return self.shape.request(self._prompt(item), system, self._params(item))

    def endpoint_of(self, _item: Item) -> Endpoint:
        """The same for all items."""
        return self.shape.endpoint

    def input_count(self, item: Item) -> int:
        """Asks `get_prompt` again: only it knows how many texts it returns."""
        prompt = self._prompt(item)
        return len(prompt) if isinstance(prompt, list) else 1

    def _prompt(self, item: Item) -> Prompt:
        prompt = self.file.get_prompt(own_copy(item.fields))
        return checked_prompt(prompt, self.shape.endpoint, "get_prompt")

    def _params(self, item: Item) -> JsonObject:
        if self.file.get_params is None:
            return {}
        return checked_params(self.file.get_params(own_copy(item.fields)), "get_params")


class LineQuestions:
    """The item is a Batch API line: its `body` is sent as it is.

    Source: API reference, "The request input object" of the Batch API.
    """

    def request_for(self, item: Item) -> Request:
        """The body the line carries."""
        endpoint, path = _target(item.fields)
        body = _body(item.fields)
        check_possible(body, "body")
        if endpoint is not Endpoint.OTHER and not body.get("model"):
            raise TaskError('the body names no "model"')
        if not isinstance(body.get("model", ""), str):
            raise TaskError(f'"model" is {quoted(body["model"])}, not a name')
        return measured(endpoint, path, body)

    def endpoint_of(self, item: Item) -> Endpoint:
        """By the line's `url`."""
        return _target(item.fields)[0]

    def input_count(self, item: Item) -> int:
        """By the body's `input`."""
        return input_count(_body(item.fields))


def _target(fields: JsonObject) -> tuple[Endpoint, str]:
    method = fields.get("method")
    if method != "POST":
        raise TaskError(f'"method" is {quoted(method)}, not "POST"')
    url = fields.get("url")
    match = _URL.fullmatch(url) if isinstance(url, str) else None
    if match is None:
        raise TaskError(
            f'"url" is {quoted(url)}, not a path of the API',
            'write "url": "/v1/chat/completions"',
        )
    path = match["path"]
    return _ENDPOINTS.get(path, Endpoint.OTHER), path


def _body(fields: JsonObject) -> JsonObject:
    body: Any = fields.get("body")
    if not isinstance(body, dict):
        raise TaskError(f'"body" is {quoted(body)}, not an object')
    return body
