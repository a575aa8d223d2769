"""How does a person tell `runner` what to do? Commands, options, exit codes.

    front        the way in and out: errors as one line, exit codes
    app          the commands            bundles          which options each takes
    sending      start and resume        writing          export, rejudge, stop
    looking      status, one small read  showing          status for a person
    telling      show                    checking         verify, backup, salvage
    declaring    one option              grouping         groups of options in help
    asking_options  what and whom to ask   running_options  how fast, how long
    values       texts after options     configuring      what the library is told
    keying       which key               network          how it travels
    simulating   the simulator           commanding       commands to be copied
    guarding     bugs, without the key   quitting         nobody looks any more

No logic of a run is in here: everything a command does is one call of `api`.

Floor: faces. The one door to typer.
"""

from runner.cli.front import main

__all__ = ["main"]
