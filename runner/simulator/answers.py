"""What does the model say?

Owns the content of one answer: text, document, choice or tool call, good or of
one of the bad kinds, and how many tokens it took.

Floor: simulator. Knows asked, offered_choices, phrases, schema_answers, scenario.
"""

import dataclasses
import random
from dataclasses import dataclass
from typing import Any

from runner.simulator.asked import CHAT, Call, tokens_in
from runner.simulator.offered_choices import offered_choices
from runner.simulator.phrases import REFUSAL, sentences
from runner.simulator.prices import is_reasoning
from runner.simulator.scenario import Scenario
from runner.simulator.schema_answers import broken_document, document_for
from runner.simulator.wire import JsonObject, compact

GOOD = "good"
INVALID_TEXT = "INVALID ANSWER"
_REASONING_STEP = 64
"""Reasoning tokens come in multiples of this, as real usage shows them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """A call of one of the request's functions."""

    name: str
    arguments: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """One answer's content."""

    text: str | None = None
    refusal: str | None = None
    tool: Tool | None = None
    finish: str = "stop"
    """As chat completions name it: stop, length, content_filter, tool_calls."""
    reasoning_tokens: int = 0

    @property
    def output_tokens(self) -> int:
        """Everything generated, reasoning included."""
        written = (self.text or "") + (self.refusal or "")
        if self.tool:
            written += self.tool.name + self.tool.arguments
        return self.reasoning_tokens + tokens_in(written)


_WITHHELD = {
    "refusal": Said(refusal=REFUSAL),
    "empty": Said(),
    "content_filter": Said(text="", finish="content_filter"),
}


def say(call: Call, scenario: Scenario, kind: str, random_: random.Random) -> Said:
    """One answer of that kind (GOOD or one of KINDS)."""
    said = _content(call, scenario, kind, random_)
    if is_reasoning(call.model):
        steps = random_.uniform(0.5, 1.5) * scenario.reasoning / _REASONING_STEP
        tokens = round(steps) * _REASONING_STEP
        said = dataclasses.replace(said, reasoning_tokens=tokens)
    return _within(said, call.output_limit)


def _content(call: Call, scenario: Scenario, kind: str, random_: random.Random) -> Said:
    if kind in _WITHHELD:
        return _WITHHELD[kind]
    if kind == "invalid":
        return Said(text=_invalid(call, random_))
    tool = _tool(call, scenario, random_)
    if tool:
        return Said(tool=tool, finish="tool_calls")
    text = _good(call, scenario, random_)
    if kind == "surrogate":
        return Said(text=text + " \ud83d")
    if kind == "truncated":
        return Said(text=text[: len(text) // 2], finish="length")
    return Said(text=text)


def _good(call: Call, scenario: Scenario, random_: random.Random) -> str:
    if scenario.answer:
        return call.last_user if scenario.answer == "echo" else scenario.answer
    wanted = _response_format(call)
    if wanted.get("type") == "json_schema":
        return compact(document_for(_schema(wanted), random_))
    if wanted.get("type") == "json_object":
        return compact({"answer": sentences(scenario.words, random_)})
    choices = scenario.choices or offered_choices(call.text)
    if choices:
        return random_.choice(choices)
    return sentences(scenario.words, random_)


def _invalid(call: Call, random_: random.Random) -> str:
    """Neither a document of the schema nor one of the choices."""
    wanted = _response_format(call)
    if wanted.get("type") == "json_schema" and random_.random() < 0.5:  # noqa: PLR2004 (a coin)
        document = broken_document(_schema(wanted), random_)
        if document is not None:
            return compact(document)
    return f"{INVALID_TEXT}: {sentences(4, random_)}"


def _response_format(call: Call) -> JsonObject:
    if call.endpoint == CHAT:
        wanted = call.body.get("response_format")
    else:
        text = call.body.get("text")
        wanted = text.get("format") if isinstance(text, dict) else None
    return wanted if isinstance(wanted, dict) else {}


def _schema(wanted: JsonObject) -> Any:
    """Chat completions nest the schema one level deeper than responses do."""
    inner = wanted.get("json_schema", wanted)
    return inner.get("schema", True) if isinstance(inner, dict) else True


def _tool(call: Call, scenario: Scenario, random_: random.Random) -> Tool | None:
    functions = [
        tool.get("function", tool)
        for tool in call.body.get("tools") or ()
        if isinstance(tool, dict) and tool.get("type") == "function"
    ]
    chosen = call.body.get("tool_choice", "auto")
    if not functions or chosen == "none":
        return None
    if chosen == "auto" and random_.random() >= scenario.tool_calls:
        return None
    named = chosen.get("function", chosen) if isinstance(chosen, dict) else {}
    matching = [f for f in functions if f.get("name") == named.get("name")]
    function = random_.choice(matching or functions)
    arguments = document_for(function.get("parameters", {"type": "object"}), random_)
    return Tool(name=str(function.get("name")), arguments=compact(arguments))


def _within(said: Said, limit: int | None) -> Said:
    """Cut at the request's own output limit: reasoning first, then the text."""
    if limit is None or said.output_tokens <= limit:
        return said
    reasoning = min(said.reasoning_tokens, limit)
    text = (said.text or said.refusal or "")[: 4 * (limit - reasoning)]
    return Said(text=text, finish="length", reasoning_tokens=reasoning)
