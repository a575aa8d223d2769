"""A run gives its key to the server it began with, and to no other without a word."""

from pathlib import Path
from urllib.parse import urlsplit

from canary import KEY, Serve, command, http, start
from fuzz.odd_responses import CHAT, encoded

FAILS = http("500 No", b"{}")
ANSWER = http("200 OK", encoded(CHAT))


def test_the_environment_does_not_redirect_a_resume(
    tmp_path: Path, serve: Serve
) -> None:
    assert 4 == start(tmp_path, serve(FAILS).url).code
    other = serve(ANSWER)
    told = command(tmp_path, "resume", OPENAI_BASE_URL=other.url)
    assert 4 == told.code, told.output
    assert f"OPENAI_BASE_URL is {other.url}, but this run asks" in told.output
    assert [] == other.asked


def test_another_server_has_to_be_accepted(tmp_path: Path, serve: Serve) -> None:
    first, other = serve(FAILS), serve(ANSWER)
    assert 4 == start(tmp_path, first.url).code
    words = ("resume", "items", "--base-url", other.url)
    told = command(tmp_path, *words)
    assert 5 == told.code, told.output
    says = f"the key would go to {urlsplit(other.url).netloc}; this run has given it to"
    assert f"{says} {urlsplit(first.url).netloc} only" in told.output
    assert "--accept-changes" in told.output
    assert [] == other.asked

    assert 0 == command(tmp_path, *words, "--accept-changes").code
    assert 3 == len(other.asked)


def test_a_password_in_the_new_servers_url_is_refused(
    tmp_path: Path, serve: Serve
) -> None:
    assert 4 == start(tmp_path, serve(FAILS).url).code
    url = f"http://u:{KEY}@127.0.0.1:9/v1"
    told = command(tmp_path, "resume", "--base-url", url, "--accept-changes")
    assert 2 == told.code, told.output
    assert KEY not in told.output
    assert KEY not in (tmp_path / "state/items/manifest.json").read_text()
