"""Whatever a person can type, meet or find is explained somewhere."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from docs_pages import (
    PAGES,
    ROOT,
    commands,
    options_in,
    page,
    prose,
)

from runner import exit_codes
from runner.api import run
from runner.cli.app import app
from runner.errors import StateError, StoreError, UsageError
from runner.records import MOST_RETRY_AFTER_S, FailureKind, OutcomeState, Totals
from runner.run_status import RunState, RunStatus, StopKind

ALL_TEXT = "\n".join(path.read_text(encoding="utf-8") for path in PAGES)
OPERATING = page("docs/operating.md")
WAITS = (
    "requests a day are used up",
    "the server asked for a pause (429)",
    "nothing answers",
    "one minute, since what was sent before is not known",
    "answers under way: the rest of --max-cost is promised to them",
    "the first answer",
    "speeding up again after an outage",
    "slowed down to",
    "the key's",
)

PUBLIC_CODES = [name for name in vars(exit_codes) if re.fullmatch("[A-Z][A-Z_]+", name)]


def cli_options() -> dict[str, set[str]]:
    """Long options of every command, those of the group under ""."""
    group: Any = typer.main.get_command(app)
    found = {"": visible(group)}
    return found | {name: visible(one) for name, one in group.commands.items()}


def visible(command: Any) -> set[str]:
    """Long options that `--help` shows."""
    return {
        name
        for param in command.params
        if not getattr(param, "hidden", False)
        for name in (*param.opts, *param.secondary_opts)
        if name.startswith("--")
    }


def simulator_options() -> set[str]:
    """`runner simulate` has a command line of its own."""
    source = page("runner/simulator/__main__.py")
    return set(re.findall(r'add\("(--[a-z-]+)"', source))


@pytest.mark.parametrize("command", sorted(cli_options().keys() - {""}))
def test_every_command_is_in_the_pages(command: str) -> None:
    """As it is typed."""
    assert f"runner {command}" in ALL_TEXT


def test_every_option_is_in_the_pages() -> None:
    """Long names; what `--help` hides may stay hidden."""
    missing = set().union(*cli_options().values()) - options_in(ALL_TEXT)

    assert missing == set()


def test_every_command_in_the_pages_can_be_typed() -> None:
    """No page shows a command or an option that does not exist."""
    known = cli_options()
    known["simulate"] = simulator_options()
    wrong = [
        f"{command.page}: {' '.join(command.words)}"
        for command in commands()
        if not set(command.options) <= known.get(command.verb, set()) | {"--help"}
    ]

    assert wrong == []
    assert len(list(commands())) >= 15


def test_a_unit_of_systemd_outlives_the_login_and_a_drain_is_no_failure() -> None:
    """As the pages have it: where it is killed at night, nobody is there to mend it."""
    units = re.findall(r"^\$ systemd-run .*$", ALL_TEXT, re.MULTILINE)

    assert len(units) >= 1
    for unit in units:
        assert f"SuccessExitStatus={exit_codes.TERMINATED}" in unit
    assert "loginctl enable-linger" in ALL_TEXT


def test_no_page_names_an_option_that_does_not_exist() -> None:
    """In prose too; other programs' options are listed here."""
    foreign = {"--user", "--no-block", "--property", "--unit", "--collect"}
    known = set().union(*cli_options().values(), simulator_options(), foreign)
    named = {
        name
        for path in PAGES
        if path.name not in ("CONTRIBUTING.md", "CHANGELOG.md")
        for name in options_in(prose(path.read_text(encoding="utf-8")))
    }

    assert named - known == {"--help"} & named


@pytest.mark.parametrize("words", WAITS)
def test_everything_a_run_waits_for_is_explained(words: str) -> None:
    """What `status` says behind "waiting" is in the operator's page."""
    told = page("runner/limiter/words.py") + page("runner/limiter/daily.py")

    assert words in told.replace("{what} a day", "requests a day")
    assert words in page("docs/operating.md")


def test_the_longest_pause_is_explained() -> None:
    """A server may ask for hours: `status` then says less than that."""
    row = re.search(r"^\| `the server asked for a pause.*$", OPERATING, re.MULTILINE)

    assert row is not None
    assert f"waited for {MOST_RETRY_AFTER_S / 60:.0f} minutes at a time" in row[0]


