"""P9: what is on the wire for one call, whatever the server does."""

import json
import os
import socket
import threading
from collections.abc import Callable
from typing import Any

import pytest
from client_server import (
    KEY,
    WAIT_S,
    Calling,
    FakeClock,
    Line,
    Script,
    Server,
    always,
    as_sent,
    chat,
    error,
    http,
)

from runner.client import Client, ClientSettings, connections
from runner.errors import EndpointError, UsageError
from runner.records import PATHS, Endpoint, FailureKind, Request

Serve = Callable[[Script], Server]
Connect = Callable[..., Client]


def cut_body(line: Line) -> None:
    """Send half of what was announced, and hang up."""
    line.request()
    line.send(http(200, b'{"choices": [', length=1000))


def hang_up(line: Line) -> None:
    """Read the request, and hang up."""
    line.request()


@pytest.mark.parametrize(
    ("script", "kind", "is_billed"),
    [
        (always(error(429, message="Rate limit")), FailureKind.THROTTLED, False),
        (always(error(500, message="oops")), FailureKind.SERVER, False),
        (always(error(503, message="oops")), FailureKind.SERVER, False),
        (always(error(408, message="oops")), FailureKind.SERVER, True),
        (always(error(409, message="oops")), FailureKind.SERVER, False),
        (
            always(http(400, b'{"error":{"message":"no"}}', x_should_retry="true")),
            FailureKind.REJECTED,
            False,
        ),
        (
            always(http(307, b"", location="/v1/elsewhere?key=secret")),
            FailureKind.NOT_FOUND,
            False,
        ),
        (always(http(200, b"<html>")), FailureKind.GARBLED, True),
        (cut_body, FailureKind.CUT, True),
        (hang_up, FailureKind.CUT, True),
    ],
)
def test_a_failure_is_one_request_and_never_a_second(
    serve: Serve,
    connect: Connect,
    script: Script,
    kind: FailureKind,
    *,
    is_billed: bool,
) -> None:
    server = serve(script)
    reply = connect(server.url).call(chat(), "night-1-1")
    assert reply.failure is not None
    assert (reply.failure.kind, reply.failure.possibly_billed) == (kind, is_billed)
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("endpoint", "body"),
    [
        (Endpoint.CHAT, {"model": "m", "messages": [], "x_own": {"b": 1, "a": [1.5]}}),
        (Endpoint.CHAT, {"z": 'ümlaut "quoted" \u2028 😀', "a": None, "t": True}),
        (Endpoint.EMBEDDINGS, {"model": "e", "input": ["one", "two"]}),
        (Endpoint.RESPONSES, {"model": "r", "input": "hi", "metadata": {}}),
    ],
)
def test_the_body_goes_out_as_it_is(
    serve: Serve, connect: Connect, endpoint: Endpoint, body: dict[str, Any]
) -> None:
    """Nothing added (the SDK adds encoding_format to embeddings), nothing moved."""
    server = serve(always(http()))
    request = Request(
        endpoint=endpoint,
        path=PATHS[endpoint],
        body=body,
        content=as_sent(body),
        model="m",
        text_characters=0,
        output_limit_tokens=None,
        is_bounded=True,
    )
    assert connect(server.url).call(request, "night-1-1").failure is None
    [received] = server.requests
    assert received.body == as_sent(body)
    assert received.line == f"POST /v1{PATHS[endpoint]} HTTP/1.1"


def test_the_headers_say_who_asks_and_promise_nothing(
    serve: Serve, connect: Connect
) -> None:
    server = serve(always(http()))
    connect(server.url).call(chat(), "night-17-2")
    sent = server.requests[0].headers
    assert sent["authorization"] == f"Bearer {KEY}"
    assert sent["x-client-request-id"] == "night-17-2"
    assert sent["accept-encoding"] == "identity"
    assert sent["content-type"] == "application/json"
    assert sent["x-stainless-retry-count"] == "0"
    assert "idempotency-key" not in sent


def test_a_request_id_of_any_run_name_fits_a_header(
    serve: Serve, connect: Connect
) -> None:
    server = serve(always(http()))
    connect(server.url).call(chat(), "fragen für\r\nalle" + "x" * 600 + "-17-2")
    sent = server.requests[0].headers["x-client-request-id"]
    assert len(sent) == 512
    assert sent.endswith("xxx-17-2")
    connect(server.url).call(chat(), "für\r\nalle-17-2")
    sent = server.requests[1].headers["x-client-request-id"]
    assert sent == "f%C3%BCr%0D%0Aalle-17-2"


