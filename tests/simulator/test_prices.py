from decimal import Decimal

from runner.simulator import PRICES, cost_usd

USAGE = {
    "input_tokens": 1000,
    "cached_input_tokens": 600,
    "output_tokens": 200,
    "reasoning_tokens": 50,
}


def test_cached_tokens_are_part_of_the_input_and_cost_less() -> None:
    """The figure genai-prices gives for the same tokens."""
    assert cost_usd("gpt-4o-mini", USAGE) == Decimal("0.000225")


def test_reasoning_tokens_are_not_paid_twice() -> None:
    without = USAGE | {"reasoning_tokens": 0}

    assert cost_usd("gpt-5-mini", USAGE) == cost_usd("gpt-5-mini", without)


def test_one_token_has_an_exact_price() -> None:
    one = dict.fromkeys(USAGE, 0) | {"input_tokens": 1}

    assert cost_usd("gpt-5-nano", one) == Decimal("0.00000005")


def test_a_model_without_a_price_costs_nobody_knows_what() -> None:
    assert cost_usd("llama", USAGE) is None


def test_the_models_a_demo_needs_have_prices() -> None:
    assert set(PRICES) >= {
        "gpt-4o-mini",
        "gpt-4o",
        "gpt-5-mini",
        "text-embedding-3-small",
    }
