import json
from pathlib import Path
from typing import Any

import pytest
from task_builders import ITEM, file_task, item, refusal_of, task

from runner.records import Endpoint, JsonObject, Request
from runner.task.measure import measured

SCHEMA = {
    "title": "A person!",
    "type": "object",
    "properties": {"age": {"type": "integer"}},
    "required": ["age"],
    "additionalProperties": False,
}


def test_a_chat_body_holds_model_messages_and_parameters_as_given() -> None:
    made = task(params={"temperature": 0.0, "max_tokens": 50}).request_for(ITEM)

    assert made.path == "/chat/completions"
    assert made.body == {
        "model": "gpt-x",
        "messages": [{"role": "user", "content": "Say Boat"}],
        "temperature": 0.0,
        "max_tokens": 50,
    }


def test_a_responses_body_holds_input_and_instructions() -> None:
    asking = task(endpoint=Endpoint.RESPONSES, system="Be brief.")

    made = asking.request_for(ITEM)

    assert made.path == "/responses"
    assert made.body == {
        "model": "gpt-x",
        "instructions": "Be brief.",
        "input": "Say Boat",
    }


def test_an_embeddings_body_holds_the_text_as_input() -> None:
    made = task(endpoint=Endpoint.EMBEDDINGS, params={"dimensions": 2})

    assert made.request_for(ITEM).body == {
        "model": "gpt-x",
        "input": "Say Boat",
        "dimensions": 2,
    }


def test_a_schema_is_sent_strict_with_chat() -> None:
    assert task(schema=SCHEMA).request_for(ITEM).body["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "A_person", "strict": True, "schema": SCHEMA},
    }


def test_a_schema_is_sent_strict_beside_other_text_settings_with_responses() -> None:
    asking = task(
        schema={**SCHEMA, "title": None} | {"title": "x" * 80},
        params={"text": {"verbosity": "low"}},
        endpoint=Endpoint.RESPONSES,
    )

    sent = asking.request_for(ITEM).body["text"]

    assert sent["verbosity"] == "low"
    assert sent["format"]["type"] == "json_schema"
    assert sent["format"]["name"] == "x" * 64


@pytest.mark.parametrize(
    ("endpoint", "params"),
    [
        (Endpoint.CHAT, {"response_format": {"type": "json_object"}}),
        (Endpoint.RESPONSES, {"text": {"format": {"type": "text"}}}),
    ],
)
def test_two_answer_formats_are_refused_at_once(
    endpoint: Endpoint, params: JsonObject
) -> None:
    report = refusal_of(task, schema=SCHEMA, endpoint=endpoint, params=params)

    assert "both --schema and the parameter" in report


@pytest.mark.parametrize(
    ("params", "complaint"),
    [
        ({"stream": True}, "--param: stream is not possible"),
        ({"background": True}, "--param: background is not possible"),
        ({"n": 2}, "--param: n = 2 is not possible: an item has one answer"),
        ({"n": "2"}, '--param: n = "2" is not possible'),
        ({"best_of": 3}, "--param: best_of = 3 is not possible"),
        ({"model": "x"}, "--param must not set model: use --model"),
        ({"messages": []}, "--param must not set messages: use --prompt"),
        ({"input": "x"}, "--param must not set input: use --prompt"),
        ({"instructions": "x"}, "--param must not set instructions: use --system"),
        ({"t": float("nan")}, '--param: "t" is not JSON'),
        ({"t": {1, 2}}, '--param: "t" is not JSON'),
        ({"t": "\ud800"}, '--param: "t" is not JSON: \\ud800 is half a character'),
    ],
)
def test_parameters_that_cannot_work_are_refused_at_start(
    params: JsonObject, complaint: str
) -> None:
    assert refusal_of(task, params=params).startswith(complaint)


