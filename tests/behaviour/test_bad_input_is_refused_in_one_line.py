"""Nonsense of every kind: one clear line, the right exit code, nothing sent."""

import io
import json
import os
import resource
import shutil
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import pytest
from bench import KEY, Bench, started_bench

from runner.checkpoint.locks import RunLock
from runner.checkpoint.manifest import Manifest
from runner.checkpoint.shard import create_shard
from runner.cli import main

GOOD = '{"id": 1, "text": "a"}\n'
ASK = ["--prompt", "{{text}}", "--model", "gpt-4o-mini"]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """One simulator for all; its ledger must stay empty."""
    bench = started_bench(tmp_path_factory.mktemp("server"), "latency=0")
    yield bench
    bench.close()


@pytest.fixture
def folder(
    tmp_path: Path, server: Bench, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    """Where the user stands, with one good items file."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("OPENAI_BASE_URL", server.simulator.base_url)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "xdg"))
    monkeypatch.setattr("sys.stdin", io.StringIO())
    (tmp_path / "items.jsonl").write_text(GOOD)
    yield tmp_path
    assert server.ledger() == []


def told(*words: object) -> tuple[int, str]:
    """Exit code and error text of a command."""
    errors = io.StringIO()
    with redirect_stderr(errors), redirect_stdout(io.StringIO()):
        try:
            code = main([str(word) for word in words])
        except SystemExit as end:
            code = int(end.code or 0)
    return code, errors.getvalue()


@dataclass(frozen=True)
class Bad:
    """One kind of bad input."""

    name: str
    content: bytes | None = None
    """Of items.jsonl, when that is what is bad."""
    words: tuple[str, ...] = ()
    """More options, after `start items.jsonl`."""
    says: str = ""
    code: int = 2
    files: tuple[tuple[str, str], ...] = ()
    ask: bool = True
    """Whether prompt and model are given as well."""


def lines(*more: bytes) -> bytes:
    """Good lines, then these."""
    return b'{"id": "x", "text": "a"}\n' * 1 + b"".join(line + b"\n" for line in more)


TASK = "def get_prompt(item):\n    return item['text']\n"
ITEMS = [
    Bad("empty file", b"", says="no items"),
    Bad("only blank lines", b"\n\n  \n", says="no items"),
    Bad("malformed line", lines(b'{"id": 2,'), says="items.jsonl:2:"),
    Bad("array", lines(b"[1]"), says="items.jsonl:2:"),
    Bad("a number", lines(b"17"), says="items.jsonl:2:"),
    Bad("invalid UTF-8", lines(b'{"id": "\xff"}'), says="items.jsonl:2:"),
    Bad("UTF-16", GOOD.encode("utf-16"), says="UTF-16"),
    Bad("NUL byte", lines(b'{"id": "\x00"}'), says="items.jsonl:2:"),
    Bad("duplicate ids", lines(b'{"id": "x", "text": "b"}'), says="in line 1 already"),
    Bad("duplicate keys", lines(b'{"id": 2, "id": 3}'), says='"id"'),
    Bad("NaN", lines(b'{"id": 2, "n": NaN}'), says="NaN"),
    Bad("infinity", lines(b'{"id": 2, "n": 1e999}'), says="items.jsonl:2:"),
    Bad("huge integer", lines(b'{"id": 2, "n": ' + b"9" * 5000 + b"}"), says=":2:"),
    Bad("deep nesting", lines(b"[" * 100_000 + b"]" * 100_000), says="items.jsonl:2:"),
    Bad("20 MB line", lines(b'{"t": "' + b"a" * 20_000_000 + b'"}'), says=":2:"),
    Bad("lone surrogate", lines(rb'{"id": 2, "text": "\ud800"}'), says=":2:"),
    Bad("has the result key", lines(b'{"id": 2, "llm": 1}'), says="--result-key"),
    Bad("null id", lines(b'{"id": null, "text": "b"}'), says="items.jsonl:2:"),
    Bad("missing field", lines(b'{"id": 2}'), says='no field "text"'),
    Bad("missing id field", words=("--id-field", "isbn"), says="isbn"),
    Bad(
        "batch and other lines",
        b'{"custom_id":"a","method":"POST","url":"/v1/responses","body":{"model":"m"}}\n'
        b'{"id": 2}\n',
        says=":2",
        ask=False,
    ),
]
TASKS = [
    Bad("no question", words=("--model", "m"), says="--prompt", ask=False),
    Bad("no model", words=("--prompt", "{{text}}"), says="--model", ask=False),
    Bad("no such field", words=("--prompt", "{{titel}}"), says="titel"),
    Bad("prompt without a field", words=("--prompt", "hi"), says="{{"),
    Bad("unclosed field", words=("--prompt", "{{text"), says="{{"),
    Bad("no prompt file", words=("--prompt-file", "p.txt"), says="p.txt"),
    Bad(
        "no task file", words=("--task", "t.py", "--model", "m"), says="t.py", ask=False
    ),
    Bad("syntax error", files=(("t.py", "def :\n"),), says="t.py:1"),
    Bad("no get_prompt", files=(("t.py", "x = 1\n"),), says="get_prompt"),
    Bad(
        "raises on item 7",
        b"".join(b'{"id": %d, "text": "a"}\n' % n for n in range(1, 10)),
        files=(
            ("t.py", "def get_prompt(i):\n    return 'a' * (1 // (7 - i['id']))\n"),
        ),
        says="items.jsonl:7",
    ),
    Bad(
        "wrong type",
        files=(("t.py", "def get_prompt(i):\n    return 7\n"),),
        says="int",
    ),
    Bad(
        "raises at import", files=(("t.py", "import nothing_at_all\n"),), says="t.py:1"
    ),
    Bad("no schema file", words=("--schema", "s.json"), says="s.json"),
    Bad(
        "broken schema",
        words=("--schema", "s.json"),
        files=(("s.json", "{"),),
        says="s.json:1",
    ),
    Bad(
        "impossible schema",
        words=("--schema", "s.json"),
        files=(("s.json", '{"type": "objekt"}'),),
        says="objekt",
    ),
    Bad("invalid regex", words=("--valid-regex", "("), says="position"),
    Bad("one choice", words=("--choices", "yes"), says="choices"),
    Bad("stream", words=("--param", "stream=true"), says="stream"),
    Bad("n", words=("--param", "n=2"), says="n"),
    Bad(
        "cap without price", words=("--max-cost", "1", "--model", "x-1"), says="--price"
    ),
    Bad("cap without limit", words=("--max-cost", "1"), says="max_completion_tokens"),
]
PLACES = [
    Bad("malformed URL", words=("--base-url", "openai.com"), says="openai.com"),
    Bad(
        "unreachable", words=("--base-url", "http://127.0.0.1:9/v1"), says="127.0.0.1:9"
    ),
    Bad("output is input", words=("--out", "items.jsonl"), says="items.jsonl"),
    Bad(
        "output exists", files=(("items_processed.jsonl", "mine"),), says="--overwrite"
    ),
    Bad("output folder missing", words=("--out", "no/out.jsonl"), says="no"),
    Bad("output is a folder", words=("--out", "state"), says="state"),
    Bad("run name", words=("--name", "../evil"), says="../evil"),
    Bad(
        "state is a file",
        words=("--state-dir", "items.jsonl"),
        says="--state-dir",
        code=5,
    ),
    Bad(
        "key file for all",
        words=("--api-key-file", "k"),
        files=(("k", KEY),),
        says="chmod",
    ),
    Bad("no key file", words=("--api-key-file", "k"), says="k"),
]
NUMBERS = [
    Bad(f"{option} {value}", words=(option, value), says=option)
    for option, values in {
        "--rpm": ("0", "-1", "x", "1.5"),
        "--tpm": ("0", "nan"),
        "--workers": ("0", "-2", "100000"),
        "--threads": ("0", "x"),
        "--max-requests": ("0", "-1"),
        "--timeout": ("0", "nan", "-3", "inf"),
        "--max-cost": ("-1", "nan", "abc"),
        "--give-up-after": ("-1h", "soon"),
        "--min-free": ("-1", "lots"),
        "--limit": ("0", "-1"),
        "--price": ("m=1", "m=a,b,c", "m=-1,1,1"),
        "--param": ("x=hello", "x"),
    }.items()
    for value in values
]
ALL = [*ITEMS, *TASKS, *PLACES, *NUMBERS]


@pytest.mark.parametrize("bad", ALL, ids=lambda bad: bad.name)
def test_bad_input_is_one_clear_line(folder: Path, bad: Bad) -> None:
    """What is wrong, where, and what to do; no run is created, nothing is sent."""
    if bad.content is not None:
        (folder / "items.jsonl").write_bytes(bad.content)
    for name, text in bad.files:
        (folder / name).write_text(text)
    words = list(bad.words)
    if any(name == "t.py" for name, _ in bad.files):
        words += ["--task", "t.py", "--model", "gpt-4o-mini"]
    elif bad.ask and "--prompt" not in words and "--prompt-file" not in words:
        words += ASK if "--model" not in words else ASK[:2]
    elif bad.ask and "--model" not in words:
        words += ASK[2:]

    code, text = told("start", "items.jsonl", *words)
    line = text.strip().splitlines()[-1]

    assert code == bad.code, text
    assert line.startswith("runner: "), text
    assert bad.says in line
    assert "Traceback" not in text
    assert len(line) < 1_000
    assert not list((folder / "state").glob("*")) or bad.name == "output is a folder"


def test_there_are_enough_kinds() -> None:
    """At least 45, each another mistake."""
    assert len({bad.name for bad in ALL}) == len(ALL) >= 45


@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbf" + GOOD.encode(),
        GOOD.replace("\n", "\r\n").encode(),
        b"\n" + GOOD.encode() + b"\n\n",
        GOOD.encode().rstrip(),
        '{"id": 1, "text": "a\u2028b"}\n'.encode(),
    ],
    ids=["BOM", "CRLF", "blank lines", "no last newline", "U+2028"],
)
def test_what_only_looks_odd_is_accepted(folder: Path, content: bytes) -> None:
    """A dry run: everything is checked, nothing sent."""
    (folder / "items.jsonl").write_bytes(content)
    code, text = told("start", "items.jsonl", *ASK, "--dry-run")
    assert code == 0, text


@pytest.mark.parametrize("path", ["gone.jsonl", ".", "/dev/null"])
def test_what_is_no_items_file_is_refused(folder: Path, path: str) -> None:
    """Missing, a folder, a device."""
    code, text = told("start", path, *ASK)
    assert code == 2
    assert text.startswith("runner: ")


def test_without_a_key_and_a_terminal_all_ways_to_give_one_are_named(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody can be asked at night."""
    monkeypatch.delenv("OPENAI_API_KEY")
    code, text = told("start", "items.jsonl", *ASK)
    assert code == 2
    assert "OPENAI_API_KEY" in text
    assert "--api-key-file" in text


def test_a_low_ulimit_is_said_before_anything_is_sent(folder: Path) -> None:
    """Out of descriptors, calls would fail as if the server were away."""
    many = "".join(json.dumps({"id": n, "text": "a"}) + "\n" for n in range(300))
    (folder / "items.jsonl").write_text(many)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    child = os.fork()
    if child == 0:
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
        code, text = told("start", "items.jsonl", *ASK, "--threads", 200)
        os._exit(0 if code == 2 and "ulimit -n" in text else 1)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert (soft, hard) == resource.getrlimit(resource.RLIMIT_NOFILE)


def test_a_second_session_on_a_run_is_refused(folder: Path) -> None:
    """Naming who holds it."""
    state = folder / "state" / "items"
    make_run(folder)
    lock = RunLock(state, 0.0)
    code, text = told("resume", "items")
    lock.release()

    assert code == 5
    assert str(os.getpid()) in text


def test_state_of_another_run_is_refused(folder: Path) -> None:
    """A shard that was copied from elsewhere is not taken for this run's."""
    make_run(folder)
    state = folder / "state" / "items"
    manifest = Manifest.load(state).with_shard(state, 1)
    shutil.rmtree(state / "shard-01")
    create_shard(state, "another-run", 1)

    code, text = told("resume", "items")

    assert manifest.run_id != "another-run"
    assert code == 5
    assert "belongs to another run" in text


def make_run(folder: Path) -> None:
    """A run that was created and has sent nothing."""
    from runner.api import Run  # noqa: PLC0415 - after the environment is set
    from runner.config import RunConfig, Service, TaskSpec, default_output  # noqa: PLC0415 - same

    items = folder / "items.jsonl"
    Run.start(
        RunConfig(
            items_path=items,
            task=TaskSpec(prompt="{{text}}", model="gpt-4o-mini"),
            service=Service(base_url=os.environ["OPENAI_BASE_URL"]),
            output=default_output(items),
        ),
        state_dir=folder / "state",
    )
