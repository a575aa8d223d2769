"""How the text after an option is read."""

import contextlib
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.cli.values import choices, duration_s, params, size_bytes, usd, whole
from runner.errors import UsageError
from runner.fitting import Within


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30s", 30.0),
        ("10m", 600.0),
        ("10min", 600.0),
        ("6h", 21_600.0),
        ("1d", 86_400.0),
        ("1h30m", 5_400.0),
        ("1h 30m", 5_400.0),
        ("1.5H", 5_400.0),
        ("90", 90.0),
        ("2.5", 2.5),
    ],
)
def test_times_are_read_as_people_write_them(text: str, seconds: float) -> None:
    assert seconds == duration_s("--timeout", Within("seconds", 1, 10**6))(text)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("1000", 1_000),
        ("500MB", 500_000_000),
        ("2GiB", 2 << 30),
        ("2G", 2 << 30),
        ("1.5 gib", 3 << 29),
        ("10 KiB", 10_240),
        ("7B", 7),
    ],
)
def test_sizes_are_read_as_people_write_them(text: str, size: int) -> None:
    assert size == size_bytes("--min-free")(text)


@pytest.mark.parametrize(
    ("text", "amount"),
    [("5", "5"), ("$5", "5"), ("0.50", "0.5"), (".5", "0.5"), (" 2.50 ", "2.5")],
)
def test_money_is_exact(text: str, amount: str) -> None:
    assert Decimal(amount) == usd("--max-cost")(text)


@given(st.integers(1, 10**9))
def test_whole_numbers_may_have_underscores(number: int) -> None:
    assert number == whole("--rpm", Within("a whole number", 1, 10**9))(f"{number:_}")


@given(st.text())
def test_no_text_makes_a_reader_fail_in_any_other_way_than_its_own(text: str) -> None:
    readers = (
        whole("--rpm", Within("a whole number", 1, 10)),
        duration_s("--timeout", Within("seconds", 1, 10)),
        size_bytes("--min-free"),
        usd("--max-cost"),
        lambda given: choices("--choices", given),
        lambda given: params("--param", [given]),
    )
    for read in readers:
        with contextlib.suppress(UsageError):
            read(text)


def test_params_are_json() -> None:
    texts = ["temperature=0.2", 'stop=["a","b"]', 'x="t=1"', "big=12345678901234567890"]
    assert {
        "temperature": 0.2,
        "stop": ["a", "b"],
        "x": "t=1",
        "big": 12345678901234567890,
    } == params("--param", texts)


def test_choices_are_words_without_the_spaces_around_them() -> None:
    assert ("yes", "no", "not sure") == choices("--choices", "yes, no,not sure")
