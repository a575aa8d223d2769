"""Answers without usage have no price; the dollar cap counts them at their worst."""

from collections.abc import Callable
from decimal import Decimal

from bench import Bench

MakeBench = Callable[[str], Bench]
_CAP = ("--max-cost", "0.01", "--param", "max_completion_tokens=500")


def test_the_cap_holds_for_answers_nobody_can_price(make_bench: MakeBench) -> None:
    bench = make_bench("latency=0.01,no_usage=1")
    process = bench.start(bench.items(200), *_CAP)
    output, _ = process.communicate(timeout=120)
    assert 4 == process.returncode, output
    asked = len(bench.ledger())
    # gpt-4o-mini: 500 tokens out at $0.60 a million are $0.0003, some bytes in more.
    assert 20 <= asked <= 33
    status = bench.status()
    assert asked == status["unpriced"] == status["requests"]["sent"]
    assert status["cost_usd"] is None
    assert status["cost_at_most_usd"] is None
    assert "$0.01 are spent or may have been" in status["stopped_because"]
    told = bench.run("status", "items").output
    assert f"unpriced: {asked} answers" in told

    again = bench.run("resume", "items")
    assert 4 == again.code, again.output
    assert asked == len(bench.ledger())

    more = bench.run("resume", "items", "--max-cost", "0.02")
    assert 4 == more.code, more.output
    worst_usd = Decimal("0.01") / asked
    assert asked < len(bench.ledger()) <= Decimal("0.02") / worst_usd + 1
