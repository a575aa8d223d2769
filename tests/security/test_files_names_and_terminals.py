"""Whose files, which names, and what may reach a terminal."""

import json
import os
import pickle
import sqlite3
import unicodedata
from pathlib import Path

import pytest
from canary import Serve, command, http, start
from fuzz.odd_responses import CHAT, encoded

EVIL = (
    "\x1b]52;c;ZXZpbA==\x07\x1b]0;title\x07\x1b[2J\x9b31m[red]x[/red]\u202egnp\u2066\r!"
)
ANSWER = http("200 OK", encoded(CHAT))


@pytest.mark.parametrize("umask", [0o000, 0o077])
def test_state_is_for_its_owner_whatever_the_umask(
    umask: int, tmp_path: Path, serve: Serve
) -> None:
    before = os.umask(umask)
    try:
        assert 0 == start(tmp_path, serve(ANSWER).url).code
    finally:
        os.umask(before)
    for root in (tmp_path / "state", tmp_path / "xdg" / "runner"):
        found = [root, *root.rglob("*")]
        assert len(found) > 2
        modes = {(p.is_dir(), p.stat().st_mode & 0o777) for p in found}
        assert modes <= {(True, 0o700), (False, 0o600)}


def test_a_state_folder_behind_a_link_is_refused(tmp_path: Path, serve: Serve) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / "state").symlink_to(elsewhere)
    server = serve(ANSWER)
    told = start(tmp_path, server.url)
    assert 5 == told.code, told.output
    assert [] == [*elsewhere.iterdir(), *server.asked]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_somebody_elses_state_folder_is_refused(tmp_path: Path, serve: Serve) -> None:
    state = tmp_path / "state"
    state.mkdir()
    os.chown(state, 65534, 65534)
    server = serve(ANSWER)
    told = start(tmp_path, server.url)
    assert 5 == told.code, told.output
    assert "belongs to another user" in told.output
    assert [] == [*state.iterdir(), *server.asked]


@pytest.mark.parametrize(
    "name", ["../up", "/abs", "a/b", "..", ".hidden", "x" * 101, "a\nb", "a.", EVIL]
)
def test_a_runs_name_is_never_a_path(name: str, tmp_path: Path) -> None:
    told = start(tmp_path, "http://127.0.0.1:9/v1", "--name", name)
    assert 2 == told.code, told.output
    assert 2 == command(tmp_path, "resume", name).code
    assert clean(told.output)
    assert {"items.jsonl"} == {path.name for path in tmp_path.rglob("*")}


def test_ids_and_answers_are_neither_paths_nor_orders_to_a_terminal(
    tmp_path: Path, serve: Serve
) -> None:
    chat = json.loads(json.dumps(CHAT))
    chat["choices"][0]["message"]["content"] = EVIL
    ids = ["../../up", "/etc/passwd", "CON", EVIL, "x" * 300]
    items = tmp_path / "evil.jsonl"
    items.write_text("".join(json.dumps({"id": i, "t": EVIL}) + "\n" for i in ids))
    url = serve(http("200 OK", encoded(chat))).url
    words = ("--prompt", "{{t}}", "--model", "m", "--choices", "yes,no")
    told = command(tmp_path, "start", items, "--base-url", url, *words)
    assert 3 == told.code, told.output
    shown = [command(tmp_path, "show", "evil", f"line:{n}").output for n in (1, 4)]
    for text in (told.output, *shown, command(tmp_path, "status").output):
        assert clean(text)
    assert clean((tmp_path / "state/evil/runner.log").read_text())
    assert not (tmp_path.parent / "up").exists()


@pytest.mark.parametrize("status", ["400 No", "401 No", "500 No", "200 OK"])
def test_an_error_is_no_order_to_a_terminal(
    status: str, tmp_path: Path, serve: Serve
) -> None:
    error = {"error": {"message": EVIL, "code": EVIL, "type": EVIL}}
    told = start(tmp_path, serve(http(status, json.dumps(error).encode())).url)
    assert told.code in (3, 4), told.output
    shown = command(tmp_path, "show", "items", "line:1").output
    log = (tmp_path / "state/items/runner.log").read_text()
    for text in (told.output, shown, log):
        assert clean(text)


class Planted:
    """Unpickling it makes a file."""

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, ("pwned",)


@pytest.mark.parametrize("mode", [2, 4])
def test_nothing_read_from_state_is_executed_or_opened(
    mode: int, tmp_path: Path, serve: Serve
) -> None:
    """2: a file's name; 4: a pickle (diskcache's MODE_BINARY, MODE_PICKLE)."""
    assert 0 == start(tmp_path, serve(ANSWER).url).code
    database = tmp_path / "state/items/shard-01/cache.db"
    with sqlite3.connect(database) as connection:
        connection.execute(
            "UPDATE Cache SET mode = ?, filename = ?, value = ? WHERE key LIKE 'a/%'",
            (mode, "../../../items.jsonl", pickle.dumps(Planted())),
        )
    connection.close()
    told = command(tmp_path, "show", "items", "line:1")
    assert 5 == told.code, told.output
    assert not list(tmp_path.rglob("pwned"))


def clean(text: str) -> bool:
    """Whether nothing in it steers a terminal or reorders what is read."""
    kinds = {unicodedata.category(character) for character in text.replace("\n", "")}
    return kinds.isdisjoint({"Cc", "Cf"})
