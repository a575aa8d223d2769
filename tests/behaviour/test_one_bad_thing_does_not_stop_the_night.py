"""Dead accounts stop a run at once; outages and sick items do not."""

import os
from collections.abc import Callable

import pytest
from bench import Bench, wait_until

MakeBench = Callable[[str], Bench]


@pytest.mark.parametrize(
    ("trouble", "cure"),
    [
        ({"account": "empty"}, {"account": "ok"}),
        ({"key": "sk-another"}, {"key": "any"}),
        ({"unknown_model": "gpt-4o-mini"}, {"unknown_model": ""}),
    ],
)
def test_a_dead_account_stops_the_run_after_about_one_request_a_worker(
    make_bench: MakeBench, trouble: dict[str, str], cure: dict[str, str]
) -> None:
    """Rivals burn hundreds; here the items stay pending and a resume works."""
    bench = make_bench("latency=0.1")
    bench.scenario(**trouble)
    items = bench.items(300)

    process = bench.start(items, "--workers", 4, "--threads", 16)
    output, _ = process.communicate(timeout=60)

    assert process.returncode == 4, output
    assert len(bench.ledger()) <= 4 + 2
    assert "runner resume items" in output
    assert output.count("\n") < 20, output
    assert bench.status()["items"]["pending"] == 300

    bench.scenario(**cure, latency=0.02)
    assert bench.run("resume").code == 0
    assert len(bench.audit().outcomes) == 300


def test_a_server_that_is_away_fails_no_item(make_bench: MakeBench) -> None:
    """Refused connections and 503s are waited out."""
    bench = make_bench("latency=0.2,latency_spread=0")
    process = bench.start(bench.items(150))
    bench.wait_for_answers(30)

    bench.scenario(outage="refuse")
    wait_until(lambda: bench.status()["waiting_for"] is not None)
    bench.scenario(outage="none", latency=0.02)
    output, _ = process.communicate(timeout=120)

    assert process.returncode == 0, output
    audit = bench.audit()
    assert len(audit.outcomes) == 150
    assert audit.paid_twice == set()


def test_an_item_that_always_fails_is_failed_after_six_requests(
    make_bench: MakeBench,
) -> None:
    """While others succeed it is the item, not the server."""
    bench = make_bench("latency=0.05,match=SICK,match_fault=error_500")
    items = bench.items(60)
    with items.open("a") as stream:
        stream.write('{"id": "sick", "text": "SICK"}\n')

    process = bench.start(items)
    output, _ = process.communicate(timeout=170)

    assert process.returncode == 3, output
    failed = bench.output("items_failed.jsonl")
    assert [line["id"] for line in failed] == ["sick"]
    assert failed[0]["llm"]["requests"] == 6
    assert len(bench.output()) == 60


def test_answers_that_stay_invalid_get_four_requests(make_bench: MakeBench) -> None:
    """And are written all the same, with valid: false."""
    bench = make_bench("latency=0.02,always_invalid=5,choices=yes|no")
    process = bench.start(bench.items(80), "--choices", "yes,no")
    output, _ = process.communicate(timeout=60)

    assert process.returncode == 3, output
    invalid = [line["llm"] for line in bench.output() if not line["llm"]["valid"]]
    assert [answer["requests"] for answer in invalid] == [4] * 5
    assert len(bench.ledger()) == 75 + 5 * 4


@pytest.mark.parametrize(
    "oddity",
    ["no_usage=1", "no_headers=1", "error_string=0.1", "html=0.1", "malformed=0.1"],
)
def test_odd_servers_are_survived(make_bench: MakeBench, oddity: str) -> None:
    """Nothing is dropped; what has no price is said to have none."""
    bench = make_bench(f"latency=0.02,{oddity}")
    process = bench.start(bench.items(60), "--max-requests", 4)
    output, _ = process.communicate(timeout=120)

    assert process.returncode == 0, output
    assert len(bench.output()) == 60
    if oddity == "no_usage=1":
        assert bench.status()["unpriced"] == 60
        assert bench.status()["cost_usd"] is None
        assert "unpriced: 60 answers" in output


def test_start_pressed_again_sends_nothing(make_bench: MakeBench) -> None:
    """On a half-done run and on a finished one."""
    bench = make_bench("latency=0.2")
    items = bench.items(40)
    process = bench.start(items)
    bench.wait_for_answers(5)
    os.kill(process.pid, 2)
    process.communicate(timeout=30)
    sent = len(bench.ledger())

    again = bench.start(items)
    output, _ = again.communicate(timeout=30)

    assert again.returncode == 5, output
    assert "resume" in output
    assert len(bench.ledger()) == sent

    assert bench.run("resume").code == 0
    sent = len(bench.ledger())
    again = bench.start(items)
    output, _ = again.communicate(timeout=30)
    assert again.returncode == 5, output
    assert len(bench.ledger()) == sent


def test_each_answer_belongs_to_its_item(make_bench: MakeBench) -> None:
    """Against a server that echoes the question."""
    bench = make_bench("latency=0.01,answer=echo")
    process = bench.start(bench.items(1_000), "--workers", 2, "--threads", 16)
    output, _ = process.communicate(timeout=120)

    assert process.returncode == 0, output
    answers = [line["llm"]["response"] for line in bench.output()]
    assert answers == [f"Echo text {n}" for n in range(1_000)]


def test_a_new_validity_rule_costs_nothing(make_bench: MakeBench) -> None:
    """The stored answers are judged again; the server hears nothing of it."""
    bench = make_bench("latency=0.02,answer=echo")
    process = bench.start(bench.items(60), "--valid-regex", "text [0-4]")
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 3, output
    sent = len(bench.ledger())
    invalid_before = sum(not line["llm"]["valid"] for line in bench.output())

    judged = bench.run("rejudge", "--valid-regex", "text")
    exported = bench.run("export")

    assert (judged.code, exported.code) == (0, 0), judged.output + exported.output
    assert len(bench.ledger()) == sent
    assert invalid_before > 0
    assert all(line["llm"]["valid"] for line in bench.output())


def test_a_job_that_fits_is_hurried_and_no_request_is_refused_for_its_rate(
    make_bench: MakeBench,
) -> None:
    """The server enforces 1,200 a minute in scaled time; it is learned from headers."""
    bench = make_bench("latency=0.05,rpm=1200")
    process = bench.start(bench.items(200), "--workers", 2, "--threads", 16)
    output, _ = process.communicate(timeout=60)

    assert process.returncode == 0, output
    assert {line["status"] for line in bench.ledger()} == {200}
    log = (bench.state / "items" / "runner.log").read_text("utf-8")
    assert "items fit into what the server has left" in log
