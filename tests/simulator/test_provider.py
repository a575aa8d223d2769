import json
from decimal import Decimal
from typing import Any

import pytest

from runner.simulator.faults import FAULTS, KINDS, Delivery
from runner.simulator.memory import Memory
from runner.simulator.plans import Plan
from runner.simulator.provider import Provider
from runner.simulator.scenario_text import parse

CHAT = "/v1/chat/completions"
SCHEMA = {
    "type": "object",
    "properties": {"stars": {"type": "integer"}},
    "required": ["stars"],
}
FORMAT = {"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA}}


def provider(text: str = "", seed: int = 1) -> Provider:
    return Provider(parse(text), seed, Memory())


def ask(
    one: Provider,
    prompt: str = "hello",
    path: str = CHAT,
    key: str | None = None,
    now_s: float = 0.0,
    **body: Any,
) -> Plan:
    whole: dict[str, Any] = {"model": "gpt-4o-mini"}
    if path == CHAT:
        whole["messages"] = [{"role": "user", "content": prompt}]
    else:
        whole["input"] = prompt
    return one.plan(path, json.dumps(whole | body).encode(), key, "id", now_s)


def content(plan: Plan) -> Any:
    return json.loads(plan.body)["choices"][0]["message"]["content"]


def code(plan: Plan) -> Any:
    return json.loads(plan.body)["error"]["code"]


@pytest.mark.parametrize("name", [name for name in FAULTS if FAULTS[name].billed])
def test_what_was_generated_is_billed_even_if_it_never_arrives(name: str) -> None:
    plan = ask(provider(f"{name}=1"))

    assert (plan.outcome, plan.billed) == (name, True)
    assert plan.cost_usd is not None
    assert plan.cost_usd > 0


@pytest.mark.parametrize("name", [name for name in FAULTS if not FAULTS[name].billed])
def test_what_was_not_generated_is_not_billed(name: str) -> None:
    plan = ask(provider(f"{name}=1"))

    assert (plan.outcome, plan.billed, plan.cost_usd) == (name, False, None)
    assert plan.delivery is Delivery.PLAIN


@pytest.mark.parametrize("name", [*FAULTS, *KINDS])
def test_one_prompt_can_be_poison_while_others_are_fine(name: str) -> None:
    one = provider(f"match=lamp,match_fault={name}")
    poison, fine = ask(one, "the lamp"), ask(one, "the chair")

    assert name in (poison.outcome, poison.kind)
    assert (fine.outcome, fine.kind) == ("answer", "good")


@pytest.mark.parametrize("name", KINDS)
def test_a_bad_answer_is_an_answer_and_is_billed(name: str) -> None:
    plan = ask(provider(f"{name}=1"))

    assert (plan.outcome, plan.kind, plan.status) == ("answer", name, 200)
    assert plan.billed


def test_answers_do_not_depend_on_the_order_of_requests() -> None:
    prompts = [f"prompt {number}" for number in range(200)]
    text = "invalid=0.3,error_500=0.2,no_usage=0.2"
    first, second = provider(text), provider(text)
    forwards = {prompt: ask(first, prompt) for prompt in prompts}
    backwards = {prompt: ask(second, prompt) for prompt in reversed(prompts)}

    assert {p: (forwards[p].outcome, forwards[p].kind) for p in prompts} == {
        p: (backwards[p].outcome, backwards[p].kind) for p in prompts
    }
    assert len({plan.outcome for plan in forwards.values()}) == 2


def test_another_seed_gives_other_answers() -> None:
    assert content(ask(provider(seed=1))) != content(ask(provider(seed=2)))
    assert content(ask(provider(seed=1))) == content(ask(provider(seed=1)))


def test_asking_again_is_drawn_anew() -> None:
    one = provider("invalid=0.5,error_500=0.4")
    plans = [ask(one) for _ in range(60)]

    assert {plan.outcome for plan in plans} == {"answer", "error_500"}
    assert {plan.kind for plan in plans} == {None, "good", "invalid"}


def test_invalid_answers_come_at_their_rate() -> None:
    one = provider("invalid=0.25")
    kinds = [ask(one, f"prompt {number}").kind for number in range(2000)]

    assert abs(kinds.count("invalid") / 2000 - 0.25) < 0.03


def test_exactly_so_many_prompts_are_never_answered_well() -> None:
    one = provider("always_invalid=5")
    kinds = {
        prompt: {ask(one, f"prompt {prompt}").kind for _ in range(3)}
        for prompt in range(50)
    }

    assert list(kinds.values()).count({"invalid"}) == 5
    assert list(kinds.values()).count({"good"}) == 45


def test_a_prompt_that_is_refused_takes_no_place_among_the_never_answered() -> None:
    one = provider("always_invalid=2,match=prompt 0,match_fault=bad_request")
    kinds = {
        prompt: {ask(one, f"prompt {prompt}").kind for _ in range(3)}
        for prompt in range(10)
    }

    assert list(kinds.values()).count({"invalid"}) == 2


def test_invalid_answers_break_the_schema_in_both_ways() -> None:
    one = provider("invalid=1")
    texts = [
        content(ask(one, f"prompt {number}", response_format=FORMAT))
        for number in range(40)
    ]
    objects = [text for text in texts if text.startswith("{")]

    assert 0 < len(objects) < 40
    assert all("INVALID ANSWER" in text for text in texts)
    assert not any("stars" in json.loads(text) for text in objects)


def test_invalid_answers_are_none_of_the_choices() -> None:
    plan = ask(provider("invalid=1,choices=INVALID|ANSWER"))

    assert content(plan).startswith("INVALID ANSWER: ")


def test_a_schema_is_answered_with_its_document() -> None:
    plan = ask(provider(), response_format=FORMAT)

    assert isinstance(json.loads(content(plan))["stars"], int)


def test_json_mode_is_answered_with_an_object() -> None:
    plan = ask(provider(), response_format={"type": "json_object"})

    assert isinstance(json.loads(content(plan)), dict)


def test_choices_come_from_the_scenario_or_the_prompt() -> None:
    prompt = "Answer with exactly one of: spam, ham"

    assert content(ask(provider("choices=yes|no"), prompt)) in ("yes", "no")
    assert content(ask(provider(), prompt)) in ("spam", "ham")


def test_answers_can_be_an_echo_or_a_fixed_text() -> None:
    assert content(ask(provider("answer=echo"), "Grüß 🌙")) == "Grüß 🌙"
    assert content(ask(provider("answer=forty, two"), "x")) == "forty, two"


def test_made_up_text_has_about_as_many_words_as_set() -> None:
    short, long = provider("words=3"), provider("words=300")

    assert len(content(ask(short)).split()) <= 5
    assert len(content(ask(long)).split()) >= 150


def test_tokens_are_characters_over_four() -> None:
    plan = ask(provider("answer=12345"), "x" * 41)

    assert plan.usage is not None
    assert plan.usage.to_json() == {
        "input_tokens": 11,
        "cached_input_tokens": 0,
        "output_tokens": 2,
        "reasoning_tokens": 0,
    }
    assert plan.cost_usd == Decimal("0.00000285")


@pytest.mark.parametrize("limit", ["max_tokens", "max_completion_tokens"])
def test_an_answer_ends_at_its_output_limit(limit: str) -> None:
    body: dict[str, Any] = {limit: 5}
    plan = ask(provider("words=300"), **body)
    choice = json.loads(plan.body)["choices"][0]

    assert choice["finish_reason"] == "length"
    assert len(choice["message"]["content"]) == 20
    assert plan.usage is not None
    assert plan.usage.output_tokens == 5


def test_reasoning_can_use_up_the_whole_limit() -> None:
    plan = ask(provider("reasoning=640"), model="gpt-5-mini", max_completion_tokens=100)
    choice = json.loads(plan.body)["choices"][0]

    assert (choice["finish_reason"], choice["message"]["content"]) == ("length", "")
    assert plan.usage is not None
    assert (plan.usage.output_tokens, plan.usage.reasoning_tokens) == (100, 100)


def test_a_prompt_that_is_long_enough_is_partly_cached() -> None:
    one = provider("cached=1")
    short, long = ask(one, "x" * 4000), ask(one, "y" * 4 * 1500)

    assert short.usage is not None
    assert long.usage is not None
    assert short.usage.cached_input_tokens == 0
    assert long.usage.cached_input_tokens == 1408


def test_small_prompts_can_be_cached_when_allowed() -> None:
    plan = ask(provider("cached=1,cached_min=16"), "x" * 4 * 40)

    assert plan.usage is not None
    assert plan.usage.cached_input_tokens == 32


def test_several_copies_are_several_answers_and_cost_more() -> None:
    plan = ask(provider("words=30"), n=3)
    choices = json.loads(plan.body)["choices"]

    assert [choice["index"] for choice in choices] == [0, 1, 2]
    assert len({choice["message"]["content"] for choice in choices}) == 3
    assert plan.usage is not None
    assert plan.usage.output_tokens > 30


def test_tools_are_called_at_their_rate_or_when_required() -> None:
    function = {"name": "rate", "parameters": SCHEMA}
    tools = [{"type": "function", "function": function}]
    always, never = provider("tool_calls=1"), provider("tool_calls=0")

    for plan in (
        ask(always, tools=tools),
        ask(never, tools=tools, tool_choice="required"),
    ):
        choice = json.loads(plan.body)["choices"][0]
        call = choice["message"]["tool_calls"][0]["function"]
        assert choice["finish_reason"] == "tool_calls"
        assert choice["message"]["content"] is None
        assert call["name"] == "rate"
        assert isinstance(json.loads(call["arguments"])["stars"], int)
    assert content(ask(never, tools=tools)) is not None
    assert content(ask(always, tools=tools, tool_choice="none")) is not None


def test_latency_is_capped() -> None:
    slow = provider("latency=10,latency_spread=2,latency_max=12")
    delays = {ask(slow, f"prompt {number}").delay_s for number in range(50)}

    assert max(delays) == 12
    assert min(delays) < 10
    assert ask(provider("latency=0.5,latency_spread=0")).delay_s == 0.5


@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        ({"stream": True}, "unsupported_value"),
        ({"messages": None}, "missing_required_parameter"),
        ({"messages": "hello"}, "invalid_type"),
        ({"n": 0}, "invalid_value"),
        ({"max_tokens": "many"}, "invalid_value"),
        ({"model": None}, None),
        ({"model": "gpt-5-mini", "max_tokens": 5}, "unsupported_parameter"),
        ({"model": "gpt-5-mini", "temperature": 0}, "unsupported_value"),
    ],
)
def test_a_body_the_api_does_not_accept_is_a_400(
    body: dict[str, Any], wanted: str | None
) -> None:
    plan = ask(provider(), **body)

    assert (plan.status, plan.outcome, plan.billed) == (400, "rejected", False)
    assert code(plan) == wanted


