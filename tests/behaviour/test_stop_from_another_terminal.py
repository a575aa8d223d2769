"""`runner stop`, and a SIGTERM that somebody else sent."""

import signal
from collections.abc import Callable

import pytest
from bench import Bench

MakeBench = Callable[[str], Bench]


@pytest.mark.parametrize("is_ours", [True, False])
def test_a_run_knows_who_stopped_it(make_bench: MakeBench, is_ours: bool) -> None:
    bench = make_bench("latency=0.2")
    process = bench.start(bench.items(2000))
    bench.wait_for_answers(5)
    if is_ours:
        told = bench.run("stop", "items")
        assert "stopped by `runner stop`" in told.output
    else:
        process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=60)
    assert 143 == process.returncode
    by = "`runner stop`" if is_ours else "SIGTERM"
    assert f"stopped by {by}" in output
    assert f"stopped by {by}" == bench.status()["stopped_because"]
    assert not (bench.state / "items" / "stop.request").exists()


def test_a_note_for_a_process_that_died_says_nothing_of_the_next_one(
    make_bench: MakeBench,
) -> None:
    bench = make_bench("latency=0.2")
    process = bench.start(bench.items(2000))
    bench.wait_for_answers(5)
    (bench.state / "items" / "stop.request").write_text(f'[{process.pid}, "1"]')
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert "stopped by SIGTERM" == bench.status()["stopped_because"]
