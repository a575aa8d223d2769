"""Money: exact, per answer, and None where nobody knows."""

import json
import subprocess
import sys
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.answers import read_answer
from runner.config import Price, Service
from runner.errors import UsageError
from runner.pricing import PriceBook, genai, parse_price
from runner.records import PATHS, Answer, Endpoint, Request

OPENAI = "https://api.openai.com/v1"
LOCAL = "http://127.0.0.1:8000/v1"
OPENROUTER = "https://openrouter.ai/api/v1"
OWN = Price(
    input_usd=Decimal("2.5"), cached_input_usd=Decimal("0.25"), output_usd=Decimal(10)
)
CACHED = {
    "prompt_tokens": 1000,
    "completion_tokens": 200,
    "prompt_tokens_details": {"cached_tokens": 600},
}


def book(base_url: str = OPENAI, **service: Any) -> PriceBook:
    return PriceBook(Service(base_url=base_url, **service))


def answer(model: str | None, usage: Any = None, **body: Any) -> Answer:
    whole = {
        "model": model,
        "choices": [{"message": {"content": "x"}}],
        "usage": CACHED if usage is None else usage,
        **body,
    }
    read = read_answer(Endpoint.CHAT, json.dumps(whole).encode())
    assert read is not None
    return read


def cost(
    prices: PriceBook, model: str, usage: Any = None, **body: Any
) -> Decimal | None:
    return prices.cost_usd(Endpoint.CHAT, answer(model, usage, **body), model)


def request(
    model: str = "gpt-5.4",
    *,
    body_bytes: int = 1000,
    output: int | None = 100,
    is_bounded: bool = True,
    **body: Any,
) -> Request:
    return Request(
        endpoint=Endpoint.CHAT,
        path=PATHS[Endpoint.CHAT],
        body={"model": model, **body},
        model=model,
        content=bytes(body_bytes),
        text_characters=body_bytes,
        output_limit_tokens=output,
        is_bounded=is_bounded,
    )


@pytest.fixture(scope="module")
def openai() -> PriceBook:
    return book()


def test_an_answer_costs_what_the_price_list_says(openai: PriceBook) -> None:
    """400 fresh at 0.15, 600 cached at 0.075, 200 out at 0.60 a million."""
    assert cost(openai, "gpt-4o-mini-2024-07-18") == Decimal("0.000225")


def test_a_long_prompt_has_its_own_rate_for_all_its_tokens(openai: PriceBook) -> None:
    short = {"prompt_tokens": 100_000, "completion_tokens": 0}
    long = {"prompt_tokens": 300_000, "completion_tokens": 0}
    assert cost(openai, "gpt-5.4", short) == Decimal("0.25")
    assert cost(openai, "gpt-5.4", long) == Decimal("1.50")


@pytest.mark.parametrize(
    ("tier", "expected"),
    [
        (None, Decimal("0.00415")),
        ("default", Decimal("0.00415")),
        ("priority", Decimal("0.0083")),
        ("some_new_tier", None),
    ],
)
def test_the_tier_the_answer_names_decides(
    openai: PriceBook, tier: str | None, expected: Decimal | None
) -> None:
    assert cost(openai, "gpt-5.4", service_tier=tier) == expected


def test_writing_the_cache_costs_extra(openai: PriceBook) -> None:
    details = {"cached_tokens": 0, "cache_write_tokens": 500}
    plain = {"prompt_tokens": 1000, "completion_tokens": 0}
    with_write = {**plain, "prompt_tokens_details": details}
    without, more = (cost(openai, "gpt-5.6-sol", u) for u in (plain, with_write))
    assert without is not None
    assert more is not None
    assert more > without


@pytest.mark.parametrize("base_url", [LOCAL, "https://llm.example.com/v1"])
def test_a_server_of_ones_own_is_never_charged_by_its_models_name(
    base_url: str,
) -> None:
    prices = book(base_url)
    assert cost(prices, "gpt-4o-mini") is None
    assert prices.worst_case_usd(request("gpt-4o-mini")) is None
    assert not prices.knows("gpt-4o-mini")


