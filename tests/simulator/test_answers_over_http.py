"""What the official SDK makes of the answers."""

import base64
import struct
from collections.abc import Iterator
from typing import Any

import openai
import pytest
import requests
from simulator_bench import Bench


@pytest.fixture
def sdk(bench: Bench) -> Iterator[openai.OpenAI]:
    base_url = bench.simulator.base_url
    with openai.OpenAI(base_url=base_url, api_key="sk-x", max_retries=0) as client:
        yield client


def test_a_chat_answer_is_what_the_sdk_expects(
    bench: Bench, sdk: openai.OpenAI
) -> None:
    bench.set("cached=1,cached_min=16")
    answer = sdk.chat.completions.create(
        model="gpt-5-mini", messages=[{"role": "user", "content": "lamp " * 40}]
    )

    assert answer.choices[0].message.content
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage is not None
    assert answer.usage.prompt_tokens == 50
    assert answer.usage.prompt_tokens_details is not None
    assert answer.usage.prompt_tokens_details.cached_tokens == 48
    assert answer.usage.completion_tokens_details is not None
    assert answer.usage.completion_tokens_details.reasoning_tokens
    assert answer._request_id == bench.last_line()["request_id"]


def test_a_response_is_what_the_sdk_expects(bench: Bench, sdk: openai.OpenAI) -> None:
    bench.set("answer=echo")
    answer = sdk.responses.create(
        model="gpt-5-mini",
        instructions="Repeat.",
        input=[{"role": "user", "content": "the lamp"}],
    )

    assert answer.output_text == "the lamp"
    assert answer.status == "completed"
    assert [item.type for item in answer.output] == ["reasoning", "message"]
    assert answer.usage is not None
    assert answer.usage.output_tokens_details.reasoning_tokens > 0
    assert answer.usage.total_tokens == (
        answer.usage.input_tokens + answer.usage.output_tokens
    )


@pytest.mark.parametrize(
    ("kind", "reason"),
    [("truncated", "max_output_tokens"), ("content_filter", "content_filter")],
)
def test_an_incomplete_response_says_why(
    bench: Bench, sdk: openai.OpenAI, kind: str, reason: str
) -> None:
    bench.set(f"{kind}=1")
    answer = sdk.responses.create(model="gpt-4o", input="hello")

    assert answer.status == "incomplete"
    assert answer.incomplete_details is not None
    assert answer.incomplete_details.reason == reason


def test_a_refused_response_holds_a_refusal(bench: Bench, sdk: openai.OpenAI) -> None:
    bench.set("refusal=1")
    answer = sdk.responses.create(model="gpt-4o", input="hello")

    assert answer.output_text == ""
    assert answer.output[0].type == "message"
    assert answer.output[0].content[0].type == "refusal"


def test_a_response_can_call_a_tool_and_obey_a_schema(
    bench: Bench, sdk: openai.OpenAI
) -> None:
    schema: dict[str, object] = {
        "type": "object",
        "properties": {"n": {"const": 7}},
        "required": ["n"],
    }
    answer = sdk.responses.create(
        model="gpt-4o",
        input="hello",
        tools=[
            {"type": "function", "name": "rate", "parameters": schema, "strict": None}
        ],
        tool_choice="required",
    )
    assert answer.output[0].type == "function_call"
    assert answer.output[0].arguments == '{"n": 7}'

    answer = sdk.responses.create(
        model="gpt-4o",
        input="hello",
        text={"format": {"type": "json_schema", "name": "x", "schema": schema}},
    )
    assert answer.output_text == '{"n": 7}'


def test_embeddings_are_unit_vectors_of_the_size_asked_for(sdk: openai.OpenAI) -> None:
    """The SDK asks for base64 unless told otherwise."""
    packed = sdk.embeddings.create(
        model="text-embedding-3-small", input=["a", "b", "a"], dimensions=64
    )
    plain = sdk.embeddings.create(
        model="text-embedding-3-small",
        input="a",
        dimensions=64,
        encoding_format="float",
    )
    vectors = [one.embedding for one in packed.data]

    assert [len(vector) for vector in vectors] == [64, 64, 64]
    assert abs(sum(x * x for x in vectors[0]) - 1) < 1e-6
    assert vectors[0] == vectors[2] == plain.data[0].embedding
    assert vectors[0] != vectors[1]


