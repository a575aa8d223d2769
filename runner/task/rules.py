"""The user's rules about an answer: a choice, a pattern, a function.

Owns their verdicts. A rule returns None where it holds, so that rules stand in
a row and the first one that speaks decides.

Floor: doors and rules.
"""

from collections.abc import Callable
from typing import Any

from runner.errors import TaskError
from runner.records import Answer, Item, Verdict
from runner.task.patterns import TIMEOUT_S, compiled, found_in
from runner.task.plainjson import (
    NotJson,
    as_json,
    names,
    own_copy,
    quoted,
    type_name,
)
from runner.task.usercode import UserFunction

Rule = Callable[[Item, Answer], Verdict | None]
"""None: the rule holds. Raises TaskError where nobody can know."""


def choice_rule(choices: tuple[str, ...]) -> Rule:
    """The answer, without blanks around it, is exactly one of the choices.

    Raises:
        TaskError: fewer than two different ones, or an empty one.
    """
    allowed = list(dict.fromkeys(choice.strip() for choice in choices))
    if "" in allowed:
        raise TaskError("--choices holds an empty choice", "write --choices yes,no")
    if len(allowed) < 2:  # noqa: PLR2004 - one choice is none
        raise TaskError(
            "--choices needs at least two different ones", "write --choices yes,no"
        )

    def check(_item: Item, answer: Answer) -> Verdict | None:
        text = answer.response
        if not isinstance(text, str):
            return _invalid("no text to compare with the choices")
        if text.strip() in allowed:
            return None
        return _invalid(f"{quoted(text.strip())} is none of: {names(allowed)}")

    return check


def pattern_rule(pattern: str) -> Rule:
    """The pattern occurs in the answer; write `^...$` to mean all of it.

    Raises:
        TaskError: naming the position where the pattern breaks.
    """
    searchable = compiled(pattern, "--valid-regex")

    def check(_item: Item, answer: Answer) -> Verdict | None:
        text = answer.response
        if not isinstance(text, str):
            return _invalid("no text to search with --valid-regex")
        try:
            found = found_in(searchable, text)
        except TimeoutError:
            reason = f"--valid-regex took longer than {TIMEOUT_S:.0f} s"
            return Verdict(valid=None, reason=reason, ask_again=False)
        shown = quoted(text)
        return None if found else _invalid(f"--valid-regex finds nothing in {shown}")

    return check


def function_rule(function: UserFunction) -> Rule:
    """`is_response_valid` says True; anything but True or False is unjudged."""

    def check(item: Item, answer: Answer) -> Verdict | None:
        decision = ask_user(function, item, answer)
        if decision is True:
            return None
        if decision is False:
            return _invalid("is_response_valid said False")
        kind = type_name(decision)
        reason = f"is_response_valid returned {kind}, not True or False"
        return Verdict(valid=None, reason=reason, ask_again=False)

    return check


def result_of(function: UserFunction, item: Item, answer: Answer) -> Any:
    """What `get_result` makes of an answer.

    Raises:
        TaskError: it fails, or gives what is no JSON.
    """
    result = ask_user(function, item, answer)
    try:
        return as_json(result)
    except NotJson as error:
        kind = type_name(result)
        raise TaskError(
            f"get_result returned {kind} that is not JSON: {error}"
        ) from error


def ask_user(function: UserFunction, item: Item, answer: Answer) -> object:
    """Call with copies, so that nothing the user changes is seen elsewhere.

    Raises:
        TaskError: with what it raised and where.
    """
    response = own_copy(answer.response)
    if function.takes_item:
        return function(response, own_copy(item.fields))
    return function(response)


def _invalid(reason: str) -> Verdict:
    return Verdict(valid=False, reason=reason)
