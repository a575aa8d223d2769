"""How does a person tell `runner` what to do? Commands, options, exit codes.

    front    the way in and out: errors as one line, exit codes
    app      the commands        bundles  which options each takes
    sending  start and resume   showing, looking  status   telling  show
    writing  export, rejudge and stop: what sends nothing

No logic of a run is in here: everything a command does is one call of `api`.
Floor: the top. The one door to typer.
"""

from runner.cli.front import main

__all__ = ["main"]
