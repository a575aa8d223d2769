"""How long a server asks to wait, and what of its words may be shown."""

import string
import time
import unicodedata
from collections.abc import Callable

import pytest
from client_server import KEY, FakeClock, Script, Server, always, http
from client_server import chat as chat_request
from hypothesis import given
from hypothesis import strategies as st

from runner.client import Client
from runner.client.headers import retry_after_s
from runner.redaction import MESSAGE_CHARACTERS, Redactor

NOW_UNIX_S = 1_795_392_000.0  # 2026-11-23 00:00:00 UTC
IN_A_MINUTE = "Mon, 23 Nov 2026 00:01:00 GMT"


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, None),
        ({"retry-after": "130"}, 130.0),
        ({"retry-after": "0.25"}, 0.25),
        ({"retry-after": "0"}, 0.0),
        ({"retry-after": "1e9"}, 900.0),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": ""}, None),
        ({"retry-after-ms": "1500"}, 1.5),
        ({"retry-after-ms": "1500", "retry-after": "30"}, 1.5),
        ({"retry-after-ms": "x", "retry-after": "30"}, 30.0),
        ({"retry-after-ms": "99999999"}, 900.0),
        ({"retry-after": IN_A_MINUTE}, 60.0),
        ({"retry-after": "Mon, 23 Nov 2026 05:00:00 GMT"}, 900.0),
        ({"retry-after": "Sun, 22 Nov 2026 00:00:00 GMT"}, None),
        # This machine's clock is an hour off; the server's own counts.
        (
            {
                "retry-after": "Mon, 23 Nov 2026 01:01:00 GMT",
                "date": "Mon, 23 Nov 2026 01:00:00 GMT",
            },
            60.0,
        ),
    ],
)
def test_a_wait_is_read_in_every_form_and_capped(
    headers: dict[str, str], expected: float | None
) -> None:
    assert retry_after_s(headers, NOW_UNIX_S) == expected


@pytest.mark.parametrize(
    "date", ["Mon Nov 23 00:01:00 2026", "Mon, 23 Nov 2026 00:01:00 -0000"]
)
def test_a_date_without_a_zone_is_utc_wherever_this_machine_stands(
    date: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """HTTP's oldest form (RFC 9110, 5.6.7)."""
    with monkeypatch.context() as place:
        place.setenv("TZ", "America/Los_Angeles")
        time.tzset()
        assert retry_after_s({"retry-after": date}, NOW_UNIX_S) == 60.0
    time.tzset()


@given(st.text(max_size=40), st.text(max_size=40))
def test_any_header_gives_a_wait_or_none(after: str, date: str) -> None:
    wait_s = retry_after_s({"retry-after": after, "date": date}, NOW_UNIX_S)
    assert wait_s is None or 0 <= wait_s <= 900


def test_a_reply_carries_the_wait(
    serve: Callable[[Script], Server],
    connect: Callable[..., Client],
    clock: FakeClock,
) -> None:
    server = serve(always(http(429, b"{}", None, retry_after=IN_A_MINUTE)))
    failure = connect(server.url).call(chat_request(), "run-1-1").failure
    assert failure is not None
    assert failure.retry_after_s == 60.0


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        (f"bad key {KEY}!", "bad key [redacted]!"),
        ("Incorrect API key provided: sk-abc***xyz.", "[redacted]"),
        ("Incorrect key sk-proj-AbC_123-xyz given", "[redacted] given"),
        ("got ab********yz from you", "got [redacted] from you"),
        ("Authorization: Bearer abc.def.ghi", "Authorization: [redacted]"),
        ("two\nlines\tand\x1b[31m red \u202e right", "two lines and [31m red right"),
        ("half a pair \ud800 here", "half a pair here"),
        ("a risk-free task-force", "a risk-free task-force"),
    ],
)
def test_no_secret_and_no_escape_is_shown(said: str, shown: str) -> None:
    line = Redactor(KEY).line(said)
    assert line.endswith(shown)
    assert KEY not in line


