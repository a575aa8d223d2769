"""What do the two commands do that send requests: start and resume?

Says what will be done, asks before much money, shows progress, closes with the
summary or with the line that goes on.

Floor: cli. Knows api and display.
"""

import dataclasses
import os
import sys
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
    config_of,
)
from runner.cli.guarding import keeping_secret
from runner.cli.keying import key_for
from runner.cli.network import is_open_to_all, proxy_of
from runner.cli.simulating import check_simulator
from runner.config import RunConfig
from runner.exit_codes import ALL_VALID, INTERRUPTED, USAGE, exit_code
from runner.pricing import PriceBook
from runner.records import RunState, RunStatus
from runner.session.changes import changed_config

ASK_ABOVE_USD = Decimal(10)
"""A run that may cost more is asked about, on a terminal, without --max-cost."""


def start(items: Path, given: StartOptions) -> int:
    """Create a run and work on it; the exit code."""
    config = config_of(items, given)
    check_simulator(config.service)
    if given.first.dry_run:
        return _show_plan(config)
    key = key_for(config.service)
    _warn(config)
    with keeping_secret(key):
        try:
            if _is_to_be_asked(config, given) and not _is_agreed(config):
                return USAGE
            run = _created(config, given)
        except KeyboardInterrupt:
            _say("interrupted: no run was created, nothing was sent")
            return INTERRUPTED
        state_dir, config = given.place.state_dir, run.config
        prices = PriceBook.for_service(config.service).describe()
        _announce(run, config, state_dir, prices)
        return _work(run, state_dir, api_key=key)


def resume(name: str | None, given: ResumeOptions) -> int:
    """Go on with a run; the exit code."""
    changes, state_dir = changes_of(given), given.place.state_dir
    check_key_source(given.key)
    run = api.Run.open(name, state_dir)
    config, before = _as_told(run.config, changes), run.status()
    check_simulator(config.service)
    key = key_for(config.service, given.key)
    _warn(config)
    _note_other_server(config, changes.base_url)
    with keeping_secret(key):
        _announce(run, config, state_dir)
        _tell_unresolved(run, before)
        wishes = dataclasses.asdict(given.again)
        code = _work(run, state_dir, api_key=key, changes=changes, **wishes)
    if before.pending or before.totals != run.status().totals:
        return code
    _say("nothing was left to do: every item had its outcome before")
    return ALL_VALID


def _show_plan(config: RunConfig) -> int:
    out = display.outlet(sys.stdout)
    out.write(f"{display.planned(_plan(config), config)}\n")
    return ALL_VALID


def _plan(config: RunConfig) -> Plan:
    with display.Screen(sys.stderr) as screen:
        return api.Run.plan(config, on_progress=screen.progress)


def _is_to_be_asked(config: RunConfig, given: StartOptions) -> bool:
    """Whether somebody is there to ask, and it has not been answered already."""
    is_free = config.service.scenario is not None
    is_bounded = config.pacing.max_cost_usd is not None
    if is_free or is_bounded or given.first.yes:
        return False
    return _is_terminal(sys.stdin) and _is_terminal(sys.stderr)


def _is_agreed(config: RunConfig) -> bool:
    """Ask before a run that may cost much; True also where it may not."""
    plan = _plan(config)
    if plan.worst_usd is None or plan.worst_usd <= ASK_ABOVE_USD:
        return True
    _say(f"{display.worst_words(plan)} ({plan.price_source}); --max-cost bounds it")
    sys.stderr.write("go on? [y/N] ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() in ("y", "yes"):
        return True
    _say("not started: no run was created, nothing was sent")
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


def _announce(
    run: api.Run, config: RunConfig, state_dir: Path, price_source: str | None = None
) -> None:
    _say(
        display.announced(
            display.Announcement(
                config=config,
                status=run.status(),
                proxy=proxy_of(config.service.base_url),
                price_source=price_source,
                watch_command=command_line("status", run.name, state_dir, "--watch"),
            )
        )
    )


def _as_told(config: RunConfig, changes: Changes) -> RunConfig:
    """What this session goes by; a limit is that of one session only."""
    config = changed_config(config, changes)
    pacing = dataclasses.replace(config.pacing, limit=changes.limit)
    return dataclasses.replace(config, pacing=pacing)


def _tell_unresolved(run: api.Run, status: RunStatus) -> None:
    """Say what may be paid twice, before anything is sent."""
    is_at_work = status.state in (RunState.RUNNING, RunState.DRAINING)
    unresolved = run.unresolved()
    if unresolved.count and not is_at_work:
        _say(display.unresolved_words(unresolved))


def _work(run: api.Run, state_dir: Path, **wishes: Any) -> int:
    try:
        with display.Screen(sys.stderr) as screen:
            show, progress = screen.show, screen.progress
            finish = run.work(on_status=show, on_progress=progress, **wishes)
    except KeyboardInterrupt:
        # Before the first request, or while files are written: both can be repeated.
        again = command_line("resume", run.name, state_dir)
        _say(f"interrupted: nothing that was answered is lost; {again} goes on")
        return INTERRUPTED
    _close(run, finish, state_dir)
    return exit_code(finish)


def _close(run: api.Run, finish: Finish, state_dir: Path) -> None:
    if finish.summary:
        folder = run.config.output.summary_path.parent
        display.print_summary(finish.summary, folder, display.outlet(sys.stdout))
        return
    _say(
        display.closing_text(
            finish,
            resume_command=command_line("resume", run.name, state_dir),
            export_command=command_line("export", run.name, state_dir),
        )
    )


def _warn(config: RunConfig) -> None:
    url = config.service.base_url
    if config.service.scenario is None and is_open_to_all(url):
        _say(
            f"warning: {url} is not encrypted: on its way everybody can read the key"
            " and all items"
        )


def _note_other_server(config: RunConfig, told: str | None) -> None:
    """A run keeps to its server, whatever the environment says by now."""
    variable = os.environ.get(BASE_URL_VARIABLE)
    url = config.service.base_url
    is_simulated = config.service.scenario is not None
    if variable and told is None and not is_simulated and variable != url:
        _say(f"note: {BASE_URL_VARIABLE} is {variable}, but this run asks {url}")


def _is_terminal(stream: Any) -> bool:
    return stream is not None and stream.isatty()


def _say(text: str) -> None:
    out = display.outlet(sys.stderr)
    out.write(f"{text}\n")
    out.flush()
