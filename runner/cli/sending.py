"""What do the two commands do that send requests: start and resume?

Says what will be done, asks before much money, shows progress, closes with the
summary or with the line that goes on.

Floor: faces. Knows api and display.
"""

import dataclasses
import os
import sys
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

from runner import api, display
from runner.api_records import Changes, Finish, Plan
from runner.cli.bundles import ResumeOptions, StartOptions
from runner.cli.commanding import command_line
from runner.cli.configuring import (
    BASE_URL_VARIABLE,
    changes_of,
    check_key_source,
    check_prices,
    config_of,
)
from runner.cli.guarding import keeping_secret
from runner.cli.keying import key_for, key_source
from runner.cli.network import is_open_to_all, proxy_of
from runner.cli.simulating import check_simulator
from runner.config import RunConfig
from runner.errors import UsageError
from runner.exit_codes import ALL_VALID, INTERRUPTED, USAGE, exit_code
from runner.keys import NO_KEY_NEEDED, check_apart
from runner.pricing import PriceBook
from runner.run_status import RunStatus
from runner.session.changes import changed_config
from runner.session.working import Wishes
from runner.summary import Summary
from runner.task import rules_in_force

Opening = Callable[[RunStatus], str]
"""What the session is going to do, said from its first status."""
ASK_ABOVE_USD = Decimal(10)
"""A run that may cost more is asked about, on a terminal, without --max-cost."""


def start(items: Path, given: StartOptions) -> int:
    """Create a run and work on it; the exit code."""
    if str(items) == "-":
        raise UsageError(
            "items are read from a file, and again at every resume, not from a pipe",
            "write them into one first: ... > items.jsonl; runner start items.jsonl",
        )
    config = config_of(items, given)
    check_prices(config.task, config.service.prices)
    check_simulator(config.service)
    if given.first.dry_run:
        return _show_plan(config, given)
    key = _key_or_first_mistake(config, given)
    check_apart(key, config.service.base_url)
    _warn(config)
    with keeping_secret(key):
        try:
            if _is_to_be_asked(config, given) and not _is_agreed(config, given):
                return USAGE
            run = _created(config, given)
        except KeyboardInterrupt:
            display.note("interrupted: no run was created, nothing was sent")
            return INTERRUPTED
        state_dir, config = given.place.state_dir, run.config
        prices = _price_source(config)

        def opening(status: RunStatus) -> str:
            return _opening(config, status, state_dir, prices=prices)

        return _work(run, state_dir, opening, key_source(config.service), api_key=key)


def resume(name: str | None, given: ResumeOptions) -> int:
    """Go on with a run; the exit code."""
    changes, state_dir = changes_of(given), given.place.state_dir
    check_key_source(given.key)
    told = {"changes": changes, **dataclasses.asdict(given.again)}
    wishes = Wishes(**told)
    run = api.Run.open(name, state_dir)
    config, before = _as_told(run.config, changes), run.status()
    check_prices(config.task, changes.prices)
    check_simulator(config.service)
    is_over = wishes.ask_nobody(before)
    key = NO_KEY_NEEDED if is_over else key_for(config.service, given.key)
    check_apart(key, config.service.base_url)
    _warn(config)
    _note_other_server(config, changes.base_url)
    unresolved = _unresolved_words(run, before)

    def opening(status: RunStatus) -> str:
        return _opening(config, status, state_dir) + unresolved

    source = key_source(config.service, given.key)
    with keeping_secret(key):
        return _work(run, state_dir, opening, source, api_key=key, **told)


def _key_or_first_mistake(config: RunConfig, given: StartOptions) -> str:
    """The key; where there is none, other mistakes are told first: they are nearer."""
    try:
        return key_for(config.service)
    except UsageError:
        _plan(config, given)
        raise


def _show_plan(config: RunConfig, given: StartOptions) -> int:
    plan = _plan(config, given)
    if given.key.api_key_path or given.key.api_key_env:
        key_for(config.service)  # a place that was named has to hold one
    out = display.outlet(sys.stdout)
    out.write(f"{display.planned(plan, config)}\n")
    return ALL_VALID


def _plan(config: RunConfig, given: StartOptions) -> Plan:
    with display.Screen(sys.stderr) as screen:
        return api.Run.plan(
            config,
            name=given.where.name,
            state_dir=given.place.state_dir,
            new=given.where.new,
            on_progress=screen.progress,
        )


def _is_to_be_asked(config: RunConfig, given: StartOptions) -> bool:
    """Whether somebody is there to ask, and it has not been answered already."""
    is_free = config.service.scenario is not None
    is_bounded = config.pacing.max_cost_usd is not None
    if is_free or is_bounded or given.first.yes:
        return False
    return _is_terminal(sys.stdin) and _is_terminal(sys.stderr)