@pytest.mark.parametrize(
    "host", ["127.0.0.1:8000", "[::1]:8000", "10.0.0.5", "localhost:11434", "vllm"]
)
def test_the_price_list_has_nobody_at_an_address_or_a_local_name(host: str) -> None:
    """So it is not even loaded there; should it ever have one, this tells."""
    for scheme in ("http", "https"):
        base_url = f"{scheme}://{host}/v1"
        for model in ("gpt-4o-mini", "llama-3.1-8b"):
            assert not genai.knows(model, base_url=base_url)
            assert not book(base_url).knows(model)


@pytest.mark.parametrize(
    "usage", [[], {}, {"prompt_tokens": -1}, {"prompt_tokens": float("nan")}]
)
def test_without_counts_there_is_no_cost(openai: PriceBook, usage: Any) -> None:
    assert cost(openai, "gpt-4o-mini", usage) is None


def test_an_unknown_model_has_no_price(openai: PriceBook) -> None:
    assert cost(openai, "gpt-unheard-of") is None
    assert openai.worst_case_usd(request("gpt-unheard-of")) is None
    assert (openai.knows("gpt-unheard-of"), openai.knows("gpt-4o")) == (False, True)


def test_the_model_that_answered_is_priced_and_the_asked_one_if_it_is_unknown(
    openai: PriceBook,
) -> None:
    served = answer("gpt-4o-mini-2024-07-18")
    assert openai.cost_usd(Endpoint.CHAT, served, "gpt-5.4") == Decimal("0.000225")
    for unknown in ("our-alias", None):
        asked = openai.cost_usd(Endpoint.CHAT, answer(unknown), "gpt-4o-mini")
        assert asked == Decimal("0.000225")


def test_an_answer_has_one_price_for_ever(openai: PriceBook) -> None:
    """The rates of the day it was made: gpt-5.6-sol became cheaper in August 2026."""
    usage = {"prompt_tokens": 1_000, "completion_tokens": 0}
    july, november = 1_783_000_000, 1_795_300_000
    before = cost(openai, "gpt-5.6-sol", usage, created=july)
    after = cost(openai, "gpt-5.6-sol", usage, created=november)
    assert (before, after) == (Decimal("0.005"), Decimal("0.004"))


def test_embeddings_have_a_price(openai: PriceBook) -> None:
    body = {
        "model": "text-embedding-3-small",
        "data": [{"embedding": [0.5]}],
        "usage": {"prompt_tokens": 1000, "total_tokens": 1000},
    }
    read = read_answer(Endpoint.EMBEDDINGS, json.dumps(body).encode())
    assert read is not None
    usd = openai.cost_usd(Endpoint.EMBEDDINGS, read, "text-embedding-3-small")
    assert usd == Decimal("0.00002")


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        ("web_search_call", Decimal("0.0125")),
        ("function_call", Decimal("0.0025")),
        ("code_interpreter_call", None),
    ],
)
def test_tools_the_server_ran_are_priced_or_make_the_price_unknown(
    openai: PriceBook, call: str, expected: Decimal | None
) -> None:
    body = {
        "model": "gpt-5.4",
        "output": [{"type": call}],
        "usage": {"input_tokens": 1000, "output_tokens": 0},
    }
    read = read_answer(Endpoint.RESPONSES, json.dumps(body).encode())
    assert read is not None
    assert openai.cost_usd(Endpoint.RESPONSES, read, "gpt-5.4") == expected


def test_openrouter_is_believed_what_it_took() -> None:
    prices = book(OPENROUTER)
    usage = {**CACHED, "cost": 0.00014}
    assert cost(prices, "some/model", usage) == Decimal("0.00014")
    own_key = {
        **usage,
        "is_byok": True,
        "cost_details": {"upstream_inference_cost": 0.0028},
    }
    assert cost(prices, "some/model", own_key) == Decimal("0.00294")
    assert cost(prices, "some/model", {**own_key, "cost_details": None}) is None
    for odd in (-1, 10**400, float("inf")):
        assert cost(prices, "no/such-model", {**CACHED, "cost": odd}) is None


def test_nobody_else_is_believed_what_it_took(openai: PriceBook) -> None:
    usage = {**CACHED, "cost": 99}
    assert cost(openai, "gpt-4o-mini", usage) == Decimal("0.000225")


