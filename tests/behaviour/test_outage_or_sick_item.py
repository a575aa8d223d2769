"""The server or the item? With one thread, when one item is left, and asked again."""

import time
from collections.abc import Callable

import pytest
from bench import Bench, wait_until

MakeBench = Callable[[str], Bench]
ONE = ("--workers", 1, "--threads", 1)


def test_with_one_thread_an_outage_in_the_middle_fails_no_item(
    make_bench: MakeBench,
) -> None:
    """The items behind it are asked too, and their failures tell."""
    bench = make_bench("latency=0.05,latency_spread=0")
    process = bench.start(bench.items(40), *ONE)
    bench.wait_for_answers(10)

    bench.scenario(outage="500")
    wait_until(lambda: "nothing answers" in (bench.status()["waiting_for"] or ""), 30)
    refused = {
        (line["client_request_id"] or "?-?").split("-")[1]
        for line in bench.ledger()
        if line["status"] == 500
    }
    bench.scenario(outage="none")
    output, _ = process.communicate(timeout=150)

    assert len(refused) >= 2
    assert process.returncode == 0, output
    assert len(bench.audit().outcomes) == 40
    log = (bench.state / "items" / "runner.log").read_text("utf-8")
    assert "nothing new is sent: nothing answers" in log
    assert "goes on after" in log


@pytest.mark.parametrize("sizes", [ONE, ("--workers", 2, "--threads", 8)])
def test_the_last_item_that_always_fails_does_not_hold_up_the_end(
    make_bench: MakeBench, sizes: tuple[object, ...]
) -> None:
    """Nobody else is left to ask: six errors in half a minute are its own."""
    bench = make_bench("latency=0.05,match=SICK,match_fault=error_500")
    items = bench.items(30)
    with items.open("a") as stream:
        stream.write('{"id": "sick", "text": "SICK"}\n')

    began_s = time.monotonic()
    process = bench.start(items, *sizes)
    output, _ = process.communicate(timeout=120)

    assert process.returncode == 3, output
    assert time.monotonic() - began_s < 60
    failed = bench.output("items_failed.jsonl")
    assert [(line["id"], line["llm"]["requests"]) for line in failed] == [("sick", 6)]


def test_items_that_failed_and_fail_again_end_the_run_again(
    make_bench: MakeBench,
) -> None:
    """Nobody else is asked beside them, and nothing has been answered yet."""
    bench = make_bench("latency=0.05,match=SICK,match_fault=error_500")
    items = bench.items(3, text="SICK")
    with items.open("a") as stream:
        stream.writelines(f'{{"id": "well{n}", "text": "well"}}\n' for n in range(90))
    output, _ = bench.start(items).communicate(timeout=120)
    before = _requests(bench)
    assert len(before) == 3, output

    done = bench.run("resume", "--retry-failed")

    assert done.code == 3, done.output
    assert _requests(bench) == {item: sent + 6 for item, sent in before.items()}


def _requests(bench: Bench) -> dict[str, int]:
    """Of each item that failed."""
    lines = bench.output("items_failed.jsonl")
    return {line["id"]: line["llm"]["requests"] for line in lines}