def test_embeddings_have_their_models_usual_size(bench: Bench) -> None:
    reply = bench.ask("x", "/embeddings", model="text-embedding-3-large")
    assert len(reply.json()["data"][0]["embedding"]) == 3072

    reply = bench.ask("x", "/embeddings", encoding_format="base64")
    data = base64.b64decode(reply.json()["data"][0]["embedding"])
    assert len(struct.unpack("<1536f", data)) == 1536


def test_an_invalid_embeddings_answer_lacks_a_vector(bench: Bench) -> None:
    bench.set("invalid=1")
    reply = bench.ask("x", "/embeddings", input=["a", "b"])

    assert len(reply.json()["data"]) == 1


def test_token_numbers_can_be_embedded(bench: Bench) -> None:
    reply = bench.ask("x", "/embeddings", input=[[1, 2, 3], [4, 5]], dimensions=8)

    assert len(reply.json()["data"]) == 2
    assert reply.json()["usage"] == {"prompt_tokens": 6, "total_tokens": 6}


@pytest.mark.parametrize(
    ("kind", "message", "finish"),
    [
        ("empty", {"content": None, "refusal": None}, "stop"),
        ("content_filter", {"content": ""}, "content_filter"),
    ],
)
def test_an_answer_can_be_without_content(
    bench: Bench, kind: str, message: dict[str, Any], finish: str
) -> None:
    bench.set(f"{kind}=1")
    choice = bench.ask().json()["choices"][0]

    assert message.items() <= choice["message"].items()
    assert choice["finish_reason"] == finish


def test_a_refused_chat_answer_holds_a_refusal(bench: Bench) -> None:
    bench.set("refusal=1")
    message = bench.ask().json()["choices"][0]["message"]

    assert message["content"] is None
    assert message["refusal"].startswith("I'm sorry")


def test_a_truncated_answer_says_so(bench: Bench) -> None:
    bench.set("truncated=1,answer=0123456789")
    choice = bench.ask().json()["choices"][0]

    assert choice["finish_reason"] == "length"
    assert choice["message"]["content"] == "01234"


def test_a_lone_surrogate_comes_as_an_escape(bench: Bench) -> None:
    bench.set("surrogate=1")
    reply = bench.ask()

    assert b"\\ud83d" in reply.content
    with pytest.raises(UnicodeEncodeError):
        reply.json()["choices"][0]["message"]["content"].encode()


def test_usage_can_be_missing_and_is_billed_all_the_same(bench: Bench) -> None:
    bench.set("no_usage=1")
    reply = bench.ask()

    assert "usage" not in reply.json()
    assert bench.ledger()[0]["usage"]["output_tokens"] > 0


def test_models_show_their_simulated_prices(bench: Bench, sdk: openai.OpenAI) -> None:
    names = [model.id for model in sdk.models.list()]
    model = sdk.models.retrieve("gpt-4o-mini")

    assert "text-embedding-3-small" in names
    assert model.model_dump()["simulated_prices_usd_per_million"] == {
        "input": "0.15",
        "cached_input": "0.075",
        "output": "0.60",
    }


def test_a_reply_carries_the_headers_of_the_real_one(bench: Bench) -> None:
    bench.set("rpm=10,tpm=5000,latency=0.05,latency_spread=0")
    headers = bench.ask("x" * 400).headers

    assert headers["x-request-id"].startswith("req_")
    assert 50 <= int(headers["openai-processing-ms"]) < 1000
    assert headers["x-ratelimit-limit-requests"] == "10"
    assert headers["x-ratelimit-remaining-requests"] == "9"
    assert headers["x-ratelimit-reset-requests"] == "6s"
    assert headers["x-ratelimit-remaining-tokens"] == "4900"
    assert headers["x-ratelimit-reset-tokens"] == "1.2s"


def test_rate_limit_headers_can_be_missing(bench: Bench) -> None:
    bench.set("rpm=1,no_headers=1")
    for reply in (bench.ask(), bench.ask()):
        assert not [name for name in reply.headers if name.startswith("x-ratelimit")]


def test_an_address_that_does_not_exist_is_a_404_of_the_provider(bench: Bench) -> None:
    reply = requests.post(f"{bench.simulator.base_url}/completions", json={})

    assert reply.status_code == 404
    assert reply.json()["error"]["message"] == "Invalid URL (POST /v1/completions)"