def test_the_users_own_price_wins_and_is_exact() -> None:
    prices = book(OPENAI, prices={"gpt-4o-mini": OWN})
    # 400 x 2.5 + 600 x 0.25 + 200 x 10, a million
    expected = Decimal("0.00315")
    assert cost(prices, "gpt-4o-mini") == expected
    served = answer("gpt-4o-mini-2024-07-18")
    assert prices.cost_usd(Endpoint.CHAT, served, "GPT-4o-mini") == expected
    assert prices.cost_usd(Endpoint.CHAT, answer("gpt-4o-mini"), "alias") == expected
    assert cost(prices, "gpt-5.4") == Decimal("0.00415")


def test_exact_names_come_before_names_in_other_capitals() -> None:
    free = Price(
        input_usd=Decimal(0), cached_input_usd=Decimal(0), output_usd=Decimal(0)
    )
    prices = book(LOCAL, prices={"Model": OWN, "model": free})
    assert cost(prices, "model") == 0
    assert cost(prices, "Model") == Decimal("0.00315")


@given(
    counts=st.tuples(*[st.integers(0, 2**53)] * 3),
    rates=st.tuples(*[st.decimals(0, 10**6, places=6)] * 3),
)
def test_own_prices_lose_no_digit(
    counts: tuple[int, int, int], rates: tuple[Decimal, Decimal, Decimal]
) -> None:
    """Compared with integers: micro-dollars per million tokens."""
    fresh, cached, output = counts
    usage = {
        "prompt_tokens": min(fresh + cached, 2**53),
        "completion_tokens": output,
        "prompt_tokens_details": {"cached_tokens": cached},
    }
    price = Price(input_usd=rates[0], cached_input_usd=rates[1], output_usd=rates[2])
    usd = cost(book(LOCAL, prices={"m": price}), "m", usage)
    asked = min(fresh + cached, 2**53)
    micro = [int(rate * 10**6) for rate in rates]
    exact = (asked - cached) * micro[0] + cached * micro[1] + output * micro[2]
    assert usd is not None
    assert int(usd.scaleb(12)) == exact


def test_simulated_prices_are_the_simulators_and_nobody_elses() -> None:
    prices = book(OPENAI, prices={"sim": OWN}, simulated=True)
    assert cost(prices, "sim") == Decimal("0.00315")
    assert cost(prices, "gpt-4o-mini") is None
    assert not prices.knows("gpt-4o-mini")
    assert prices.describe() == "simulated prices"


def test_the_summary_can_say_where_prices_come_from(openai: PriceBook) -> None:
    assert openai.describe().startswith("genai-prices 0.")
    own = book(LOCAL, prices={"b": OWN, "a": OWN}).describe()
    assert own.startswith("--price a, --price b, otherwise genai-prices 0.")


def test_the_worst_case_is_a_token_a_byte_at_full_rate(openai: PriceBook) -> None:
    """1,300 tokens at 2.50 and 100 at 15 a million: nothing cached."""
    assert openai.worst_case_usd(request()) == Decimal("0.00475")


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        # Writing the cache costs 5 where plain input costs 4.
        ({"model": "gpt-5.6-sol"}, Decimal("0.0085")),
        # Over 272,000 tokens: 5 and 22.50.
        ({"body_bytes": 300_000}, Decimal("1.50375")),
        ({"service_tier": "priority"}, Decimal("0.0095")),
        ({"service_tier": "flex"}, Decimal("0.00475")),
        ({"service_tier": "some_new_tier"}, None),
        ({"n": 3}, Decimal("0.00775")),
        ({"n": 3.0}, Decimal("0.00775")),
        ({"prompt": ["a", "b", "c"]}, Decimal("0.00775")),
        ({"prompt": [[1, 2], [3], [4]]}, Decimal("0.00775")),
        ({"prompt": [1, 2, 3]}, Decimal("0.00475")),
        ({"prompt": ["a", "b", "c"], "n": 2}, Decimal("0.01225")),
        ({"output": 0}, Decimal("0.00325")),
        # No limit: the context window of 1,050,000 is one.
        ({"output": None}, Decimal("15.75325")),
        ({"is_bounded": False}, None),
        ({"modalities": ["text", "audio"]}, None),
    ],
)
def test_the_worst_case_knows_what_makes_it_dearer(
    openai: PriceBook, changed: dict[str, Any], expected: Decimal | None
) -> None:
    assert openai.worst_case_usd(request(**changed)) == expected