@pytest.mark.parametrize("path", ["http://{}/x", "//{}/x", "x", ""])
def test_the_key_never_goes_to_a_host_that_an_item_names(
    serve: Serve, connect: Connect, path: str
) -> None:
    server, elsewhere = serve(always(http())), serve(always(http()))
    request = chat()
    request = Request(
        **{
            name: getattr(request, name)
            for name in Request.__dataclass_fields__
            if name != "path"
        },
        path=path.format(f"127.0.0.1:{elsewhere.port}"),
    )
    reply = connect(server.url).call(request, "night-1-1")
    assert reply.failure is not None
    assert reply.failure.kind is FailureKind.REJECTED
    assert (server.requests, elsewhere.requests) == ([], [])


def test_a_connection_is_kept_for_the_next_call(serve: Serve, connect: Connect) -> None:
    server = serve(always(http()))
    client = connect(server.url)
    replies = [client.call(chat(), f"night-{n}-1") for n in range(5)]
    assert [reply.failure for reply in replies] == [None] * 5
    assert server.connections == 1


def test_threads_that_call_one_after_the_other_use_one_connection(
    serve: Serve, connect: Connect
) -> None:
    """At a low rate each would find its own closed by the server: TLS all anew."""
    server = serve(always(http(200)))
    client = connect(server.url)
    for _ in range(20):
        assert Calling(client, chat()).reply().failure is None

    assert (len(server.requests), server.connections) == (20, 1)


