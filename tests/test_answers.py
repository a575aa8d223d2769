"""Whatever bytes come back: an Answer, or None, and never an exception."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.answers import parse_body, read_answer, read_usage
from runner.records import Answer, Endpoint, Usage


def read(endpoint: Endpoint, body: dict[str, Any]) -> Answer:
    answer = read_answer(endpoint, json.dumps(body).encode())
    assert answer is not None
    return answer


def chat(message: dict[str, Any], **body: Any) -> Answer:
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    return read(Endpoint.CHAT, {"model": "gpt-x", "choices": [choice], **body})


def responses(*output: dict[str, Any], **body: Any) -> Answer:
    return read(Endpoint.RESPONSES, {"output": list(output), **body})


CALL = {
    "id": "call_1",
    "type": "function",
    "function": {"name": "f", "arguments": "{}"},
}


def test_a_chat_answer_is_its_text() -> None:
    answer = chat(
        {"role": "assistant", "content": "Hello"},
        usage={"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12},
    )
    assert answer.response == "Hello"
    assert answer.finish_reason == "stop"
    assert answer.model == "gpt-x"
    assert answer.usage == Usage(input_tokens=5, output_tokens=7)
    assert answer.body["choices"][0]["message"]["role"] == "assistant"


@pytest.mark.parametrize(
    ("message", "response", "refusal"),
    [
        ({"content": ""}, "", None),
        ({"content": None}, None, None),
        ({}, None, None),
        ({"content": None, "refusal": "I cannot"}, None, "I cannot"),
        ({"content": None, "tool_calls": [CALL]}, [CALL], None),
        ({"content": "", "tool_calls": [CALL]}, [CALL], None),
        ({"content": "text", "tool_calls": [CALL]}, "text", None),
        ({"content": "text", "tool_calls": None}, "text", None),
        (
            {"content": None, "function_call": {"name": "f", "arguments": "{}"}},
            [{"type": "function", "function": {"name": "f", "arguments": "{}"}}],
            None,
        ),
        (
            {"content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
            "ab",
            None,
        ),
        ({"content": [{"type": "image"}]}, None, None),
        ({"content": 7}, None, None),
    ],
)
def test_a_chat_message_in_every_form(
    message: dict[str, Any], response: Any, refusal: str | None
) -> None:
    answer = chat(message)
    assert (answer.response, answer.refusal) == (response, refusal)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"choices": None},
        {"choices": []},
        {"choices": {}},
        {"choices": [None]},
        {"choices": [{}]},
        {"choices": [{"message": None}]},
        {"choices": [{"message": "text"}]},
    ],
)
def test_json_without_a_message_is_no_chat_answer(body: dict[str, Any]) -> None:
    assert read_answer(Endpoint.CHAT, json.dumps(body).encode()) is None


@pytest.mark.parametrize(
    ("endpoint", "body"),
    [
        (Endpoint.CHAT, {"choices": []}),
        (Endpoint.CHAT, {"choices": [{"message": None}]}),
        (Endpoint.RESPONSES, {"output": None}),
        (Endpoint.EMBEDDINGS, {"data": []}),
    ],
)
def test_what_an_answer_without_any_content_used_is_counted(
    endpoint: Endpoint, body: dict[str, Any]
) -> None:
    """It is billed all the same: as one of unknown cost it held its worst case."""
    bill = {"prompt_tokens": 5, "completion_tokens": 7}
    answer = read(endpoint, {"model": "gpt-x", **body, "usage": bill})
    assert answer.usage == Usage(input_tokens=5, output_tokens=7)
    assert (answer.response, answer.model) == (None, "gpt-x")


def text(*texts: str) -> dict[str, Any]:
    parts = [{"type": "output_text", "text": text} for text in texts]
    return {"type": "message", "role": "assistant", "content": parts}


@pytest.mark.parametrize(
    ("output", "response", "refusal"),
    [
        ([], None, None),
        ([text("a")], "a", None),
        (
            [{"type": "reasoning", "summary": []}, text("a", "b"), text("c")],
            "abc",
            None,
        ),
        (
            [{"type": "message", "content": [{"type": "refusal", "refusal": "no"}]}],
            None,
            "no",
        ),
        (
            [{"type": "function_call", "name": "f"}],
            [{"type": "function_call", "name": "f"}],
            None,
        ),
        ([text("a"), {"type": "function_call", "name": "f"}], "a", None),
        ([None, 7, {"type": "message", "content": "?"}], None, None),
    ],
)
def test_a_responses_answer_in_every_form(
    output: list[Any], response: Any, refusal: str | None
) -> None:
    answer = responses(*output)
    assert (answer.response, answer.refusal) == (response, refusal)


@pytest.mark.parametrize(
    ("status", "reason", "expected"),
    [
        ("completed", None, "stop"),
        ("incomplete", "max_output_tokens", "length"),
        ("incomplete", "content_filter", "content_filter"),
        ("incomplete", "steered", "steered"),
        ("incomplete", None, "incomplete"),
        ("failed", None, "failed"),
        (None, None, None),
    ],
)
def test_responses_finish_in_chats_words(
    status: str | None, reason: str | None, expected: str | None
) -> None:
    details = {"reason": reason} if reason else None
    answer = responses(text("a"), status=status, incomplete_details=details)
    assert answer.finish_reason == expected


def test_one_embedding_is_a_vector_and_several_are_a_list_in_order() -> None:
    first = {"index": 0, "embedding": [0.5, 1]}
    second = {"index": 1, "embedding": [0.25, 2]}
    assert read(Endpoint.EMBEDDINGS, {"data": [first]}).response == [0.5, 1]
    both = read(Endpoint.EMBEDDINGS, {"data": [second, first]})
    assert both.response == [[0.5, 1], [0.25, 2]]
    packed = read(Endpoint.EMBEDDINGS, {"data": [{"embedding": "AACAPw=="}]})
    assert packed.response == "AACAPw=="


@pytest.mark.parametrize(
    "data",
    [
        None,
        [],
        [None],
        [{}],
        [{"embedding": []}],
        [{"embedding": [None]}],
        [{"embedding": ["1"]}],
        [{"embedding": [float("nan")]}],
        [{"embedding": [10**400]}],
    ],
)
def test_what_is_no_vector_is_no_embedding(data: Any) -> None:
    assert read_answer(Endpoint.EMBEDDINGS, json.dumps({"data": data}).encode()) is None


def test_any_other_endpoint_gives_the_whole_body() -> None:
    body = {"results": [{"flagged": False}], "model": "mod"}
    answer = read(Endpoint.OTHER, body)
    assert (answer.response, answer.model, answer.usage) == (body, "mod", None)


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        (None, None),
        ({}, None),
        ([1], None),
        ({"prompt_tokens": 5}, None),
        ({"prompt_tokens": 5, "total_tokens": 5}, Usage(input_tokens=5)),
        (
            {"prompt_tokens": 5, "total_tokens": 9},
            Usage(input_tokens=5, output_tokens=4),
        ),
        (
            {"prompt_tokens": 5.0, "completion_tokens": 2.0},
            Usage(input_tokens=5, output_tokens=2),
        ),
        (
            {
                "prompt_tokens": 50,
                "completion_tokens": 20,
                "prompt_tokens_details": {"cached_tokens": 30},
                "completion_tokens_details": {"reasoning_tokens": 15},
            },
            Usage(
                input_tokens=50,
                cached_input_tokens=30,
                output_tokens=20,
                reasoning_tokens=15,
            ),
        ),
        (
            {
                "input_tokens": 50,
                "output_tokens": 20,
                "input_tokens_details": {"cached_tokens": 30},
                "output_tokens_details": {"reasoning_tokens": 15},
            },
            Usage(
                input_tokens=50,
                cached_input_tokens=30,
                output_tokens=20,
                reasoning_tokens=15,
            ),
        ),
        # More cached than asked: all of it was cached.
        (
            {
                "prompt_tokens": 5,
                "total_tokens": 5,
                "prompt_tokens_details": {"cached_tokens": 9},
            },
            Usage(input_tokens=5, cached_input_tokens=5),
        ),
        # Details may be null, or hold nulls.
        (
            {"prompt_tokens": 5, "total_tokens": 5, "prompt_tokens_details": None},
            Usage(input_tokens=5),
        ),
        (
            {
                "prompt_tokens": 5,
                "total_tokens": 5,
                "prompt_tokens_details": {"cached_tokens": None},
            },
            Usage(input_tokens=5),
        ),
        # xAI counts reasoning beside the completion; it is billed all the same.
        (
            {
                "prompt_tokens": 10,
                "completion_tokens": 5,
                "total_tokens": 115,
                "completion_tokens_details": {"reasoning_tokens": 100},
            },
            Usage(input_tokens=10, output_tokens=105, reasoning_tokens=100),
        ),
        # Gemini tells of its thinking by the total alone.
        (
            {"prompt_tokens": 9, "completion_tokens": 1, "total_tokens": 103},
            Usage(input_tokens=9, output_tokens=94, reasoning_tokens=93),
        ),
        # A total that is too small tells of nothing.
        (
            {"prompt_tokens": 9, "completion_tokens": 1, "total_tokens": 3},
            Usage(input_tokens=9, output_tokens=1),
        ),
        ({"prompt_tokens": -1}, None),
        ({"prompt_tokens": 1.5}, None),
        ({"prompt_tokens": True}, None),
        ({"prompt_tokens": "5"}, None),
        ({"prompt_tokens": float("nan")}, None),
        ({"prompt_tokens": float("inf")}, None),
        ({"prompt_tokens": 10**30}, None),
        ({"prompt_tokens": 5, "completion_tokens": "many"}, None),
        (
            {
                "prompt_tokens": 5,
                "total_tokens": 5,
                "prompt_tokens_details": {"cached_tokens": -1},
            },
            None,
        ),
    ],
)
def test_usage_is_counts_or_unknown(usage: Any, expected: Usage | None) -> None:
    assert read_usage({"usage": usage}) == expected


def test_half_a_surrogate_pair_in_an_answer_is_kept() -> None:
    escaped = b'{"choices":[{"message":{"content":"a\\ud800b"}}]}'
    raw = b'{"choices":[{"message":{"content":"a\xed\xa0\x80b"}}]}'
    for body in (escaped, raw):
        answer = read_answer(Endpoint.CHAT, body)
        assert answer is not None
        assert answer.response == "a\ud800b"


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"null", b"7", b'"x"', b"{", b"\xff{}", b"[" * 200_000, b"<html>"],
)
def test_what_is_no_json_object_is_none(body: bytes) -> None:
    assert parse_body(body) is None


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf", b"\r\n "])
def test_one_byte_that_is_no_utf8_costs_a_character_and_not_the_answer(
    mark: bytes,
) -> None:
    """It would be paid for six times: the server sends it each time."""
    body = mark + b'{"choices": [{"message": {"content": "caf\xe9 noir"}}]}'
    answer = read_answer(Endpoint.CHAT, body)
    assert answer is not None
    assert answer.response == "caf\ufffd noir"


def test_a_long_picture_is_seen_to_be_no_answer_without_reading_it_all() -> None:
    """Replacing fifty million bytes takes a second and a hundred megabytes."""

    class Picture(bytes):
        def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
            assert errors != "replace"
            return super().decode(encoding, errors)

    assert parse_body(Picture(b"\xff\xd8\xff\xe0")) is None


def test_a_byte_order_mark_and_nan_do_not_lose_an_answer() -> None:
    parsed = parse_body(b'\xef\xbb\xbf{"a": 1, "b": NaN}')
    assert parsed is not None
    assert parsed["a"] == 1


def test_a_number_too_long_to_read_is_no_exception() -> None:
    assert parse_body(b'{"a": ' + b"9" * 5000 + b"}") is None


WHOLE = json.dumps(
    {
        "model": "m",
        "choices": [{"message": {"content": "ü😀"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 5, "completion_tokens": 7},
    },
    ensure_ascii=False,
).encode()


@pytest.mark.parametrize("endpoint", Endpoint)
def test_an_answer_cut_at_any_byte_is_none(endpoint: Endpoint) -> None:
    for end in range(len(WHOLE)):
        assert read_answer(endpoint, WHOLE[:end]) is None


NAMES = st.sampled_from(
    [
        "choices",
        "message",
        "content",
        "text",
        "tool_calls",
        "output",
        "type",
        "data",
        "embedding",
        "index",
        "usage",
        "prompt_tokens",
        "prompt_tokens_details",
        "cached_tokens",
        "total_tokens",
        "status",
        "incomplete_details",
        "model",
    ]
)
NUMBERS = st.integers() | st.floats()
ALMOST = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.sampled_from(["", "text", "\ud800"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner),
    max_leaves=12,
)


@given(endpoint=st.sampled_from(Endpoint), body=st.dictionaries(NAMES, ALMOST))
def test_any_json_is_an_answer_or_none(endpoint: Endpoint, body: Any) -> None:
    answer = read_answer(endpoint, json.dumps(body).encode())
    assert answer is None or isinstance(answer.body, dict)
    if answer and answer.usage:
        assert 0 <= answer.usage.cached_input_tokens <= answer.usage.input_tokens
        assert 0 <= answer.usage.reasoning_tokens <= answer.usage.output_tokens


@given(endpoint=st.sampled_from(Endpoint), body=st.binary())
def test_any_bytes_are_an_answer_or_none(endpoint: Endpoint, body: bytes) -> None:
    answer = read_answer(endpoint, body)
    assert answer is None or isinstance(answer, Answer)


def test_a_type_that_is_none_is_no_tool_call() -> None:
    """A list cannot even be looked for in a set."""
    body = b'{"output": [{"type": ["x"]}]}'
    answer = read_answer(Endpoint.RESPONSES, body)
    assert answer is not None
    assert answer.response is None