def test_the_worst_case_by_own_prices() -> None:
    prices = book(LOCAL, prices={"m": OWN})
    assert prices.worst_case_usd(request("m")) == Decimal("0.00425")
    assert prices.worst_case_usd(request("m", output=None)) is None
    dear_cache = Price(
        input_usd=Decimal(1), cached_input_usd=Decimal(2), output_usd=Decimal(0)
    )
    odd = book(LOCAL, prices={"m": dear_cache})
    assert odd.worst_case_usd(request("m")) == Decimal("0.0026")


@given(
    body_bytes=st.integers(0, 400_000),
    tokens=st.tuples(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1)),
    limit=st.integers(0, 50_000),
    model=st.sampled_from(["gpt-5.4", "gpt-5.6-sol", "gpt-4o-mini", "gpt-5-mini"]),
    tier=st.sampled_from([None, "default", "flex", "priority"]),
)
def test_no_answer_costs_more_than_the_worst_case(
    openai: PriceBook,
    body_bytes: int,
    tokens: tuple[float, float, float],
    limit: int,
    model: str,
    tier: str | None,
) -> None:
    """At most a token for each byte, whatever was cached, up to the limit.

    Either both are known or neither: not every model is sold in every tier.
    """
    asked = int((body_bytes + 300) * tokens[0])
    usage = {
        "prompt_tokens": asked,
        "completion_tokens": int(limit * tokens[1]),
        "prompt_tokens_details": {"cached_tokens": int(asked * tokens[2])},
    }
    usd = cost(openai, model, usage, service_tier=tier)
    asking = request(model, body_bytes=body_bytes, output=limit, service_tier=tier)
    worst = openai.worst_case_usd(asking)
    assert (usd is None) == (worst is None)
    assert usd is None or worst is None or usd <= worst


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("gpt-x=2.5,0.25,10", ("gpt-x", OWN)),
        (" gpt-x = 2.50 , .25 , 10. ", ("gpt-x", OWN)),
        ("ft:a=b/c:d=2.5,0.25,10", ("ft:a=b/c:d", OWN)),
    ],
)
def test_a_price_is_read(text: str, expected: tuple[str, Price]) -> None:
    assert parse_price(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "gpt-x",
        "gpt-x=",
        "gpt-x=1",
        "gpt-x=1,2",
        "gpt-x=1,2,3,4",
        "=1,2,3",
        "gpt-x=1,,3",
        "gpt-x=-1,2,3",
        "gpt-x=NaN,2,3",
        "gpt-x=Infinity,2,3",
        "gpt-x=1e3,2,3",
        "gpt-x=1_0,2,3",
        "gpt-x=$1,2,3",
        "gpt-x=１,2,3",  # noqa: RUF001 - a full-width digit is the case
        "gpt-x=1.1234567890123,2,3",
        "gpt-x=.,2,3",
    ],
)
def test_what_is_no_price_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(UsageError) as raised:
        parse_price(text)
    assert "--price gpt-x=2.50,0.25,10" in str(raised.value)


@given(st.text())
def test_any_text_is_a_price_or_a_usage_error(text: str) -> None:
    try:
        _, price = parse_price(text)
    except UsageError:
        return
    assert price.input_usd >= 0


def test_the_price_list_is_not_loaded_before_it_is_needed() -> None:
    """`--help`, `status`, simulated runs and those on a local server do without it."""
    code = (
        "import sys; from runner.config import Service;"
        "from runner.pricing import PriceBook, parse_price;"
        "PriceBook(Service()).describe();"
        "prices = dict([parse_price('m=1,1,1')]);"
        "assert PriceBook(Service(prices=prices)).knows('m');"
        "assert not PriceBook(Service(simulated=True)).knows('x');"
        "local = Service(base_url='http://127.0.0.1:8000/v1');"
        "assert not PriceBook(local).knows('gpt-4o-mini');"
        "sys.exit('genai_prices' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