@pytest.mark.parametrize(
    "params", [{"stream": False}, {"n": 1}, {"n": None}, {"background": False}]
)
def test_harmless_values_of_those_parameters_pass_verbatim(params: JsonObject) -> None:
    body = task(params=params).request_for(ITEM).body

    assert {name: body[name] for name in params} == params


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({"model": None}, "no model is named: say which one with --model"),
        ({"model": " "}, "no model is named"),
        ({"prompt": None}, "nothing says what to ask"),
        ({"prompt": "{{a}} \udcff"}, "the prompt is not valid text"),
        ({"endpoint": Endpoint.OTHER}, "only Batch API lines can ask another"),
        (
            {"endpoint": Endpoint.EMBEDDINGS, "system": "x"},
            "embeddings are vectors: --system has nothing to work on",
        ),
        (
            {"endpoint": Endpoint.EMBEDDINGS, "choices": ("a", "b")},
            "embeddings are vectors: --choices",
        ),
        ({"batch": True}, "the items are Batch API lines"),
    ],
)
def test_contradictions_are_refused_before_any_item_is_read(
    given: dict[str, Any], complaint: str
) -> None:
    assert refusal_of(task, **given).startswith(complaint)


def test_sizes_are_those_of_the_body() -> None:
    asking = task(prompt="Größe {{title}}", system="kurz", params={"max_tokens": 9})

    made = asking.request_for(ITEM)

    wire = json.dumps(made.body, ensure_ascii=False, separators=(",", ":")).encode()
    assert made.content == wire
    assert made.body_bytes == len(wire)
    assert made.text_characters == len("Größe Boat") + len("kurz")
    assert made.output_limit_tokens == 9
    assert made.is_bounded
    assert made.model == "gpt-x"


@pytest.mark.parametrize(
    ("endpoint", "params", "limit"),
    [
        (Endpoint.CHAT, {}, None),
        (Endpoint.CHAT, {"max_completion_tokens": 7}, 7),
        (Endpoint.CHAT, {"max_completion_tokens": 7, "max_tokens": 9}, 9),
        (Endpoint.CHAT, {"max_tokens": None}, None),
        (Endpoint.CHAT, {"max_tokens": True}, None),
        (Endpoint.CHAT, {"max_tokens": "7"}, None),
        (Endpoint.CHAT, {"max_output_tokens": 7}, None),
        (Endpoint.RESPONSES, {"max_output_tokens": 7}, 7),
        (Endpoint.EMBEDDINGS, {}, 0),
    ],
)
def test_the_output_limit_is_the_one_the_endpoint_honours(
    endpoint: Endpoint, params: JsonObject, limit: int | None
) -> None:
    made = task(endpoint=endpoint, params=params).request_for(ITEM)

    assert made.output_limit_tokens == limit


def sized(endpoint: Endpoint, **body: Any) -> Request:
    path = "/completions" if endpoint is Endpoint.OTHER else "/x"
    return measured(endpoint, path, {"model": "m", **body})


def chat_part(part: Any) -> Request:
    content = [{"type": "text", "text": "four"}, part]
    return sized(Endpoint.CHAT, messages=[{"role": "user", "content": content}])


def responses_item(**fields: Any) -> Request:
    return sized(Endpoint.RESPONSES, input=[fields])


@pytest.mark.parametrize(
    ("made", "is_bounded"),
    [
        (chat_part({"type": "text", "text": "more"}), True),
        (chat_part({"type": "image_url", "image_url": {"url": "x"}}), False),
        (chat_part({"type": "input_audio", "input_audio": {}}), False),
        (chat_part({"type": "file", "file": {}}), False),
        (chat_part({"type": "video_url"}), False),
        (sized(Endpoint.CHAT, tools=[{"type": "function"}]), True),
        (sized(Endpoint.CHAT, tools=[{"type": "web_search"}]), False),
        (sized(Endpoint.CHAT, web_search_options={"x": 1}), False),
        (sized(Endpoint.CHAT, models=["dearer"]), False),
        (sized(Endpoint.CHAT, search_parameters={"mode": "on"}), False),
        (sized(Endpoint.CHAT, enable_search=True), False),
        (sized(Endpoint.CHAT, messages=[{"role": "a", "audio": {"id": 1}}]), False),
        (sized(Endpoint.RESPONSES, input="x", tools=[{"type": "mcp"}]), False),
        (sized(Endpoint.RESPONSES, tools=[{"type": "code_interpreter"}]), False),
        (sized(Endpoint.RESPONSES, input="x", previous_response_id="r"), False),
        (sized(Endpoint.RESPONSES, input="x", previous_response_id=None), True),
        (sized(Endpoint.RESPONSES, input="x", conversation="c"), False),
        (sized(Endpoint.RESPONSES, prompt={"id": "p"}), False),
        (responses_item(type="item_reference", id="i"), False),
        (responses_item(type="function_call_output", output="x"), True),
        (responses_item(role="u", content=[{"type": "input_image"}]), False),
        (responses_item(role="u", content=[{"type": "input_text"}]), True),
        (sized(Endpoint.EMBEDDINGS, input=["a", "b"]), True),
        (sized(Endpoint.EMBEDDINGS, input=[{"image": "x"}]), False),
        (sized(Endpoint.OTHER, prompt="x"), True),
        (measured(Endpoint.OTHER, "/images/generations", {}), False),
    ],
)
def test_a_price_is_bounded_only_when_the_body_holds_all_its_input(
    made: Request, *, is_bounded: bool
) -> None:
    assert made.is_bounded is is_bounded


