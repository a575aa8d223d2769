import http.client
import json
import socket
import time
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from simulator_bench import Bench


def raw_reply(bench: Bench, timeout_s: float = 5.0) -> tuple[bytes, str]:
    """Every byte that comes back, and how the connection ended."""
    address = urlsplit(bench.simulator.base_url)
    body = json.dumps(
        {"model": bench.model, "messages": [{"role": "user", "content": "x"}]}
    ).encode()
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}"
    )
    got = b""
    with socket.create_connection((address.hostname, address.port)) as connection:
        connection.settimeout(timeout_s)
        connection.sendall(head.encode() + b"\r\n\r\n" + body)
        try:
            while piece := connection.recv(65536):
                got += piece
        except ConnectionResetError:
            return got, "reset"
        except TimeoutError:
            return got, "timeout"
    return got, "closed"


@pytest.mark.parametrize(
    ("fault", "status", "kind", "code"),
    [
        ("error_500", 500, "server_error", None),
        ("error_503", 503, "server_error", None),
        ("slow_down", 429, "requests", "slow_down"),
        ("overloaded", 503, "service_unavailable_error", "server_is_overloaded"),
        ("rate_limited_at_random", 429, "requests", "rate_limit_exceeded"),
        ("bad_request", 400, "invalid_request_error", "context_length_exceeded"),
        ("error_in_200", 200, "server_error", None),
    ],
)
def test_an_error_has_the_shape_of_the_real_one(
    bench: Bench, fault: str, status: int, kind: str, code: str | None
) -> None:
    bench.set(f"{fault}=1")
    reply = bench.ask()
    error = reply.json()["error"]

    assert reply.status_code == status
    assert (error["type"], error["code"]) == (kind, code)
    assert reply.headers["x-request-id"] == bench.ledger()[0]["request_id"]
    assert bench.ledger()[0]["outcome"] == fault
    assert bench.ledger()[0]["billed"] is False


def test_a_random_429_asks_for_a_second_or_for_what_is_set(bench: Bench) -> None:
    bench.set("rate_limited_at_random=1")
    assert bench.ask().headers["retry-after"] == "1"

    bench.set("rate_limited_at_random=1,retry_after=130")
    headers = bench.ask().headers
    assert headers["retry-after"] == "130"
    assert "retry-after-ms" not in headers


def test_an_error_can_be_a_plain_string(bench: Bench) -> None:
    bench.set("error_string=1")
    reply = bench.ask()

    assert (reply.status_code, reply.json()) == (
        500,
        {"error": "upstream connect error"},
    )


def test_a_200_can_be_a_web_page(bench: Bench) -> None:
    bench.set("html=1")
    reply = bench.ask()

    assert reply.status_code == 200
    assert reply.headers["content-type"].startswith("text/html")
    assert reply.text.startswith("<!DOCTYPE html>")


def test_a_200_can_be_cut_json(bench: Bench) -> None:
    bench.set("malformed=1")
    reply = bench.ask()

    assert reply.status_code == 200
    with pytest.raises(requests.JSONDecodeError):
        reply.json()
    assert bench.ledger()[0]["billed"] is True


def test_a_redirect_leads_back_to_itself(bench: Bench) -> None:
    bench.set("redirect=1")
    reply = bench.ask()

    assert reply.status_code == 307
    assert reply.headers["location"] == "/v1/chat/completions"


@pytest.mark.parametrize("bytes_sent", [0, 9, 400])
def test_a_reset_comes_after_so_many_bytes(bench: Bench, bytes_sent: int) -> None:
    bench.set(f"reset=1,reset_after={bytes_sent}")
    got, end = raw_reply(bench)

    assert end == "reset"
    assert len(got) == bytes_sent
    assert b"HTTP/1.1 200 OK".startswith(got[:15])
    assert bench.ledger()[0]["billed"] is True


def test_a_connection_can_close_instead_of_a_reply(bench: Bench) -> None:
    bench.set("close_before_reply=1")

    assert raw_reply(bench) == (b"", "closed")
    assert bench.ledger()[0]["status"] is None
    assert bench.ledger()[0]["billed"] is True


def test_a_body_can_come_byte_by_byte(bench: Bench) -> None:
    bench.set("trickle_body=1,trickle_every=0.001")
    assert bench.ask().json()["choices"]

    bench.set("trickle_body=1,trickle_every=0.5")
    got, end = raw_reply(bench, timeout_s=0.3)
    head, _, body = got.partition(b"\r\n\r\n")
    assert end == "timeout"
    assert b"ontent-Length: " in head
    assert len(body) == 1


def test_headers_can_come_byte_by_byte(bench: Bench) -> None:
    bench.set("trickle_headers=1,trickle_every=0.0005")
    assert bench.ask().json()["choices"]

    bench.set("trickle_headers=1,trickle_every=0.5")
    got, end = raw_reply(bench, timeout_s=0.3)
    assert (got, end) == (b"H", "timeout")


def test_a_request_can_hang_until_the_client_leaves(bench: Bench) -> None:
    bench.set("hang=1")

    assert raw_reply(bench, timeout_s=0.3) == (b"", "timeout")
    assert bench.ledger()[0]["billed"] is True
    give_up_s = time.monotonic() + 3
    while bench.stats()["open"] and time.monotonic() < give_up_s:
        time.sleep(0.02)
    assert bench.stats()["open"] == 0


def test_a_fault_leaves_the_server_well(bench: Bench) -> None:
    for fault in ("reset", "close_before_reply", "trickle_headers"):
        bench.set(f"{fault}=1,trickle_every=0.0005")
        raw_reply(bench)
    bench.set("")

    assert bench.ask().status_code == 200


def test_a_request_whose_body_never_arrives_is_in_the_ledger(bench: Bench) -> None:
    address = urlsplit(bench.simulator.base_url)
    connection = http.client.HTTPConnection(str(address.hostname), address.port)
    connection.putrequest("POST", "/v1/chat/completions")
    connection.putheader("content-length", "100")
    connection.endheaders(b"{")
    before = bench.stats()
    connection.close()
    give_up_s = time.monotonic() + 3
    while "incomplete" not in (now := bench.stats())["by_outcome"]:
        assert time.monotonic() < give_up_s, (before, now)
        time.sleep(0.02)

    line: dict[str, Any] = bench.last_line()
    assert (line["outcome"], line["billed"]) == ("incomplete", False)