def _is_agreed(config: RunConfig, given: StartOptions) -> bool:
    """Ask before a run that may cost much; True also where it may not."""
    plan = _plan(config, given)
    if plan.worst_usd is None or plan.worst_usd <= ASK_ABOVE_USD:
        return True
    words = display.worst_words(plan)
    display.note(f"{words} ({plan.price_source}); --max-cost bounds it")
    sys.stderr.write("go on? [y/N] ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() in ("y", "yes"):
        return True
    display.note("not started: no run was created, nothing was sent")
    return False


def _created(config: RunConfig, given: StartOptions) -> api.Run:
    with display.Screen(sys.stderr) as screen:
        return api.Run.start(
            config,
            name=given.where.name,
            state_dir=given.place.state_dir,
            new=given.where.new,
            on_progress=screen.progress,
        )


def _opening(
    config: RunConfig,
    status: RunStatus,
    state_dir: Path,
    *,
    prices: str | None = None,
) -> str:
    """What the session is going to do, in words; not said before it does."""
    service = config.service
    return display.announced(
        display.Announcement(
            config=config,
            status=status,
            rules=rules_in_force(config.task),
            proxy=proxy_of(service.base_url) if service.scenario is None else None,
            price_source=prices,
            watch_command=command_line("status", status.run, state_dir, "--watch"),
        )
    )


def _price_source(config: RunConfig) -> str:
    """Where prices come from, or that there is none: now it can still be given."""
    book, model = PriceBook(config.service), config.task.model
    if model is None or book.knows(model):
        return book.describe()
    return f"none known for {model} at this server (--price), so the cost is unknown"


def _as_told(config: RunConfig, changes: Changes) -> RunConfig:
    """What this session goes by; a limit is that of one session only."""
    config = changed_config(config, changes)
    pacing = dataclasses.replace(config.pacing, limit=changes.limit)
    return dataclasses.replace(config, pacing=pacing)


def _unresolved_words(run: api.Run, status: RunStatus) -> str:
    """What may be paid twice, a line to be said before anything is sent."""
    unresolved = run.unresolved()
    if not unresolved.count or status.state.is_at_work:
        return ""
    return f"\n{display.unresolved_words(unresolved)}"


def _opened(screen: display.Screen, opening: Opening) -> Callable[[RunStatus], None]:
    """Shows statuses, the opening words before the first: all checks have passed.

    The first comes when workers start, before anything is handed out to them; it
    counts the items as they are now.
    """
    to_say = [opening]

    def show(status: RunStatus) -> None:
        if to_say and status.state.is_at_work:
            screen.say(to_say.pop()(status))
        screen.show(status)

    return show


def _work(
    run: api.Run, state_dir: Path, opening: Opening, key_source: str, **wishes: Any
) -> int:
    try:
        with display.Screen(sys.stderr) as screen:
            show, progress = _opened(screen, opening), screen.progress
            finish = run.work(on_status=show, on_progress=progress, **wishes)
    except KeyboardInterrupt:
        # Before the first request, or while files are written: both can be repeated.
        again = command_line("resume", run.name, state_dir)
        display.note(f"interrupted: nothing that was answered is lost; {again} goes on")
        return INTERRUPTED
    _close(run, finish, state_dir, key_source)
    return exit_code(finish)


def _close(run: api.Run, finish: Finish, state_dir: Path, key_source: str) -> None:
    if finish.nothing_left:
        display.note(f"nothing is left to do in run {run.name}: nothing was sent")
    if finish.summary:
        folder = run.config.output.summary_path.parent
        display.print_summary(finish.summary, folder, display.outlet(sys.stdout))
        if again := _retry_options(finish.summary):
            _note_remedies(run.name, state_dir, finish.summary, again)
        return
    display.note(
        display.closing_text(
            finish,
            resume_command=command_line("resume", run.name, state_dir),
            export_command=command_line("export", run.name, state_dir),
            key_source=key_source,
        )
    )


def _note_remedies(
    name: str, state_dir: Path, summary: Summary, again: list[str]
) -> None:
    """What can be done about items without a valid answer; what is free first."""
    show = command_line("show", name, state_dir, "line:N")
    display.note(f"why one of them  {show}")
    if summary.invalid:
        rejudge = command_line("rejudge", name, state_dir)
        display.note(f"a better rule    {rejudge} (free: judges the answers again)")
    resume = command_line("resume", name, state_dir, *again)
    display.note(f"ask them again   {resume} (new requests)")


def _retry_options(summary: Summary) -> list[str]:
    """What has items without a valid answer asked again."""
    counts = {"--retry-invalid": summary.invalid, "--retry-failed": summary.failed}
    return [option for option, number in counts.items() if number]


def _warn(config: RunConfig) -> None:
    url = config.service.base_url
    if config.service.scenario is None and is_open_to_all(url):
        display.note(
            f"warning: {url} is not encrypted: on its way everybody can read the key"
            " and all items"
        )


def _note_other_server(config: RunConfig, told: str | None) -> None:
    """A run keeps to its server, whatever the environment says by now."""
    variable = os.environ.get(BASE_URL_VARIABLE)
    url = config.service.base_url
    is_simulated = config.service.scenario is not None
    if variable and told is None and not is_simulated and variable != url:
        display.note(
            f"note: {BASE_URL_VARIABLE} is {variable}, but this run asks {url}"
        )


def _is_terminal(stream: Any) -> bool:
    return stream is not None and stream.isatty()