@pytest.mark.parametrize(
    ("made", "characters"),
    [
        (chat_part({"type": "image_url", "image_url": {"url": "long" * 99}}), 4),
        (sized(Endpoint.EMBEDDINGS, input=["ab", "cde"]), 5),
        (sized(Endpoint.EMBEDDINGS, input=[11, 22, 33]), 12),
        (responses_item(type="function_call_output", output="four"), 4),
        (sized(Endpoint.OTHER, prompt="abc"), 3),
    ],
)
def test_characters_are_those_of_the_text(made: Request, characters: int) -> None:
    assert made.text_characters == characters


LINE = {
    "custom_id": "a-1",
    "method": "POST",
    "url": "/v1/chat/completions",
    "body": {"model": "m", "messages": [], "seed": 1.0, "zzz": {"own": True}},
}


def batch(**given: Any) -> Any:
    return task(batch=True, prompt=None, model=None, **given)


def test_a_batch_lines_body_is_sent_as_it_is() -> None:
    made = batch().request_for(item(LINE))

    assert made.endpoint is Endpoint.CHAT
    assert made.path == "/chat/completions"
    assert made.body is LINE["body"]


@pytest.mark.parametrize(
    ("url", "endpoint", "path"),
    [
        ("/v1/responses", Endpoint.RESPONSES, "/responses"),
        ("/v1/embeddings", Endpoint.EMBEDDINGS, "/embeddings"),
        ("/v1/completions", Endpoint.OTHER, "/completions"),
        ("/v1/images/generations", Endpoint.OTHER, "/images/generations"),
        ("/chat/completions", Endpoint.CHAT, "/chat/completions"),
    ],
)
def test_a_batch_lines_url_says_the_endpoint(
    url: str, endpoint: Endpoint, path: str
) -> None:
    made = batch().request_for(item({**LINE, "url": url}))

    assert (made.endpoint, made.path) == (endpoint, path)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"method": "GET"}, '"method" is "GET", not "POST"'),
        ({"url": "http://other.example/v1/x"}, '"url" is "http://other.example'),
        ({"url": "//other/x"}, '"url" is "//other/x", not a path'),
        ({"url": "/v1/../x"}, '"url" is'),
        ({"url": "/v1/x?y=1"}, '"url" is'),
        ({"url": None}, '"url" is null'),
        ({"body": []}, '"body" is [], not an object'),
        ({"body": {}}, 'the body names no "model"'),
        ({"body": {"model": 3}}, '"model" is 3, not a name'),
        ({"body": {"model": "m", "stream": True}}, "body: stream is not possible"),
        ({"body": {"model": "m", "n": 4}}, "body: n = 4 is not possible"),
        ({"body": {"model": "m", "x": float("nan")}}, "the request cannot be sent"),
        ({"body": {"model": "m", "x": "\ud800"}}, "the request cannot be sent"),
    ],
)
def test_a_batch_line_that_cannot_be_asked_is_refused_with_its_line(
    change: JsonObject, complaint: str
) -> None:
    report = refusal_of(batch().request_for, item({**LINE, **change}))

    assert report.startswith(f'items.jsonl:17 (id "a-1"): {complaint}')


def test_a_schema_with_batch_lines_only_checks() -> None:
    """Their bodies are the user's own, so the schema need not be strict."""
    asking = batch(schema={"type": "array"})

    assert asking.request_for(item(LINE)).body is LINE["body"]


