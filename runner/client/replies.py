"""What has come back? A status and bytes: an answer, or which failure.

Floor: doors and rules. Knows failures, error shapes and answers.
"""

from runner.answers import parse_body
from runner.client import failures
from runner.client.error_shapes import ErrorBody, error_in_answer, read_error
from runner.client.flights import Flight
from runner.records import Failure, FailureKind

_SUCCESS = range(200, 300)
_ELSEWHERE = range(300, 400)


def failure_in(status: int, body: bytes, flight: Flight) -> Failure | None:
    """Return why a whole reply is no answer; None when it is one."""
    if status not in _SUCCESS:
        goes_on = _redirect(flight) if status in _ELSEWHERE else None
        return _refused(status, goes_on or read_error(body), flight)
    flight.parsed = parsed = parse_body(body)
    error = error_in_answer(parsed)
    if error is not None:
        return _refused(status, error, flight)
    if parsed is not None:
        return None
    if flight.cut_by is not None:
        # A body without a length ends where its connection ends: we ended it.
        return failures.cut_by_us(flight)
    return _no_json(status, body, flight)


def _no_json(status: int, body: bytes, flight: Flight) -> Failure:
    """A page or a stream as the first thing of all: nobody there speaks the API."""
    what = dict(flight.headers).get("content-type", "of unknown type")
    message = f"HTTP {status} and {len(body)} bytes that are no JSON object ({what})"
    kind = FailureKind.GARBLED
    if what.startswith("text/") and not flight.has_answers():
        kind = FailureKind.NOT_FOUND
        message = f"no OpenAI-compatible API answers there: {message}"
    return Failure(kind=kind, message=message, status=status, possibly_billed=True)


def failure_in_part(
    error: BaseException, body: bytes, flight: Flight
) -> Failure | None:
    """Return why a reply that broke off is no answer; None when it is one.

    Without a length a pause looks like the end, and the other way round. A whole JSON
    object has nothing more to say, and was paid for.
    """
    if flight.status is None or _has_length(flight) or parse_body(body) is None:
        return failures.of_break(error, flight)
    return failure_in(flight.status, body, flight)


def _has_length(flight: Flight) -> bool:
    """Whether the server said how long its reply is; two lengths are none."""
    said = [value for name, value in flight.headers if name == "content-length"]
    lengths = {length.strip() for length in ",".join(said).split(",")}
    return len(lengths) == 1 and lengths.pop().isdecimal()


def _redirect(flight: Flight) -> ErrorBody | None:
    """Say where a redirect goes, without its query: that may hold anything."""
    location = dict(flight.headers).get("location")
    if location is None:
        return None
    return ErrorBody(message=f"to {location.partition('?')[0]}")


def _refused(status: int, error: ErrorBody, flight: Flight) -> Failure:
    rule = failures.of_reply(status, error, has_answers=flight.has_answers())
    code = error.code or error.type
    said = [f"HTTP {status}", *([code] if code else [])]
    if error.status not in (None, status):
        said.insert(1, f"{error.status} inside")
    return Failure(
        kind=rule.kind,
        message=f"{rule.says} ({', '.join(said)}): {error.message or 'no message'}",
        status=status,
        code=code,
        possibly_billed=rule.possibly_billed,
    )
