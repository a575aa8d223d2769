"""How does the same run look as output of OpenAI's Batch API?

Shape: "The request output object" in OpenAI's Batch API reference; errors go to a
file of their own, as its error file does. The body is the reply as received.
Must not know files.

Floor: the run. Knows checkpoint, answers.
"""

import json
import math
from typing import Any, NoReturn

from runner.answers import parse_body
from runner.checkpoint.entries import Attempt, Outcome
from runner.checkpoint.reading import RunReader
from runner.errors import StateDamaged
from runner.finalizer.itemlines import ascii_json
from runner.itemfile import ItemReader, RejectedLine
from runner.records import JsonScalar


class BatchLines:
    """OpenAI Batch-API output lines: `--format batch`."""

    def __init__(
        self,
        reader: RunReader,
        *,
        ids_from: ItemReader | None,
        run_id: str,
        items_name: str,
    ) -> None:
        """Prepare to write lines.

        Args:
            reader: The run's replies.
            ids_from: Where each `custom_id` has to be read, because the run's ids
                are those of another field.
            run_id: Part of each line's own id.
            items_name: The items file, for messages.
        """
        self._reader = reader
        self._ids_from = ids_from
        self._run_id = run_id
        self._items_name = items_name

    def answered(self, row: int, outcome: Outcome, result: bytes) -> bytes:  # noqa: ARG002 - the reply says it all
        """The reply that became the response; StateDamaged if it is missing."""
        if outcome.answer is None:
            raise StateDamaged(f"item {outcome.number} was judged without a reply")
        slot, number = outcome.answer
        attempt, body = self._reader.attempt(slot, outcome.number, number)
        return self._line(row, outcome, _response(attempt, body), b"null")

    def failed(self, row: int, outcome: Outcome, result: bytes) -> bytes:  # noqa: ARG002 - the outcome says why
        """Why the item has no answer, and the last refusal where there is one."""
        attempts = [
            entry
            for entry in self._reader.attempts(outcome.number)
            if entry[0].failure is not None
        ]
        code, response = "failed", b"null"
        if attempts:
            attempt, body = attempts[-1]
            assert attempt.failure is not None
            code = attempt.failure.code or str(attempt.failure.kind)
            response = _refusal(attempt, body)
        error = {"code": code, "message": outcome.reason or "no answer"}
        return self._line(row, outcome, response, ascii_json(error))

    def rejected(self, rejected: RejectedLine) -> bytes:
        """A line that could not be read as a request has no `custom_id`."""
        message = f"{self._items_name}:{rejected.line}: {rejected.what}"
        return _joined(
            ascii_json(f"batch_req_{self._run_id}_line_{rejected.line}"),
            b"null",
            b"null",
            ascii_json({"code": "invalid_line", "message": message}),
        )

    def _line(self, row: int, outcome: Outcome, response: bytes, error: bytes) -> bytes:
        line_id = f"batch_req_{self._run_id}_{outcome.number}"
        custom_id = ascii_json(_as_text(self._custom_id(row, outcome)))
        return _joined(ascii_json(line_id), custom_id, response, error)

    def _custom_id(self, row: int, outcome: Outcome) -> JsonScalar:
        if self._ids_from is None:
            return outcome.item_id
        custom_id: JsonScalar = self._ids_from.read(row).fields["custom_id"]
        return custom_id


def verbatim(body: bytes) -> bytes:
    """A reply's body as one line of strict JSON, its tokens untouched.

    A line end can only stand between tokens (JSON escapes it inside strings), so
    it becomes a space. What is no strict UTF-8 JSON is written anew: lone
    surrogates as escapes, NaN and Infinity as null, anything else as a string.
    """
    try:
        json.loads(body.decode(), parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        return _rewritten(body)
    return body.strip().replace(b"\r", b" ").replace(b"\n", b" ")


def _rewritten(body: bytes) -> bytes:
    parsed = parse_body(body)
    if parsed is None:
        return ascii_json(body.decode("utf-8", "replace"))
    return ascii_json(_finite(parsed))


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _finite(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_finite(inner) for inner in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)


def _refusal(attempt: Attempt, body: bytes) -> bytes:
    """The server's own words; null when no response line arrived."""
    return b"null" if attempt.status is None else _response(attempt, body)


def _response(attempt: Attempt, body: bytes) -> bytes:
    return b'{"status_code":%b,"request_id":%b,"body":%b}' % (
        ascii_json(attempt.status),
        ascii_json(attempt.request_id),
        verbatim(body),
    )


def _joined(line_id: bytes, custom_id: bytes, response: bytes, error: bytes) -> bytes:
    return b'{"id":%b,"custom_id":%b,"response":%b,"error":%b}\n' % (
        line_id,
        custom_id,
        response,
        error,
    )


def _as_text(item_id: JsonScalar) -> str:
    return item_id if isinstance(item_id, str) else json.dumps(item_id)
