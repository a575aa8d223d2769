"""What can go wrong, as the person at the terminal meets it.

RunnerError(1: a bug of ours; supervisor/loop and cli/guarding have kinds of it)
├─ UsageError(2)            an option, a config value, the environment
│  ├─ ItemFileError         the items file: says the line
│  ├─ TaskError             prompt, task file, schema, validity rule
│  ├─ OutputError           a target that must not or cannot be written
│  └─ EndpointError         the base URL does not answer
├─ StoreError(4)            the checkpoint cannot be written: nothing new is sent
│  └─ StoreClosed           it was closed before: nobody waits for it any more
└─ StateError(5)            what is on disk forbids going on
   ├─ RunNotFound           no run of that name
   ├─ RunExists             a run of that name, or on those items
   ├─ RunLocked             another process works on it
   ├─ RunChanged            items, prompt, model ... differ from the run's
   ├─ HalfJudged            a rejudgement began and did not end
   ├─ StateDamaged          missing, foreign or altered state
   └─ StateTooNew           written by a newer version

Floor: words. Knows nobody.
"""

from typing import ClassVar


class RunnerError(Exception):
    """One line saying what is wrong, and `hint`: what to do next."""

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}: {self.hint}" if self.hint else self.message


class UsageError(RunnerError):
    """An option, a config value or the environment is not usable."""

    exit_code = 2


class ItemFileError(UsageError):
    """The items file, or one line of it, cannot be used."""


class TaskError(UsageError):
    """The user's prompt, task file, schema or validity rule cannot be used."""


class OutputError(UsageError):
    """An output file must not or cannot be written."""


class EndpointError(UsageError):
    """The base URL is malformed or nothing answers there."""


class StoreError(RunnerError):
    """The checkpoint could not be written; nothing new may be sent."""

    exit_code = 4


class StoreClosed(StoreError):
    """It came after the checkpoint was closed: nobody waited for it any more."""


class StateError(RunnerError):
    """The state on disk forbids going on."""

    exit_code = 5


class RunNotFound(StateError):
    """There is no run of that name, or none at all."""


class RunExists(StateError):
    """A run of that name, or on those items, is there already."""


class RunLocked(StateError):
    """Another process is working on this run."""


class RunChanged(StateError):
    """Items, task, model or parameters are not those the run began with."""


class HalfJudged(StateError):
    """A rejudgement did not end: verdicts by two rules stand side by side."""


class StateDamaged(StateError):
    """State is missing, foreign, truncated or altered.

    What to do is the same nearly everywhere.
    """

    def __init__(
        self,
        message: str,
        hint: str = "put a backup back, or see `runner verify` and `runner salvage`",
    ) -> None:
        super().__init__(message, hint)


class StateTooNew(StateError):
    """State was written by a newer version of runner."""
