"""P12: a canary key through every way a run can fail, then a search for it."""

import json
from pathlib import Path

import pytest
from canary import KEY, Serve, command, holding, http, start
from fuzz.odd_responses import CHAT, encoded

ECHO = f"Incorrect API key provided: {KEY}. Bearer {KEY} {KEY}".encode()
ERROR = json.dumps({"error": {"message": ECHO.decode(), "code": KEY}}).encode()
HEADERS = (
    b"x-request-id: " + KEY.encode(),
    b"server: " + KEY.encode(),
    b"www-authenticate: Bearer " + KEY.encode(),
)
RESPONSES = {
    "401": http("401 No", ERROR, *HEADERS),
    "400": http("400 " + KEY, ERROR, *HEADERS),
    "404": http("404 No", ECHO),
    "429": http("429 No", ERROR, b"retry-after: 9" + KEY.encode()),
    "500": http("500 No", ERROR, *HEADERS),
    "html": http("200 OK", b"<title>" + ECHO + b"</title>", *HEADERS),
    "error in 200": http("200 OK", ERROR, *HEADERS),
    "cut": http("200 OK", ECHO + b" " * 99, *HEADERS)[:-20],
    "no HTTP": ECHO,
    "answer": http("200 OK", encoded(CHAT), *HEADERS),
    "proxy": http("407 Login", ECHO, *HEADERS),
}


@pytest.mark.parametrize("name", RESPONSES)
def test_a_server_that_gives_it_back(name: str, tmp_path: Path, serve: Serve) -> None:
    told = start(tmp_path, serve(RESPONSES[name]).url)
    assert "Traceback" not in told.output
    assert KEY not in told.output
    assert not told.is_in_argv
    shown = command(tmp_path, "show", "items", "line:1").output
    assert KEY not in shown
    assert [] == holding(tmp_path)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_does_not_carry_it_elsewhere(
    status: int, tmp_path: Path, serve: Serve
) -> None:
    elsewhere = serve(RESPONSES["answer"])
    location = f"location: {elsewhere.url}/chat/completions?key={KEY}".encode()
    told = start(tmp_path, serve(http(f"{status} There", b"", location)).url)
    assert 4 == told.code, told.output
    assert [] == elsewhere.asked
    assert KEY not in told.output
    assert [] == holding(tmp_path)


TASKS = {
    "a prompt": "def get_prompt(item): raise ValueError(KEY)",
    "a verdict": (
        "def get_prompt(item): return 'x'\n"
        "def is_response_valid(response): raise ValueError(KEY)"
    ),
    "an import": "raise RuntimeError(KEY)",
    "our own code": (
        "import runner.worker.walk as walk\n"
        "def boom(self, *_): raise RuntimeError(KEY, vars(self._tools.client))\n"
        "walk.Walk._judged = boom\n"
        "def get_prompt(item): return 'x'"
    ),
}


@pytest.mark.parametrize("place", TASKS)
def test_code_that_falls_over_with_it_in_hand(
    place: str, tmp_path: Path, serve: Serve
) -> None:
    task = tmp_path / "task.py"
    task.write_text(f"import os\nKEY = os.environ['THE_KEY']\n{TASKS[place]}\n")
    url = serve(RESPONSES["answer"]).url
    told = start(tmp_path, url, "--task", task, THE_KEY=KEY)
    assert told.code in (1, 2, 3, 4), told.output
    assert KEY not in told.output
    assert [] == holding(tmp_path)


@pytest.mark.parametrize("place", ["http://{key}@{host}", "http://u:{key}@{host}"])
def test_a_base_url_with_a_password_is_refused(place: str, tmp_path: Path) -> None:
    url = place.format(key=KEY, host="127.0.0.1:9/v1")
    told = start(tmp_path, url)
    assert 2 == told.code
    assert KEY not in told.output
    assert ["items.jsonl"] == [p.name for p in tmp_path.rglob("*.jsonl")]
    assert [] == holding(tmp_path)


def test_a_base_url_with_the_key_in_its_path_is_refused(
    tmp_path: Path, serve: Serve
) -> None:
    url = f"{serve(RESPONSES['answer']).url}/{KEY[:9]}%{ord(KEY[9]):x}{KEY[10:]}"
    told = start(tmp_path, url)
    assert 2 == told.code, told.output
    assert "holds the API key" in told.output
    assert not (tmp_path / "state").exists()


def test_a_key_in_an_item_stays_in_that_item(tmp_path: Path, serve: Serve) -> None:
    told = start(tmp_path, serve(RESPONSES["answer"]).url)
    assert 0 == told.code, told.output
    items = tmp_path / "mine.jsonl"
    items.write_text(json.dumps({"id": "mine", "text": KEY}) + "\n")
    url = serve(RESPONSES["answer"]).url
    words = ("start", items, "--base-url", url, "--model", "m", "--prompt", "{{text}}")
    assert 0 == command(tmp_path, *words).code
    assert {"mine.jsonl", "mine_processed.jsonl"} == set(holding(tmp_path))


@pytest.mark.parametrize(
    "proxy", ["http://u:{}@127.0.0.1:9", "socks5://{}@127.0.0.1:9"]
)
def test_a_proxy_that_fails(proxy: str, tmp_path: Path) -> None:
    url = "http://example.invalid/v1"
    told = start(tmp_path, url, HTTP_PROXY=proxy.format(KEY), http_proxy="")
    assert told.code in (2, 4), told.output
    assert KEY not in told.output
    assert [] == holding(tmp_path)


def test_no_help_shows_it(tmp_path: Path) -> None:
    for name in ("start", "resume", "status", "show", "export", "rejudge", "stop"):
        told = command(tmp_path, name, "--help")
        assert 0 == told.code
        assert KEY not in told.output
