"""What happened to one item? Every attempt, its answer, why it was invalid.

Floor: faces. Reads an ItemStory only.
"""

from collections.abc import Iterator
from typing import TextIO

from runner.answers import read_answer
from runner.api_records import ItemStory
from runner.checkpoint.entries import Attempt
from runner.printable import printable, printable_lines
from runner.records import AttemptState
from runner.wording import count, moment, usd


def print_story(story: ItemStory, stream: TextIO) -> None:
    """The item, its attempts oldest first, and the bodies as they came."""
    stream.write("\n".join(story_lines(story)) + "\n")
    stream.flush()


def story_lines(story: ItemStory) -> Iterator[str]:
    """All lines, safe for a terminal."""
    where = f"line {story.line}" if story.line else "no longer in the items file"
    state = story.state or "pending"
    yield f"item {printable(story.item_id)} ({where}): {state}"
    if story.reason:
        yield f"  because {printable(story.reason)}"
    if not story.attempts:
        yield "  not asked yet"
    for attempt, body in story.attempts:
        yield f"attempt {attempt.attempt}: {', '.join(_attempt_words(attempt))}"
        if attempt.failure:
            yield f"  failed: {attempt.failure.kind}: {_failure_words(attempt)}"
        if attempt.is_answer:
            yield from _answer_lines(attempt, body)
        for line in _lines_of(body.decode("utf-8", errors="replace")):
            yield f"  {line}"


def _attempt_words(attempt: Attempt) -> Iterator[str]:
    yield _state_words(attempt)
    yield moment(attempt.started_unix_s)
    if attempt.status is not None:
        yield f"status {attempt.status}"
    if attempt.latency_s is not None:
        yield f"{attempt.latency_s:.2f} s"
    if attempt.usage:
        usage = attempt.usage
        yield f"{count(usage.input_tokens)} tokens in, {count(usage.output_tokens)} out"
    if attempt.is_answer:
        yield f"cost {usd(attempt.cost_usd)}"
    elif attempt.state is not AttemptState.NOT_SENT:
        yield f"cost at most {usd(attempt.worst_usd, is_bound=True)}"
    if attempt.model:
        yield f"model {printable(attempt.model)}"
    if attempt.request_id:
        yield f"request id {printable(attempt.request_id)}"


def _state_words(attempt: Attempt) -> str:
    match attempt.state:
        case AttemptState.OPEN:
            return "open (in flight, or unresolved: perhaps billed, no answer)"
        case AttemptState.NOT_SENT:
            return "never sent"
        case AttemptState.SETTLED:
            return "answered" if attempt.is_answer else "failed"


def _failure_words(attempt: Attempt) -> str:
    assert attempt.failure is not None
    words = printable(attempt.failure.message)
    return f"{words} (perhaps billed)" if attempt.failure.possibly_billed else words


def _answer_lines(attempt: Attempt, body: bytes) -> Iterator[str]:
    """The text of an answer, for whoever wants to read it; then come its bytes."""
    answer = read_answer(attempt.endpoint, body)
    if answer is None or not isinstance(answer.response, str):
        return
    for line in _lines_of(answer.response):
        yield f"  | {line}"
    yield "  as received:"


def _lines_of(text: str) -> Iterator[str]:
    if text:
        yield from printable_lines(text).rstrip("\n").split("\n")
