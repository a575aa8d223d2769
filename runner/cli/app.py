"""Which commands are there? Each hands its options to the module that does it.

Those modules are imported when a command runs, here and nowhere else: `runner
--help` and `runner status` should answer at once (0.2 s of CPU, of which Python's
own start is 0.03), and the library, the painters and the price book take longer.

Floor: faces.
"""

from pathlib import Path
from typing import Annotated

import typer

from runner.cli.bundles import (
    ExportOptions,
    PlaceOptions,
    RejudgeOptions,
    ResumeOptions,
    ShowOptions,
    StartOptions,
    StatusOptions,
    StopOptions,
    VerifyOptions,
)
from runner.cli.grouping import GroupedCommand, spelled_out
from runner.cli.quitting import ends_quietly
from runner.errors import UsageError
from runner.exit_codes import USAGE

_HELP = {"help_option_names": ["-h", "--help"]}
_TOP_EPILOG = (
    "Exit codes: 0 every item valid · 2 usage · 3 finished, some invalid or failed ·"
    " 4 stopped early, resumable · 5 state · 130 Ctrl-C, 143 SIGTERM, resumable ·"
    " 1 a bug of ours"
)
RunName = Annotated[
    str | None,
    typer.Argument(
        metavar="RUN",
        help="the run; otherwise the latest unfinished one, else the latest",
        show_default=False,
    ),
]
RunAtWork = Annotated[
    str | None,
    typer.Argument(metavar="RUN", help="the run; otherwise the one that is at work"),
]

app = typer.Typer(
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    pretty_exceptions_show_locals=False,
    add_completion=False,
    context_settings=_HELP,
    epilog=_TOP_EPILOG,
)


@app.callback(invoke_without_command=True)
def top(
    context: typer.Context,
    *,
    version: Annotated[
        bool, typer.Option("--version", help="the version, and nothing else")
    ] = False,
) -> None:
    """Ask a server a million questions in one night.

    Every answer is recorded, none is paid twice.
    """
    if version:
        from importlib.metadata import version as version_of  # noqa: PLC0415

        typer.echo(f"runner {version_of('runner')}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        typer.echo(context.get_help(), err=True)
        raise typer.Exit(USAGE)


def start(
    items: Annotated[
        Path,
        typer.Argument(
            metavar="ITEMS",
            help="JSONL file, or a Batch-API input file",
            # Read where items are read: typer has no words for what to do next.
            readable=False,
        ),
    ],
    given: StartOptions,
) -> int:
    """Begin a run on the items of a file."""
    from runner.cli import sending  # noqa: PLC0415

    return sending.start(items, given)


def resume(*, run: RunName = None, given: ResumeOptions) -> int:
    """Go on with a run, to the end of its file.

    What is not given stays as it was. How fast and how long may change freely;
    what is asked, and of whom, only with --accept-changes. An empty rule, as in
    --choices '', drops the one there was.
    """
    from runner.cli import sending  # noqa: PLC0415

    return sending.resume(run, given)


@ends_quietly
def status(*, run: RunName = None, given: StatusOptions) -> int:
    """How a run stands, live or dead, from any terminal."""
    look, state_dir = given.look, given.place.state_dir
    if look.of_all and (run is not None or look.watch):
        raise UsageError("--all looks once at every run", "leave RUN and --watch out")
    if look.as_json:
        from runner.cli import looking  # noqa: PLC0415

        if look.of_all:
            return looking.all_json(state_dir)
        return looking.status_json(run, state_dir, is_watched=look.watch)
    from runner.cli import showing  # noqa: PLC0415

    if look.of_all:
        return showing.all_runs(state_dir)
    return showing.status(run, state_dir, is_watched=look.watch)


@ends_quietly
def show(
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="[RUN] ITEM",
            help="the run (as elsewhere), and the item: its id, or line:N",
        ),
    ],
    given: ShowOptions,
) -> int:
    """Every attempt of one item: raw answer, cost, why it is invalid."""
    from runner.cli import telling  # noqa: PLC0415

    return telling.show(words, given.bodies, given.place.state_dir)


def rejudge(*, run: RunName = None, given: RejudgeOptions) -> int:
    """Judge all stored answers by a new rule: no request, no cost.

    Rules that are not given stay in force; an empty one, as in --choices '', is
    dropped. Interrupted, it is finished by the same without options.
    """
    from runner.cli import writing  # noqa: PLC0415

    return writing.rejudge(run, given)


def export(*, run: RunName = None, given: ExportOptions) -> int:
    """Write the answers there are, at any time."""
    from runner.cli import writing  # noqa: PLC0415

    return writing.export(run, given)


def stop(*, run: RunAtWork = None, given: StopOptions) -> int:
    """Have a run end in good order, and wait for it."""
    from runner.cli import writing  # noqa: PLC0415

    return writing.stop(run, given.place.state_dir)


def verify(*, run: RunName = None, given: VerifyOptions) -> int:
    """Read everything of a run: is it sound? Exit 0, or 5."""
    from runner.cli import checking  # noqa: PLC0415

    return checking.verify(run, given.place.state_dir, as_json=given.form.as_json)


def backup(
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="[RUN] DIR",
            help="the run (as elsewhere), and a folder that is not there yet",
        ),
    ],
    given: PlaceOptions,
) -> int:
    """Copy a run, also while it goes on, and read the copy again."""
    from runner.cli import checking  # noqa: PLC0415

    return checking.backup(words, given.place.state_dir)


def salvage(*, run: RunName = None, given: PlaceOptions) -> int:
    """Bring what is readable of a damaged run into a new one; sends nothing."""
    from runner.cli import checking  # noqa: PLC0415

    return checking.salvage(run, given.place.state_dir)


def simulate(context: typer.Context) -> int:
    """Serve made-up answers, for trials without key, network or cost.

    All options are the simulator's own: see `runner simulate --help`.
    """
    from runner.cli import simulating  # noqa: PLC0415

    simulating.become_simulator(context.args)


for _command in (
    *(start, resume, status, show, rejudge, export, stop),
    *(verify, backup, salvage),
):
    app.command(cls=GroupedCommand, context_settings=_HELP)(
        spelled_out(_command, is_new_run=_command is not resume)
    )
app.command(
    add_help_option=False,
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
)(simulate)
