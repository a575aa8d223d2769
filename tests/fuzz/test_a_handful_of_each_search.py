"""The long searches, for seconds: they can still find something."""

import pytest

from fuzz import cap, inputs, responses, sends
from fuzz.odd_responses import End, Odd
from fuzz.stage import staged
from runner.records import Reply


def test_no_line_is_dropped_without_a_word() -> None:
    seen, wrong = inputs.searched(files=60, lines=2_000, seed=11)
    assert [] == wrong
    assert seen["accepted"] > 300
    assert seen["rejected"] > 300


def test_no_answer_goes_unrecorded_however_it_comes() -> None:
    seen, wrong = responses.to_the_client(responses.cases(300, 11), deadline_s=2.0)
    assert [] == wrong
    assert {"answer", "cut", "garbled", "timeout"} <= seen.keys()


def test_nor_does_it_in_a_run() -> None:
    assert [] == responses.through_a_run(responses.cases(40, 12), 12)


def test_a_lost_answer_would_be_seen() -> None:
    odd = Odd("whole", (b"",), End.CLOSE, body=b"paid for")
    reply = Reply(
        status=200, headers={}, body=b"", latency_s=0, request_id=None, failure=None
    )
    assert responses.wrong_with(odd, reply)


@pytest.mark.parametrize("seed", [10, 11, 12])
def test_the_servers_bill_stays_below_the_cap(seed: int) -> None:
    with staged("", seed) as stage:
        end, wrong = cap.one_run(stage, cap.Draw.of(seed))
    assert [] == wrong
    assert end in ("capped", "ended")


def test_each_request_is_on_record_and_each_record_was_a_request() -> None:
    assert [] == sends.searched(300, faults=0.2, latency_s=0.02, threads=8, seed=11)


def test_a_request_nobody_recorded_would_be_seen() -> None:
    with staged("latency=0", 1) as stage:
        command = stage.command(
            *("start", stage.items(3, "few"), "--model", "gpt-4o-mini"),
            *("--prompt", "{{text}}"),
        )
        command.communicate(timeout=60)
        ledger = stage.folder / "ledger.jsonl"
        lines = ledger.read_text().splitlines(keepends=True)
        ledger.write_text("".join(lines[1:]) + lines[1])
        _, _, wrong = sends.differences(stage.state / "few", stage)
    assert 2 == len(wrong)