def test_a_body_that_is_not_json_is_a_400() -> None:
    plan = provider().plan(CHAT, b"{", None, "id", 0.0)

    assert (plan.status, plan.outcome, plan.call) == (400, "rejected", None)


def test_a_prompt_longer_than_the_context_is_a_400() -> None:
    plan = ask(provider("context=10"), "x" * 41)

    assert (plan.status, code(plan)) == (400, "context_length_exceeded")


def test_the_first_requests_can_fail() -> None:
    one = provider("fail_first=2,fail_first_fault=overloaded")

    assert [ask(one).outcome for _ in range(4)] == [
        "overloaded",
        "overloaded",
        "answer",
        "answer",
    ]


def test_an_account_is_empty_once_its_credit_is_spent() -> None:
    one = provider("credit_usd=0.00001")
    codes = [ask(one).status for _ in range(20)]

    assert codes[0] == 200
    assert codes[-1] == 429
    assert code(ask(one)) == "insufficient_quota"
    assert one.memory.billed_usd >= Decimal("0.00001")


def test_limits_belong_to_a_model() -> None:
    one = provider("rpm=1")

    assert [ask(one, model=model).status for model in ("a", "a", "b")] == [
        200,
        429,
        200,
    ]


def test_what_admission_charges_is_the_larger_of_limit_and_prompt() -> None:
    one = provider("tpm=1000")

    assert ask(one, "x" * 40, max_tokens=600).status == 200
    assert ask(one, "x" * 40, max_tokens=600).status == 429
    assert ask(one, "x" * 1600, max_tokens=1).status == 200
    assert ask(one, "x" * 40, max_tokens=1).status == 429


def test_a_request_that_was_not_admitted_changes_no_answer() -> None:
    throttled, free = provider("rpm=1"), provider()
    first = content(ask(throttled, now_s=0.0))
    assert ask(throttled, now_s=1.0).status == 429
    second = content(ask(throttled, now_s=61.0))

    assert [first, second] == [content(ask(free)), content(ask(free))]
    assert first != second


def test_embeddings_do_not_know_refusals() -> None:
    one = provider("refusal=1")
    plan = ask(one, path="/v1/embeddings", model="text-embedding-3-small")

    assert plan.kind == "good"
    assert len(json.loads(plan.body)["data"]) == 1
