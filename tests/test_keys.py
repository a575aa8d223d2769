"""Where the API key comes from, and how it is kept out of what is shown."""

import os
import threading
from pathlib import Path

import pytest

from runner.errors import UsageError
from runner.keys import checked_key, resolve_key
from runner.redaction import Redactor

KEY = "sk-canary-0123456789"


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    path = tmp_path / "key.txt"
    path.write_text(f"{KEY}\n")
    path.chmod(0o600)
    return path


def test_the_key_is_read_from_the_variable_that_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OTHER_KEY", f" {KEY}\n")
    assert KEY == resolve_key("OTHER_KEY", None, None)


def test_a_key_file_comes_before_the_variable(
    key_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "another")
    assert KEY == resolve_key("OPENAI_API_KEY", key_file, None)


def test_somebody_at_the_terminal_is_asked_last(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    assert KEY == resolve_key("OPENAI_API_KEY", None, lambda: KEY)


def test_without_any_key_all_ways_to_give_one_are_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(UsageError) as caught:
        resolve_key("OPENAI_API_KEY", None, None)
    for way in ("OPENAI_API_KEY", "--api-key-env", "--api-key-file", "terminal"):
        assert way in str(caught.value)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644])
def test_a_key_file_that_others_can_read_is_refused_with_the_remedy(
    key_file: Path, mode: int
) -> None:
    key_file.chmod(mode)
    with pytest.raises(UsageError, match="chmod 600") as caught:
        resolve_key("OPENAI_API_KEY", key_file, None)
    assert KEY not in str(caught.value)


@pytest.mark.parametrize(
    "content", ["", "  \n", "two words", "two\nlines", "tab\there", "schlüssel", "\x00"]
)
def test_what_no_header_can_carry_is_refused_and_not_shown(
    key_file: Path, content: str
) -> None:
    key_file.write_text(content)
    with pytest.raises(UsageError) as caught:
        resolve_key("OPENAI_API_KEY", key_file, None)
    assert 2 == caught.value.exit_code
    assert not content.strip() or content.strip() not in str(caught.value)


@pytest.mark.parametrize("quote", ["'", '"', "`"])
def test_quotes_round_the_key_are_not_sent_with_it(quote: str) -> None:
    """As a line of an .env file brings them."""
    with pytest.raises(UsageError, match="stands in quotes"):
        checked_key(f"{quote}sk-abc123{quote}", "OPENAI_API_KEY")


def test_a_missing_or_binary_key_file_is_a_usage_error(tmp_path: Path) -> None:
    binary = tmp_path / "binary"
    binary.write_bytes(b"\xff\xfe\x00")
    binary.chmod(0o600)
    for path in (tmp_path / "missing", tmp_path, binary):
        with pytest.raises(UsageError, match="--api-key-file"):
            resolve_key("OPENAI_API_KEY", path, None)


def test_a_key_may_come_through_a_pipe(tmp_path: Path) -> None:
    """As in `--api-key-file <(pass show openai)`."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe, 0o644)
    writer = threading.Thread(target=pipe.write_text, args=[KEY])
    writer.start()
    assert KEY == resolve_key("OPENAI_API_KEY", pipe, None)
    writer.join()


@pytest.mark.parametrize(
    "text",
    [
        f"Incorrect API key provided: {KEY}.",
        "Incorrect API key provided: sk-proj-ab****xyz",
        f"Authorization: Bearer {KEY}",
        "authorization: bearer eyJhbGciOi.J9",
    ],
)
def test_neither_the_key_nor_what_looks_like_one_is_shown(text: str) -> None:
    shown = Redactor(KEY).lines(text)
    assert "[redacted]" in shown
    for secret in ("canary", "xyz", "eyJ"):
        assert secret not in shown


def test_a_short_key_of_a_local_server_is_no_secret_inside_other_words() -> None:
    assert "expected [redacted] example" == Redactor("x").lines("expected x example")