@pytest.mark.parametrize(
    ("returned", "messages"),
    [
        ("'hi'", [{"role": "user", "content": "hi"}]),
        (
            "[{'role': 'user', 'content': [{'type': 'text', 'text': 'a'}]}]",
            [{"role": "user", "content": [{"type": "text", "text": "a"}]}],
        ),
        (
            "[{'role': 'assistant', 'tool_calls': [1]}]",
            [{"role": "assistant", "tool_calls": [1]}],
        ),
    ],
)
def test_get_prompt_may_return_a_text_or_messages(
    tmp_path: Path, returned: str, messages: list[Any]
) -> None:
    asking = file_task(tmp_path, f"def get_prompt(item):\n    return {returned}\n")

    assert asking.request_for(ITEM).body["messages"] == messages


@pytest.mark.parametrize(
    ("returned", "complaint"),
    [
        ("None", "get_prompt returned NoneType, not a text or a list of messages"),
        ("{'role': 'user'}", "get_prompt returned dict, not a text"),
        ("b'x'", "get_prompt returned bytes, not"),
        ("[]", "get_prompt returned an empty list"),
        ("['x']", "get_prompt: element 0 of the list is str, not a message"),
        ("[{'content': 'x'}]", 'get_prompt: element 0 of the list has no "role"'),
        ("[{'role': 'user'}]", 'element 0 of the list has no "content"'),
        ("[{'role': 'user', 'content': 3}]", 'list has int as "content", not a text'),
        (
            "[{'role': 'user', 'content': [{1, 2}]}]",
            "get_prompt returned what is not JSON",
        ),
        ("'x\\ud800'", "the request cannot be sent: \\ud800 is half a character"),
    ],
)
def test_a_prompt_of_the_wrong_kind_is_refused_by_name(
    tmp_path: Path, returned: str, complaint: str
) -> None:
    asking = file_task(tmp_path, f"def get_prompt(item):\n    return {returned}\n")

    assert complaint in refusal_of(asking.request_for, ITEM)


def test_two_system_texts_are_refused(tmp_path: Path) -> None:
    source = (
        "def get_prompt(item):\n"
        "    return [{'role': 'system', 'content': 'a'},"
        " {'role': 'user', 'content': 'b'}]\n"
    )

    asking = file_task(tmp_path, source, system="me too")

    assert "keep one of them" in refusal_of(asking.request_for, ITEM)


def test_get_params_win_over_the_runs_own(tmp_path: Path) -> None:
    source = (
        "def get_prompt(item): return 'x'\n"
        "def get_params(item): return {'seed': len(item['title']), 'top_p': 1}\n"
    )
    asking = file_task(tmp_path, source, params={"seed": 0, "user": "me"})

    body = asking.request_for(ITEM).body

    assert {name: body[name] for name in ("seed", "top_p", "user")} == {
        "seed": 4,
        "top_p": 1,
        "user": "me",
    }


@pytest.mark.parametrize(
    ("returned", "complaint"),
    [
        ("None", "get_params gave NoneType, not a dict"),
        ("{'n': 3}", "get_params: n = 3 is not possible"),
        ("{'model': 'x'}", "get_params must not set model"),
        ("{3: 4}", "get_params: 3 is not a parameter's name"),
        ("{'x': object()}", 'get_params: "x" is not JSON'),
    ],
)
def test_get_params_that_cannot_work_are_refused(
    tmp_path: Path, returned: str, complaint: str
) -> None:
    source = (
        f"def get_prompt(item): return 'x'\ndef get_params(item): return {returned}\n"
    )

    assert complaint in refusal_of(file_task(tmp_path, source).request_for, ITEM)


def test_several_texts_make_one_embeddings_request(tmp_path: Path) -> None:
    source = "def get_prompt(item): return [item['title'], item['body']]\n"

    asking = file_task(tmp_path, source, endpoint=Endpoint.EMBEDDINGS)

    assert asking.request_for(ITEM).body["input"] == ["Boat", "It floats."]


def test_an_item_nested_hundreds_deep_is_asked_or_refused_never_a_crash() -> None:
    deep: Any = "x"
    for _ in range(5_000):
        deep = [deep]

    report = refusal_of(task(prompt="{{deep}}").request_for, item_of(deep))

    assert "nested too deeply" in report


def item_of(deep: Any) -> Any:
    plain = item({})
    plain.fields["deep"] = deep
    return plain