def test_connections_that_are_not_needed_any_more_are_let_go(
    serve: Serve, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one that is in use stays."""
    here = threading.Barrier(9, timeout=WAIT_S)

    def script(line: Line) -> None:
        while line.request() is not None:
            if len(server.requests) <= 8:
                here.wait()
            line.send(http())

    server = serve(script)
    client = connect(server.url)
    calls = [Calling(client, chat()) for _ in range(8)]
    here.wait()
    assert [call.reply().failure for call in calls] == [None] * 8
    assert server.connections == 8
    client.enforce_deadlines()
    assert client.call(chat(), "night-9-1").failure is None
    assert server.connections == 8

    with monkeypatch.context() as later:
        later.setattr(connections, "REST_S", 0.0)
        later.setattr(connections, "KEEPALIVE_S", 0.0)
        client.enforce_deadlines()
    assert client.call(chat(), "night-10-1").failure is None
    assert server.connections == 9


def test_a_connection_closed_while_idle_is_replaced_unnoticed(
    serve: Serve, connect: Connect
) -> None:
    closed = threading.Event()

    def script(line: Line) -> None:
        line.request()
        line.send(http())
        line.close()
        closed.set()

    server = serve(script)
    client = connect(server.url)
    for number in range(3):
        assert client.call(chat(), f"night-{number}-1").failure is None
        assert closed.wait(WAIT_S)
        closed.clear()
    assert (len(server.requests), server.connections) == (3, 3)


def test_a_connection_closed_just_as_we_send_is_possibly_billed_and_not_repeated(
    serve: Serve, connect: Connect
) -> None:
    def script(line: Line) -> None:
        line.request()
        line.send(http())
        line.request()

    server = serve(script)
    client = connect(server.url)
    assert client.call(chat(), "night-1-1").failure is None
    failure = client.call(chat(), "night-2-1").failure
    assert failure is not None
    assert (failure.kind, failure.possibly_billed) == (FailureKind.CUT, True)
    assert (len(server.requests), server.connections) == (2, 1)


def test_what_has_come_of_a_cut_answer_is_kept(serve: Serve, connect: Connect) -> None:
    def script(line: Line) -> None:
        line.request()
        line.send(http(200, b'{"half":', length=1000, x_request_id="req_7"))

    server = serve(script)
    reply = connect(server.url).call(chat(), "night-1-1")
    assert (reply.status, reply.body) == (200, b'{"half":')
    assert reply.request_id == "req_7"


@pytest.mark.parametrize("cut_after", range(0, 150, 7))
def test_an_answer_cut_anywhere_is_a_failure_that_may_have_cost(
    serve: Serve, connect: Connect, cut_after: int
) -> None:
    whole = http(200, b'{"choices":[{"message":{"content":"an answer"}}]}', date="x")

    def script(line: Line) -> None:
        line.request()
        line.send(whole[: min(cut_after, len(whole) - 1)])

    server = serve(script)
    failure = connect(server.url).call(chat(), "night-1-1").failure
    assert failure is not None
    assert (failure.kind, failure.possibly_billed) == (FailureKind.CUT, True)
    assert len(server.requests) == 1


def test_nobody_there_is_provably_not_sent(serve: Serve, connect: Connect) -> None:
    server = serve(always(http()))
    server.stop()
    reply = connect(server.url).call(chat(), "night-1-1")
    assert reply.failure is not None
    assert reply.failure.kind is FailureKind.NOT_SENT
    assert not reply.failure.possibly_billed
    assert "refused" in reply.failure.message


def test_an_unknown_host_is_provably_not_sent(connect: Connect) -> None:
    reply = connect("http://no-such-host.invalid/v1").call(chat(), "night-1-1")
    assert reply.failure is not None
    assert reply.failure.kind is FailureKind.NOT_SENT


def test_no_descriptor_left_is_provably_not_sent(
    serve: Serve, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries: list[object] = []

    def out_of_files(*where: object, **_: object) -> None:
        tries.append(where)
        raise OSError(24, "Too many open files")

    server = serve(always(http()))
    client = connect(server.url)
    monkeypatch.setattr("socket.create_connection", out_of_files)
    failure = client.call(chat(), "night-1-1").failure
    assert failure is not None
    assert failure.kind is FailureKind.NOT_SENT
    assert "Too many open files" in failure.message
    assert len(tries) == 1


def test_cookies_are_not_carried_from_answer_to_request(
    serve: Serve, connect: Connect
) -> None:
    server = serve(always(http(set_cookie="node=7; Path=/")))
    client = connect(server.url)
    for number in range(2):
        client.call(chat(), f"night-{number}-1")
    assert "cookie" not in server.requests[1].headers


def test_only_telling_headers_are_kept(serve: Serve, connect: Connect) -> None:
    kept = {
        "x-ratelimit-limit-requests": "10000",
        "x-ratelimit-reset-tokens": "6m0s",
        "retry-after-ms": "20",
        "x-request-id": "req_1",
        "openai-processing-ms": "12",
        "date": "Mon, 23 Nov 2026 00:00:00 GMT",
        "server": "cloudflare",
        "x-should-retry": "false",
    }
    dropped = {"x_own": "1", "openai_organization": "org-secret", "set_cookie": "a=b"}
    sent = {name.replace("-", "_").title(): value for name, value in kept.items()}
    server = serve(always(http(200, b"{}", None, **sent, **dropped)))
    reply = connect(server.url).call(chat(), "night-1-1")
    assert reply.headers == {**kept, "content-type": "application/json"}


def test_an_answer_is_handed_over_byte_for_byte(serve: Serve, connect: Connect) -> None:
    body = b'{"b": 1.50, "a": "\\ud800",  "c": NaN}\n'
    server = serve(always(http(200, body)))
    reply = connect(server.url).call(chat(), "night-1-1")
    assert (reply.body, reply.failure, reply.status) == (body, None, 200)


def test_every_answer_belongs_to_its_question(serve: Serve, connect: Connect) -> None:
    """64 threads, each on a connection of its own."""

    def echo(line: Line) -> None:
        while (received := line.request()) is not None:
            line.send(http(200, received.body))

    server = serve(echo)
    client = connect(server.url)
    wrong: list[str] = []

    def ask(thread: int) -> None:
        for number in range(20):
            question = f"thread {thread} question {number} " + "x" * (number * 37)
            reply = client.call(chat(question), f"night-{thread}-{number}")
            said = json.loads(reply.body)["messages"][0]["content"]
            if said != question or reply.failure:
                wrong.append(question)

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(64)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert wrong == []
    assert len(server.requests) == 64 * 20
    assert server.connections <= 64


def test_a_forked_client_refuses_to_work(
    serve: Serve, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = connect(serve(always(http())).url)
    pid = os.getpid()
    monkeypatch.setattr("os.getpid", lambda: pid + 1)
    with pytest.raises(RuntimeError, match="belongs to process"):
        client.call(chat(), "night-1-1")


def test_a_proxy_in_the_environment_is_used(
    serve: Serve, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = serve(always(http(200, b'{"via": "proxy"}')))
    connect_before = connect("http://api.example.com/v1")
    assert connect_before is not None
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.port}")
    reply = connect("http://api.example.com/v1").call(chat(), "night-1-1")
    assert reply.failure is None
    expected = "POST http://api.example.com/v1/chat/completions HTTP/1.1"
    assert proxy.requests[0].line == expected


def test_the_embedded_simulator_is_no_proxys_business(
    serve: Serve, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Behind a company's proxy the first try without a key would wait for hours."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    client = connect(serve(always(http())).url, obeys_proxies=False)
    assert client.call(chat(), "night-1-1").failure is None


def test_who_pays_is_what_the_run_says_and_not_the_environment_of_a_resume(
    serve: Serve, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_ORG_ID", "org-later")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "proj-later")
    server = serve(always(http()))
    connect(server.url).call(chat(), "night-1-1")
    names = {name.lower() for name in server.requests[0].headers}
    assert {"openai-organization", "openai-project"}.isdisjoint(names)
    assert "authorization" in names


def test_a_proxy_that_refuses_the_tunnel_means_not_sent(
    serve: Serve, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    def script(line: Line) -> None:
        line.more()
        line.send(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")

    proxy = serve(script)
    monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{proxy.port}")
    failure = connect("https://api.example.com/v1").call(chat(), "night-1-1").failure
    assert failure is not None
    assert failure.kind is FailureKind.NOT_SENT
    assert "407" in failure.message


def test_a_proxy_that_hangs_up_on_the_tunnel_means_not_sent(
    serve: Serve, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What went out was the proxy's CONNECT, not the request."""

    def script(line: Line) -> None:
        line.more()

    proxy = serve(script)
    monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{proxy.port}")
    failure = connect("https://api.example.com/v1").call(chat(), "night-1-1").failure
    assert failure is not None
    assert failure.kind is FailureKind.NOT_SENT
    assert not failure.possibly_billed


def test_abandoned_calls_end_at_once_and_none_begin(
    serve: Serve, connect: Connect
) -> None:
    got = threading.Event()

    def silent(line: Line) -> None:
        line.request()
        got.set()
        line.request()

    server = serve(silent)
    client = connect(server.url)
    calling = Calling(client, chat())
    assert got.wait(WAIT_S)
    client.close()
    failure = calling.reply().failure
    assert failure is not None
    assert (failure.kind, failure.possibly_billed) == (FailureKind.CUT, True)
    later = client.call(chat(), "night-2-1").failure
    assert later is not None
    assert later.kind is FailureKind.NOT_SENT
    assert len(server.requests) == 1


@pytest.mark.parametrize("url", ["", "api.openai.com/v1", "ftp://x/v1", "http://"])
def test_a_base_url_that_is_none_is_refused(connect: Connect, url: str) -> None:
    with pytest.raises(EndpointError):
        connect(url)


@pytest.mark.parametrize("key", ["", "sk-abc\n", "“sk-abc”", "sk abc"])
def test_a_key_that_no_header_can_carry_is_refused_unspoken(
    connect: Connect, key: str
) -> None:
    with pytest.raises(UsageError) as raised:
        connect("http://127.0.0.1:1/v1", key)
    assert "abc" not in str(raised.value)


def test_broken_certificate_settings_are_named(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", "/no/such/file.pem")
    with pytest.raises(UsageError, match="SSL_CERT_FILE"):
        connect("https://127.0.0.1:1/v1")


def test_a_socks_proxy_without_its_package_is_named(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("all_proxy", "socks5://127.0.0.1:1")
    with pytest.raises(UsageError, match="SOCKS"):
        connect("http://api.example.com/v1")


def test_latency_is_what_the_clock_says(
    serve: Serve, connect: Connect, clock: FakeClock
) -> None:
    def slow(line: Line) -> None:
        line.request()
        clock.now_s += 2.5
        line.send(http())

    reply = connect(serve(slow).url).call(chat(), "night-1-1")
    assert reply.latency_s == 2.5


def test_a_header_never_becomes_two(serve: Serve) -> None:
    """A line end in the organisation's name would begin another header."""
    server = serve(always(http()))
    settings = ClientSettings(
        base_url=server.url,
        organization="org\r\nX-Other: 1",
        project=None,
        timeout_s=5.0,
        connections=1,
        run="night",
    )
    client = Client(settings, KEY, FakeClock(), lambda: True)
    failure = client.call(chat(), "night-1-1").failure
    client.close()

    assert failure is not None
    assert failure.kind is FailureKind.NOT_SENT
    assert server.requests == []


def test_an_answer_in_chunks_is_put_together(serve: Serve, connect: Connect) -> None:
    """As servers without the length at hand send it; the connection is kept."""
    body = json.dumps({"choices": [{"message": {"content": "yes"}}]}).encode()
    pieces = b"".join(b"%x\r\n%s\r\n" % (1, body[n : n + 1]) for n in range(len(body)))
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    server = serve(always(head + pieces + b"0\r\n\r\n"))
    client = connect(server.url)
    for _ in range(2):
        reply = client.call(chat(), "night-1-1")
        assert (reply.failure, reply.body) == (None, body)
    assert server.connections == 1


def test_chunks_that_break_off_may_have_cost(serve: Serve, connect: Connect) -> None:
    """What has come is kept."""
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"

    def script(line: Line) -> None:
        line.request()
        line.send(head + b'a\r\n{"choices"\r\n10\r\n:[')

    reply = connect(serve(script).url).call(chat(), "night-1-1")
    assert reply.failure is not None
    assert (reply.failure.kind, reply.failure.possibly_billed) == (
        FailureKind.CUT,
        True,
    )
    assert reply.body == b'{"choices":['


def test_what_a_server_says_beyond_its_answer_belongs_to_no_other_question(
    serve: Serve, connect: Connect
) -> None:
    """A 204 with a body, a second answer: the connection is not used again."""
    whole = b"HTTP/1.1 204 No Content\r\n\r\n" + http(200, b'{"choices":[]}')
    server = serve(always(whole))
    client = connect(server.url)
    for _ in range(2):
        reply = client.call(chat(), "night-1-1")
        assert (reply.status, reply.body) == (204, b"")
    assert (len(server.requests), server.connections) == (2, 2)


def test_a_connection_rests_before_it_carries_another_question(
    serve: Serve, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second answer that is still on its way would be read as the one to that."""
    monkeypatch.setattr(connections, "REST_S", 60.0)

    def script(line: Line) -> None:
        late = b""
        while line.request() is not None:
            # On its way since before this question came.
            line.send(late + http(200, b'{"n": 1}'))
            late = http(200, b'{"n": 2}')

    server = serve(script)
    client = connect(server.url, connections=64)
    bodies = [client.call(chat(), f"night-{n}-1").body for n in range(3)]
    assert bodies == [b'{"n": 1}'] * 3
    assert server.connections == 3


def test_connections_that_rest_are_never_too_many(
    serve: Serve, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each takes a descriptor: the one that has rested longest is used then."""
    monkeypatch.setattr(connections, "REST_S", 60.0)
    server = serve(always(http()))
    client = connect(server.url, connections=3)
    for number in range(8):
        assert client.call(chat(), f"night-{number}-1").failure is None
    assert (len(server.requests), server.connections) == (8, 3)


def through(proxy: Server, connect: Connect, patch: pytest.MonkeyPatch) -> Client:
    patch.setenv("http_proxy", f"http://127.0.0.1:{proxy.port}")
    return connect("http://api.example/v1")


def test_a_connection_through_a_proxy_is_kept(
    serve: Serve, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = serve(always(http()))
    client = through(proxy, connect, monkeypatch)
    for number in range(3):
        assert client.call(chat(), f"night-{number}-1").failure is None
    assert (len(proxy.requests), proxy.connections) == (3, 1)


@pytest.mark.parametrize("more", [http(200, b'{"n": 2}'), b"HTTP/1.1 200 O", b"\r\n"])
def test_what_comes_through_a_proxy_beyond_an_answer_belongs_to_no_other_question(
    serve: Serve, connect: Connect, monkeypatch: pytest.MonkeyPatch, more: bytes
) -> None:
    """Read with the answer already, no look at the socket shows it."""
    proxy = serve(always(http(200, b'{"n": 1}') + more))
    client = through(proxy, connect, monkeypatch)
    replies = [client.call(chat(), f"night-{number}-1") for number in range(3)]
    assert [r.body for r in replies] == [b'{"n": 1}'] * 3
    assert (len(proxy.requests), proxy.connections) == (3, 3)


def test_any_byte_in_a_header_leaves_the_answer_as_it_is(
    serve: Serve, connect: Connect
) -> None:
    """Not ASCII, as no header should be."""
    answer = http(200, b'{"choices":[]}', x_request_id="r")
    server = serve(always(answer.replace(b": r\r\n", b": \x80\xff\r\n")))
    reply = connect(server.url).call(chat(), "night-1-1")
    assert (reply.failure, reply.body) == (None, b'{"choices":[]}')


def test_what_may_not_go_any_more_stays_here_and_keeps_its_connection(
    serve: Serve, connect: Connect
) -> None:
    """The last look comes once the connection is there: that may take seconds."""
    is_connected = threading.Event()
    answer = always(http())

    def script(line: Line) -> None:
        is_connected.set()
        answer(line)

    server = serve(script)
    client = connect(server.url)

    def may_go() -> bool:
        assert is_connected.wait(WAIT_S)
        return False

    held = client.call(chat(), "night-0-1", may_go=may_go)
    assert held.failure is not None
    assert held.failure.kind is FailureKind.HELD_BACK
    assert not held.failure.possibly_billed

    assert client.call(chat(), "night-0-2").failure is None
    assert [r.headers["x-client-request-id"] for r in server.requests] == ["night-0-2"]
    assert server.connections == 1


def test_what_may_not_go_any_more_asks_no_proxy_for_a_tunnel(
    serve: Serve, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A connection of a proxy's could not be kept: the look comes before it."""
    proxy = serve(always(http()))
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.port}")
    client = connect("http://api.example/v1")

    held = client.call(chat(), "night-0-1", may_go=lambda: False)
    assert held.failure is not None
    assert held.failure.kind is FailureKind.HELD_BACK
    assert proxy.connections == 0


def test_what_may_not_go_once_the_proxy_is_reached_stays_here(
    serve: Serve, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stop while it connects: the request would leave seconds later."""
    proxy = serve(always(http()))
    stopped: list[bool] = []

    def connecting(*where: Any, **options: Any) -> Any:
        stopped.append(True)
        return create_connection(*where, **options)

    create_connection = socket.create_connection
    monkeypatch.setattr("socket.create_connection", connecting)
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.port}")
    client = connect("http://api.example/v1")

    held = client.call(chat(), "night-0-1", may_go=lambda: not stopped)
    assert held.failure is not None
    assert (held.failure.kind, held.failure.possibly_billed) == (
        FailureKind.HELD_BACK,
        False,
    )
    assert (stopped, proxy.requests) == ([True], [])


def test_a_proxy_that_is_slower_than_a_permit_lasts_is_used_all_the_same(
    serve: Serve, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each permit is good before it connects, and late once it has."""
    proxy = serve(always(http()))
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.port}")
    client = connect("http://api.example/v1")

    for expected in (FailureKind.HELD_BACK, None):
        looks = iter([True, False])
        failure = client.call(chat(), "night-0-1", may_go=lambda: next(looks)).failure  # noqa: B023 - called at once
        assert expected == (failure.kind if failure else None)
    assert len(proxy.requests) == 1


def test_a_second_answer_that_comes_late_belongs_to_no_other_question(
    serve: Serve, connect: Connect
) -> None:
    """It comes while the next request is looked at the last time."""
    go, has_come = threading.Event(), threading.Event()

    def script(line: Line) -> None:
        received = line.request()
        if received and b"first" in received.body:
            line.send(http(200, b'{"to": "first"}'))
            assert go.wait(WAIT_S)
            line.send(http(200, b'{"to": "first", "again": true}'))
            has_come.set()
            received = line.request()
        if received:
            line.send(http(200, b'{"to": "second"}'))

    def may_go() -> bool:
        go.set()
        return has_come.wait(WAIT_S)

    server = serve(script)
    client = connect(server.url)
    assert client.call(chat("first"), "night-1-1").failure is None
    reply = client.call(chat("second"), "night-2-1", may_go=may_go)

    assert (reply.failure, reply.body) == (None, b'{"to": "second"}')
    assert (len(server.requests), server.connections) == (2, 2)
