"""Is this item an OpenAI Batch-API request, and if not quite, what is amiss?

Such a line carries its own request and needs no prompt. The shape is that of
"The request input object" in OpenAI's Batch API reference; Azure's urls have no
`/v1` (learn.microsoft.com, "Getting started with Azure OpenAI global batch
deployments").

Floor: doors and rules. Knows records.
"""

import json
from typing import Any
from urllib.parse import urlsplit

from runner.itemfile.text import shown
from runner.records import PATHS, JsonObject

_BARE_PATHS = (*PATHS.values(), "/completions")
_FIELDS = ("custom_id", "method", "url", "body")
_FEWEST = 2
"""Fields that make a line look like one."""


def is_batch_line(fields: JsonObject) -> bool:
    """True for `custom_id` (a string), `POST`, a `/v1/` url and a `body` object."""
    if fields.get("method") != "POST":
        return False
    return (
        isinstance(fields.get("custom_id"), str)
        and _is_path(fields.get("url"))
        and isinstance(fields.get("body"), dict)
    )


def faults_of(fields: JsonObject) -> list[str]:
    """What keeps a line that looks like a Batch-API request from being one."""
    if sum(field in fields for field in _FIELDS) < _FEWEST:
        return []
    is_right = {
        "custom_id": isinstance(fields.get("custom_id"), str),
        "method": fields.get("method") == "POST",
        "url": _is_path(fields.get("url")),
        "body": isinstance(fields.get("body"), dict),
    }
    return [_fault(field, fields) for field, is_well in is_right.items() if not is_well]


def _is_path(url: Any) -> bool:
    return isinstance(url, str) and (url.startswith("/v1/") or url in _BARE_PATHS)


def _fault(field: str, fields: JsonObject) -> str:
    if field not in fields:
        return f'"{field}" is missing'
    wanted = {
        "custom_id": "not a text",
        "method": 'not "POST"',
        "url": f'not "{_meant(fields["url"])}" or the like',
        "body": "not an object",
    }[field]
    return f'"{field}" is {shown(json.dumps(fields[field]))}, {wanted}'


def _meant(url: Any) -> str:
    """The path that a whole address ends in; else that of chat."""
    try:
        path = f"/{urlsplit(str(url)).path}".rstrip("/")
    except ValueError:
        path = ""
    ends = (bare for bare in _BARE_PATHS if path.endswith(bare))
    return f"/v1{next(ends, _BARE_PATHS[0])}"
