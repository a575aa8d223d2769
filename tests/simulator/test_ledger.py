import hashlib
import json
import os
import resource
import signal
import socket
import threading
import time
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from simulator_bench import Bench

from runner.simulator import LedgerError, cost_usd, launch, read_ledger
from runner.simulator.ledger import Ledger

FIELDS = {
    "t_unix_s",
    "received_unix_s",
    "client_request_id",
    "request_id",
    "endpoint",
    "model",
    "outcome",
    "kind",
    "status",
    "billed",
    "usage",
    "cost_usd",
    "prompt_sha256",
    "answer_sha256",
    "authorized",
}


def post(base_url: str, prompt: str, **body: Any) -> requests.Response:
    messages = [{"role": "user", "content": prompt}]
    whole = {"model": "gpt-4o-mini", "messages": messages} | body
    return requests.post(f"{base_url}/chat/completions", json=whole, timeout=10)


def answers(replies: list[requests.Response]) -> list[Any]:
    return [
        reply.json()["choices"][0]["message"] if reply.ok else reply.status_code
        for reply in replies
    ]


def test_a_line_says_what_was_asked_by_whom_and_what_it_cost(bench: Bench) -> None:
    bench.model = "gpt-4o-mini"
    reply = bench.ask("the lamp", headers={"x-client-request-id": "night-7-1"})
    line = bench.last_line()

    assert set(line) == FIELDS
    assert line["client_request_id"] == "night-7-1"
    assert line["endpoint"] == "/v1/chat/completions"
    assert line["answer_sha256"] == hashlib.sha256(reply.content).hexdigest()
    assert line["usage"]["output_tokens"] == reply.json()["usage"]["completion_tokens"]
    assert Decimal(line["cost_usd"]) == cost_usd("gpt-4o-mini", line["usage"])
    assert line["received_unix_s"] <= line["t_unix_s"] <= time.time()


def test_the_same_prompt_has_the_same_digest_whatever_else_is_asked(
    bench: Bench,
) -> None:
    bench.ask("one")
    bench.ask("one", max_tokens=5)
    bench.ask("two")
    digests = [line["prompt_sha256"] for line in bench.ledger()]

    assert digests[0] == digests[1] != digests[2]


def test_an_unpriced_answer_is_billed_at_nobody_knows_what(bench: Bench) -> None:
    bench.ask()

    assert (bench.ledger()[0]["billed"], bench.ledger()[0]["cost_usd"]) == (True, None)


def test_every_request_has_exactly_one_line(bench: Bench) -> None:
    bench.set("error_500=0.2,rate_limited_at_random=0.2,malformed=0.2,invalid=0.3")
    before = bench.stats()["requests"]
    request_ids = [bench.ask().headers["x-request-id"] for _ in range(50)]

    assert [line["request_id"] for line in bench.ledger()] == request_ids
    assert bench.stats()["requests"] == before + 50


def test_the_line_is_written_before_the_first_byte_of_the_reply(bench: Bench) -> None:
    """A reply that trickles has its line while its first byte is on the way."""
    bench.set("trickle_headers=1,trickle_every=0.2")
    address = urlsplit(bench.simulator.base_url)
    body = json.dumps({"model": bench.model, "messages": ["x"]}).encode()
    with socket.create_connection((address.hostname, address.port)) as connection:
        connection.sendall(
            b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n"
            b"content-length: %d\r\n\r\n" % len(body) + body
        )
        assert connection.recv(1) == b"H"
        assert len(bench.ledger()) == 1


def test_killing_the_simulator_loses_no_line_that_was_answered(tmp_path: Path) -> None:
    ledger = tmp_path / "ledger.jsonl"
    received: list[str] = []

    def ask_on(base_url: str) -> None:
        try:
            while True:
                received.append(post(base_url, "x").headers["x-request-id"])
        except requests.ConnectionError:
            return  # the simulator is gone

    with launch("latency=0", ledger, seed=1) as simulator:
        askers = [
            threading.Thread(target=ask_on, args=(simulator.base_url,))
            for _ in range(4)
        ]
        for asker in askers:
            asker.start()
        while len(received) < 100:
            time.sleep(0.005)
        os.kill(simulator.pid, signal.SIGKILL)
        for asker in askers:
            asker.join()
    written = [line["request_id"] for line in read_ledger(ledger)]

    assert set(received) <= set(written)
    assert len(written) - len(received) <= 4
    assert len(written) == len(set(written))


