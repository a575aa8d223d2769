"""Numbers, money and times as a person reads them."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.wording import bound, count, duration, percent, rate, shortened, usd


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (None, "unknown"),
        (0, "0 s"),
        (-3.0, "0 s"),
        (44.6, "45 s"),
        (59.6, "1 min"),
        (125, "2 min 5 s"),
        (725, "12 min"),
        (3_600, "1 h"),
        (3_900, "1 h 5 min"),
        (6 * 3_600, "6 h"),
        (86_399, "23 h 59 min"),
        (86_400, "1 d"),
        (2 * 86_400 + 3 * 3_600 + 59, "2 d 3 h"),
    ],
)
def test_a_duration_has_at_most_two_units(seconds: float | None, expected: str) -> None:
    assert expected == duration(seconds)


@pytest.mark.parametrize(
    ("done", "total", "expected"),
    [
        (0, 10, "0 %"),
        (1, 3, "33 %"),
        (999_999, 1_000_000, "99 %"),
        (10, 10, "100 %"),
        (0, 0, "100 %"),
    ],
)
def test_a_hundred_percent_means_all_of_them(
    done: int, total: int, expected: str
) -> None:
    assert expected == percent(done, total)


@given(st.integers(1, 10**7), st.integers(0, 10**7))
def test_no_share_is_shown_larger_than_it_is(total: int, done: int) -> None:
    done = min(done, total)
    assert int(percent(done, total).removesuffix(" %")) * total <= done * 100


@pytest.mark.parametrize(
    ("amount", "expected"),
    [
        (None, "unknown"),
        (Decimal(0), "$0.00"),
        (Decimal("0.00001234"), "$0.000012"),
        (Decimal("0.012345"), "$0.0123"),
        (Decimal("1.23456"), "$1.2346"),
        (Decimal("1234.567"), "$1,234.57"),
    ],
)
def test_dollars_show_the_digits_that_matter(
    amount: Decimal | None, expected: str
) -> None:
    assert expected == usd(amount)


@given(st.decimals(0, 10**6, places=10))
def test_a_bound_is_never_shown_below_itself(amount: Decimal) -> None:
    shown = usd(amount, is_bound=True)
    assert Decimal(shown.removeprefix("$").replace(",", "")) >= amount


def test_counts_agree_with_their_words() -> None:
    assert ("1 item", "4,812 items", "0 items", "12") == (
        count(1, "item"),
        count(4_812, "item"),
        count(0, "item"),
        count(12),
    )


@pytest.mark.parametrize(
    ("per_minute", "limit", "expected"),
    [
        (812.0, 1_000, "812 requests/min of 1,000"),
        (3.25, None, "3.2 requests/min"),
        (0.0, None, "0 requests/min"),
    ],
)
def test_a_rate_stands_beside_its_limit(
    per_minute: float, limit: int | None, expected: str
) -> None:
    assert expected == rate(per_minute, "requests", limit)


@pytest.mark.parametrize(
    ("text", "most", "expected"),
    [
        ("one two three", 13, "one two three"),
        ("one two three", 12, "one two..."),
        ("one two three", 10, "one two..."),
        ("one (two (three four)", 20, "one (two (three...))"),
        ("one (two, (three) four)", 20, "one (two...)"),
        ("x" * 30, 20, "x" * 17 + "..."),
        ("20 in a row, e.g.: averylongword", 24, "20 in a row..."),
    ],
)
def test_a_text_is_cut_between_words_and_its_brackets_are_closed(
    text: str, most: int, expected: str
) -> None:
    assert expected == shortened(text, most)
    assert len(shortened(text, most)) <= most


def test_a_highest_price_that_nobody_knows_says_why() -> None:
    """`at most unknown` tells nobody which option would have bounded it."""
    assert "at most $0.0201" == bound(Decimal("0.02001"))
    assert "no limit of output tokens" in bound(None)
