import statistics

from runner.simulator.draws import Draws

PROMPTS = [str(number).encode() for number in range(4000)]


def test_the_same_seed_decides_the_same_and_another_does_not() -> None:
    first = [Draws(7).number("fault", prompt, 0) for prompt in PROMPTS[:50]]

    assert [Draws(7).number("fault", prompt, 0) for prompt in PROMPTS[:50]] == first
    assert [Draws(8).number("fault", prompt, 0) for prompt in PROMPTS[:50]] != first


def test_each_time_and_each_question_is_decided_anew() -> None:
    draws = Draws(7)
    numbers = {
        draws.number(what, prompt, times)
        for what in ("fault", "kind")
        for prompt in PROMPTS[:10]
        for times in range(10)
    }

    assert len(numbers) == 200


def test_events_happen_at_their_rates_and_never_two_at_once() -> None:
    draws = Draws(7)
    rates = (("reset", 0.2), ("hang", 0.3))
    happened = [draws.one_of(rates, "fault", prompt, 0) for prompt in PROMPTS]

    assert abs(happened.count("reset") / len(PROMPTS) - 0.2) < 0.02
    assert abs(happened.count("hang") / len(PROMPTS) - 0.3) < 0.02


def test_a_rate_of_one_always_and_of_none_never_happens() -> None:
    draws = Draws(7)

    assert all(draws.one_of((("a", 1.0),), "x", prompt, 0) for prompt in PROMPTS)
    assert not any(draws.one_of((), "x", prompt, 0) for prompt in PROMPTS)
    assert not any(draws.hits(0.0, "x", prompt, 0) for prompt in PROMPTS)


def test_latency_spreads_around_its_median() -> None:
    draws = Draws(7)
    latencies = [draws.latency_s(0.3, 0.4, prompt, 0) for prompt in PROMPTS]

    assert abs(statistics.median(latencies) - 0.3) < 0.02
    assert {draws.latency_s(0.3, 0, prompt, 0) for prompt in PROMPTS[:9]} == {0.3}