def test_every_exit_code_is_explained() -> None:
    """The table in the operator's page has a row for each."""
    codes = {one for name, one in vars(exit_codes).items() if name in PUBLIC_CODES}
    codes |= {error.exit_code for error in (StateError, StoreError, UsageError)}
    rows = re.findall(r"^\| (\d+) \|", page("docs/operating.md"), re.MULTILINE)

    assert [int(row) for row in rows] == sorted(codes)


@pytest.mark.parametrize("kind", list(StopKind))
def test_every_reason_to_stop_is_named(kind: StopKind) -> None:
    """Somebody may write `if finish.stop.kind == ...`."""
    assert f"`{kind}`" in page("docs/library.md")


@pytest.mark.parametrize("word", [*FailureKind, *OutcomeState])
def test_the_words_of_records_are_in_the_glossary(word: str) -> None:
    """Kinds of failure and of outcome."""
    assert re.search(rf"[`*]{word}[`*]", page("docs/glossary.md"))


def test_every_file_of_a_run_is_in_the_state_directory_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seen on a run, not read from the code."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "xdg"))
    items = tmp_path / "items.jsonl"
    items.write_text("".join(json.dumps({"id": n}) + "\n" for n in range(4)))
    run(
        items,
        prompt="{{id}}",
        model="gpt-4o-mini",
        engine="inline",
        workers=1,
        threads=2,
        scenario="latency=0",
        state_dir=tmp_path / "state",
    )
    told = page("docs/state-directory.md")
    found = set(files_below(tmp_path / "state" / "items"))

    assert {"manifest.json", "shard-00/cache.db", "shard-01/cache.db"} <= found
    assert [name for name in sorted(found) if f" {name} " not in told] == []


def files_below(folder: Path) -> Iterator[str]:
    """Files, named from the folder; the WAL of slot 0 counts as that of slot 1."""
    for path in folder.rglob("*"):
        name = str(path.relative_to(folder))
        if path.is_file():
            is_part = name.endswith(("-wal", "-shm"))
            yield name.replace("shard-00", "shard-01") if is_part else name


def test_links_within_the_pages_lead_somewhere() -> None:
    """Files and headings."""
    broken = [
        f"{path.relative_to(ROOT)}: {target}"
        for path in PAGES
        for target in links(prose(path.read_text(encoding="utf-8")))
        if not leads_somewhere(path, target)
    ]

    assert broken == []


def links(text: str) -> list[str]:
    """Targets of Markdown links that are not of the web."""
    targets = re.findall(r"\]\(([^)\s]+)\)", text)
    return [one for one in targets if "://" not in one and one[:7] != "mailto:"]


def leads_somewhere(origin: Path, target: str) -> bool:
    """Whether the file is there, and the heading in it."""
    name, _, anchor = target.partition("#")
    path = (origin.parent / name).resolve() if name else origin
    if not path.exists():
        return False
    return not anchor or anchor in anchors(path.read_text(encoding="utf-8"))


def anchors(text: str) -> set[str]:
    """What GitHub makes of the headings."""
    headings = re.findall(r"^#+ (.+)$", prose(text), re.MULTILINE)
    return {
        re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        for heading in headings
    }


def test_every_key_of_the_status_for_programs_is_in_its_table_and_no_other() -> None:
    status = RunStatus(
        run="r",
        state=RunState.NEW,
        stopped_because=None,
        items=0,
        totals=Totals(),
        unresolved=0,
        in_flight=0,
        requests_per_minute=None,
        tokens_per_minute=None,
    ).to_json()
    keys = {
        f"{top}.{key}" if key else top
        for top, value in status.items()
        for key in (value if isinstance(value, dict) else [""])
    }

    assert set(_keys_of_the_table()) == keys


def _keys_of_the_table() -> Iterator[str]:
    """`.valid` after `items.total` stands for `items.valid`."""
    text = page("docs/operating.md")
    table = text[text.index("| keys | |") :].partition("\n\n")[0]
    for row in table.splitlines()[2:]:
        top = ""
        for key in re.findall("`([^`]+)`", row.split("|")[1]):
            top = top if key.startswith(".") else key.partition(".")[0]
            yield top + key if key.startswith(".") else key