def test_what_is_being_generated_when_the_simulator_is_told_to_end_is_billed(
    tmp_path: Path,
) -> None:
    ledger = tmp_path / "ledger.jsonl"
    with launch("latency=30,latency_spread=0", ledger, seed=1) as simulator:
        asker = threading.Thread(
            target=pytest.raises,
            args=(requests.ConnectionError, post, simulator.base_url, "x"),
        )
        asker.start()
        while not requests.get(f"{simulator.control_url}/stats").json()["open"]:
            time.sleep(0.01)
        simulator.stop()
        asker.join()

    assert [line["billed"] for line in read_ledger(ledger)] == [True]


def test_two_fresh_servers_with_one_seed_answer_alike_in_any_order(
    tmp_path: Path,
) -> None:
    scenario = "latency=0,invalid=0.3,error_500=0.2,refusal=0.1"
    prompts = [f"prompt {number % 10}" for number in range(40)]
    given: list[dict[str, list[Any]]] = []
    for run, order in (("first", prompts), ("second", sorted(prompts))):
        by_prompt: dict[str, list[Any]] = {}
        with launch(scenario, tmp_path / run, seed=5) as simulator:
            for prompt in order:
                reply = post(simulator.base_url, prompt)
                by_prompt.setdefault(prompt, []).extend(answers([reply]))
        given.append(by_prompt)

    assert given[0] == given[1]
    assert 500 in [one for several in given[0].values() for one in several]


def test_a_simulator_started_again_goes_on_where_it_stopped(tmp_path: Path) -> None:
    """A resumed run meets the answers it would have met without the break."""
    scenario = "latency=0,invalid=0.4,error_500=0.2,always_invalid=2"
    prompts = [f"prompt {number % 6}" for number in range(24)]
    with launch(scenario, tmp_path / "whole", seed=5) as simulator:
        whole = answers([post(simulator.base_url, p) for p in prompts])
    broken = []
    for half in (prompts[:9], prompts[9:]):
        with launch(scenario, tmp_path / "broken", seed=5) as simulator:
            broken += answers([post(simulator.base_url, p) for p in half])

    assert broken == whole
    lines = list(read_ledger(tmp_path / "broken"))
    assert len(lines) == 24
    assert len({line["prompt_sha256"] for line in lines if line.get("marked")}) == 2


def test_a_half_written_line_is_dropped_because_nothing_was_answered(
    tmp_path: Path,
) -> None:
    path = tmp_path / "ledger.jsonl"
    path.write_bytes(b'{"a":1}\n{"a":2')
    assert list(read_ledger(path)) == [{"a": 1}]
    ledger = Ledger(path)
    ledger.write({"a": 3})
    ledger.close()

    assert list(read_ledger(path)) == [{"a": 1}, {"a": 3}]


def test_a_file_that_is_no_ledger_is_not_taken_for_one(tmp_path: Path) -> None:
    path = tmp_path / "items.jsonl"
    path.write_text("hello\n")

    with pytest.raises(LedgerError, match=r"items.jsonl, line 1: not JSON"):
        list(read_ledger(path))


def test_no_ledger_is_no_lines(tmp_path: Path) -> None:
    assert list(read_ledger(tmp_path / "none")) == []


@pytest.mark.parametrize("room_bytes", [0, 10])
def test_nothing_is_answered_when_its_line_cannot_be_written(
    tmp_path: Path, room_bytes: int
) -> None:
    """The price of such an answer would be known to nobody."""
    path = tmp_path / "ledger.jsonl"
    with launch("latency=0", path, seed=1) as simulator:
        assert post(simulator.base_url, "x").status_code == 200
        free = resource.prlimit(simulator.pid, resource.RLIMIT_FSIZE)
        full = (path.stat().st_size + room_bytes, free[1])
        resource.prlimit(simulator.pid, resource.RLIMIT_FSIZE, full)
        assert post(simulator.base_url, "x").status_code == 500
        resource.prlimit(simulator.pid, resource.RLIMIT_FSIZE, free)
        assert post(simulator.base_url, "x").status_code == 200

    assert [line["status"] for line in read_ledger(path)] == [200, 200]


def test_only_its_owner_can_read_a_ledger(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "new" / "ledger.jsonl")
    ledger.close()

    assert (tmp_path / "new" / "ledger.jsonl").stat().st_mode & 0o777 == 0o600
