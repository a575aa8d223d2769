from decimal import Decimal
from pathlib import Path

import pytest

from runner.simulator import SETTINGS, ScenarioError, settings
from runner.simulator.faults import FAULTS, KINDS
from runner.simulator.scenario import Scenario
from runner.simulator.scenario_text import changed, parse, to_json


def test_settings_are_read_by_their_type() -> None:
    scenario = parse(
        "latency=1.5, rpm=10_000,choices=a|b,strict_models=1,window=bucket"
    )

    assert scenario == Scenario(
        latency=1.5,
        rpm=10_000,
        choices=("a", "b"),
        strict_models=True,
        window="bucket",
    )


def test_a_comma_belongs_to_the_value_unless_a_name_follows() -> None:
    scenario = parse("answer=Well, yes!,unknown_model=gpt-1,gpt-2,rpm=3")

    assert scenario.answer == "Well, yes!"
    assert scenario.unknown_model == ("gpt-1", "gpt-2")
    assert scenario.rpm == 3


def test_an_http_date_can_be_a_retry_after() -> None:
    scenario = parse("retry_after=Mon, 23 Nov 2026 08:30:00 GMT")

    assert scenario.retry_after == "Mon, 23 Nov 2026 08:30:00 GMT"


def test_money_stays_exact() -> None:
    assert parse("credit_usd=0.1").credit_usd == Decimal("0.1")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("latncy=1", "no setting 'latncy'; did you mean latency?"),
        ("latency", "'latency': no '=' in it"),
        ("latency=fast", "latency='fast': must be a number of at least 0"),
        ("latency=nan", "latency='nan'"),
        ("rpm=1.5", "rpm='1.5': must be a whole number of at least 0"),
        ("invalid=1.1", "invalid='1.1': must be a number of at least 0 and at most 1"),
        ("outage=maybe", "must be one of none|500|503|refuse|hang|proxy_html"),
        ("strict_models=perhaps", "must be 0 or 1"),
        ("match_fault=nonsense", "must be one of error_500, "),
        ("reset=0.6,hang=0.6", "rates add up to 1.2"),
        ("invalid=0.6,refusal=0.6", "rates add up to 1.2"),
    ],
)
def test_an_impossible_setting_is_refused_in_one_line(
    text: str, complaint: str
) -> None:
    with pytest.raises(ScenarioError) as caught:
        parse(text)

    assert complaint in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_is_shown_can_be_set_again() -> None:
    scenario = parse("choices=a|b,credit_usd=0.10,rpm=7,outage=500,no_usage=0.25")

    assert changed(Scenario(), to_json(scenario)) == scenario


def test_the_expected_key_is_not_shown() -> None:
    assert "sk-secret" not in str(to_json(parse("key=sk-secret")))


def test_every_setting_has_a_default_and_a_line_of_help() -> None:
    assert settings() == SETTINGS
    assert all(one.help and "\n" not in one.help for one in SETTINGS)
    text = ",".join(f"{one.name}={one.default}" for one in SETTINGS)
    assert parse(text) == Scenario()


def test_every_fault_and_kind_is_a_rate() -> None:
    rates = {one.name for one in SETTINGS if one.help.startswith("rate of ")}

    assert set(FAULTS) | set(KINDS) <= rates


def test_every_setting_is_set_by_some_test() -> None:
    """A setting nobody tries is a promise nobody keeps."""
    tests = "".join(
        path.read_text() for path in Path(__file__).parent.glob("test_*.py")
    )

    untried = [one.name for one in SETTINGS if f"{one.name}=" not in tests]
    named = set(FAULTS) | set(KINDS)  # tried by tests that go through the table
    assert [name for name in untried if name not in named] == []