def test_a_long_message_is_cut() -> None:
    line = Redactor(KEY).line("word " * 100_000)
    assert len(line) == MESSAGE_CHARACTERS
    assert line.endswith("…")


def test_a_local_servers_key_is_no_secret_inside_words() -> None:
    redactor = Redactor("x")
    assert redactor.line("exact text: x") == "exact text: [redacted]"
    assert redactor.body(b'{"x": 1}') == b'{"x": 1}'


@given(st.text(), st.text(string.ascii_letters + string.digits, min_size=8))
def test_the_key_never_comes_through(around: str, key: str) -> None:
    line = Redactor(key).line(f"{around}{key}{around}")
    assert key not in line.replace("[redacted]", "")
    assert len(line) <= MESSAGE_CHARACTERS
    assert not any(unicodedata.category(c) in {"Cc", "Cs"} for c in line)
    line.encode()


def test_a_server_that_echoes_the_key_does_not_get_it_stored(
    serve: Callable[[Script], Server], connect: Callable[..., Client]
) -> None:
    body = b'{"error": {"message": "bad key %b", "code": "%b"}}' % ((KEY.encode(),) * 2)
    server = serve(always(http(401, body)))
    client = connect(server.url)
    reply = client.call(chat_request(), "run-1-1")
    assert KEY not in repr(reply)
    assert KEY not in repr(client)
    assert b"[redacted]" in reply.body


ODD_KEY = "a1B2c3D4e5/F6g7H8i9+J0k1L2m3N4o5P6q7R8s9T0=="


@pytest.mark.parametrize(
    ("slash", "plus", "equals"),
    [
        ("/", "+", "="),
        ("\\/", "+", "="),
        ("\\u002f", "\\u002B", "\\u003d"),
        ("\\\\/", "\\\\u002b", "="),
        ("%2F", "%2b", "%3D"),
        ("%252F", "%252B", "%253D"),
        ("&#x2F;", "&#43;", "&#061;"),
        ("&sol;", "&plus;", "&equals;"),
        ("&amp;#47;", "&amp;#x2b;", "="),
    ],
)
def test_the_key_is_known_however_a_server_escapes_it(
    slash: str, plus: str, equals: str
) -> None:
    """PHP, .NET, a page, a URL."""
    echoed = ODD_KEY.replace("/", slash).replace("+", plus).replace("=", equals)
    redactor = Redactor(ODD_KEY)
    said = f'{{"error":{{"message":"bad key: {echoed}!"}}}}'
    expected = '{"error":{"message":"bad key: [redacted]!"}}'
    assert redactor.body(said.encode()) == expected.encode()
    assert redactor.line(said) == expected
    assert redactor.text(said) == expected


def test_half_a_key_at_the_end_of_what_is_kept_is_not_shown() -> None:
    line = Redactor(ODD_KEY).line(" " * (8_000 - len(ODD_KEY) + 2) + ODD_KEY)
    assert line == "[redacted]"


@pytest.mark.parametrize("key", [KEY, ODD_KEY])
def test_no_half_of_the_key_is_kept_of_a_long_header_or_page(
    key: str, serve: Callable[[Script], Server], connect: Callable[..., Client]
) -> None:
    """Headers are cut at 200 characters, pages at 2,000."""
    page = b"<p>" + b" " * 1_970 + key.encode() + b"</p>"
    answer = http(502, page, None, x_request_id="r" * 170 + key)
    reply = connect(serve(always(answer)).url, key).call(chat_request(), "run-1-1")
    assert reply.failure is not None
    assert reply.request_id == "r" * 170 + "[redacted]"
    assert key[:10] not in repr(reply)


def test_megabytes_without_the_key_are_not_gone_through() -> None:
    body = b"\\" * 1_000_000 + b"%26&amp;"
    assert Redactor(ODD_KEY).body(body) is body
