"""How does a line of the processed and the failed file look?

The item's own bytes with the result set in before the last brace: nothing is
parsed and written anew, so key order, number spelling and escapes stay the
user's. Must not know files.

Floor: the run. Knows itemfile, records.
"""

import json

from runner.checkpoint.entries import Outcome
from runner.itemfile import ItemReader, RejectedLine
from runner.records import JsonObject, JsonScalar, Usage


class ItemLines:
    """Items with their results: `--format jsonl`."""

    def __init__(self, items: ItemReader, *, result_key: str, items_name: str) -> None:
        self._items = items
        self._key = json.dumps(result_key).encode("ascii")
        self._items_name = items_name

    def answered(self, row: int, outcome: Outcome, result: bytes) -> bytes:  # noqa: ARG002 - the result says it all
        """The item with its result; raises RunChanged if the item did."""
        return with_result(self._items.raw(row), self._key, result) + b"\n"

    failed = answered

    def rejected(self, rejected: RejectedLine) -> bytes:
        """A result without an item: the line could not be read as one."""
        result = rejection(rejected, self._items_name)
        return with_result(b"{}", self._key, ascii_json(result)) + b"\n"


def with_result(raw: bytes, key: bytes, result: bytes) -> bytes:
    """The JSON object `raw` with one more key at its end; all else verbatim."""
    end = raw.rindex(b"}")  # only white space can follow it
    before = raw[:end]
    is_empty = before.endswith(b"{") or before.rstrip(b" \t\r").endswith(b"{")
    comma = b"" if is_empty else b","
    return b"%b%b%b:%b%b" % (before, comma, key, result, raw[end:])


def rejection(rejected: RejectedLine, items_name: str) -> JsonObject:
    """The result of a line that is no item."""
    return {
        "response": None,
        "valid": False,
        "requests": 0,
        "reason": f"{items_name}:{rejected.line}: {rejected.what}",
        "hint": rejected.hint,
        "line": rejected.line,
        "model": None,
        "finish_reason": None,
        "usage": Usage().to_json(),
        "cost_usd": "0",
        "request_id": None,
    }


def ascii_json(value: JsonObject | JsonScalar | None) -> bytes:
    """The shortest JSON, on one line."""
    return json.dumps(value, separators=(",", ":")).encode("ascii")
