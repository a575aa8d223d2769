"""What do verify, backup and salvage say?

Floor: faces. Knows api and display.
"""

import json
import sys
from pathlib import Path

from runner import api, display
from runner.api_records import Damage, Verified
from runner.cli.commanding import command_line
from runner.errors import StateError, UsageError
from runner.exit_codes import ALL_VALID
from runner.printable import printable
from runner.wording import count


def verify(name: str | None, state_dir: Path, *, as_json: bool) -> int:
    """Read everything; 0 where it is sound, else 5."""
    run = api.Run.open(name, state_dir)
    with display.Screen(sys.stderr) as screen:
        found = run.verify(on_progress=screen.progress)
    display.tell(json.dumps(found.to_json()) if as_json else _words(found))
    return ALL_VALID if found.is_sound else StateError.exit_code


def backup(words: list[str], state_dir: Path) -> int:
    """Copy a run, verified."""
    if len(words) not in (1, 2):
        raise UsageError("backup takes [RUN] DIR", "see `runner backup --help`")
    name = words[0] if len(words) > 1 else None
    run = api.Run.open(name, state_dir)
    with display.Screen(sys.stderr) as screen:
        made = run.backup(Path(words[-1]), on_progress=screen.progress)
    under_way = f", {count(made.open, 'request')} under way" if made.open else ""
    display.tell(
        f"{printable(made.folder)}: {count(made.attempts, 'request')},"
        f" {count(made.outcomes, 'outcome')}{under_way}; read again, sound\n"
        f"  restore  mv {printable(made.folder)} {printable(run.folder)}"
        "   (what is there now moved away first)"
    )
    return ALL_VALID


def salvage(name: str | None, state_dir: Path) -> int:
    """Bring what is readable into a new run."""
    run = api.Run.open(name, state_dir)
    with display.Screen(sys.stderr) as screen:
        made = run.salvage(on_progress=screen.progress)
    least = "at least " if made.may_be_more else ""
    is_any = made.lost or made.held_back or made.may_be_more
    which = "; lost.jsonl says which" if is_any else ""
    held = f"{count(made.held_back, 'item')} may have had an answer"
    sound = (
        "" if is_any else f"\n  {printable(run.name)} has lost nothing and can go on"
    )
    display.tell(
        f"run {printable(made.run)}: {count(made.records, 'record')} saved,"
        f" {least}{made.lost:,} lost; {held}{which}; nothing was sent,"
        f" {printable(run.name)} is as it was\n"
        f"  write the files  {command_line('export', made.run, state_dir)}"
        f"   (to {printable(made.processed_path)} and beside it)\n"
        f"  go on            {command_line('resume', made.run, state_dir)}{sound}"
    )
    return ALL_VALID


def _words(found: Verified) -> str:
    read = (
        f"{count(found.attempts, 'request')}, {count(found.outcomes, 'outcome')} read"
    )
    if found.is_half_judged:
        read += "; a rejudgement is not finished, `runner rejudge` finishes it"
    if found.is_sound:
        return f"run {printable(found.run)} is sound: {read}"
    lines = [_line(each) for each in found.damage]
    return "\n".join([f"run {printable(found.run)} is damaged: {read}", *lines])


def _line(damage: Damage) -> str:
    items = ", ".join(str(number) for number in damage.items)
    many = f" ({count(damage.records, 'record')})" if damage.records > 1 else ""
    of = f", items number {items}" if items else ""
    return printable(f"  {damage.file}: {damage.what}{many}{of}: {damage.do}")
