"""Does what a program gives fit the place it is given for? Annotations decide.

`at_the_door` stands on the calls of the library: every argument is held against its
annotation, records field by field, before anything is read or sent. What is meant
beyond doubt is taken (a str for a path, a list for a tuple, 5 for dollars); for all
else there is one UsageError with every misfit: its name, what it wants, what it got.

Floor: words. Knows errors.
"""

import dataclasses
import difflib
import functools
import inspect
import json
import math
import types
import typing
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, ParamSpec, Protocol, TypeVar

from runner.errors import UsageError

_P = ParamSpec("_P")
_R = TypeVar("_R")
_MOST_SHOWN = 60
_NEVER_SHOWN = "api_key"


class Constraint(Protocol):
    """What an annotation asks beyond the type: `Annotated[int, Within(1, 9)]`."""

    @property
    def wanted(self) -> str:
        """In words, after "wants"."""
        ...

    def allows(self, value: Any) -> bool:
        """Whether a value of the right type is one."""
        ...


@dataclass(frozen=True, slots=True)
class Within:
    """A number from `low` to `high`, both included."""

    what: str
    low: int
    high: int

    @property
    def wanted(self) -> str:
        """`a whole number from 1 to 1,024`."""
        return f"{self.what} from {self.low:,} to {self.high:,}"

    def allows(self, value: float) -> bool:
        """Whether it is in between."""
        return self.low <= value <= self.high


@dataclass(frozen=True, slots=True)
class Above0:
    """An amount above zero, `high` at most."""

    what: str
    high: Decimal

    @property
    def wanted(self) -> str:
        """`an amount of US dollars above 0`."""
        return f"{self.what} above 0, at most {self.high:,}"

    def allows(self, value: Decimal) -> bool:
        """Whether it is."""
        return 0 < value <= self.high


@dataclass(frozen=True, slots=True)
class OneOf:
    """One of few words."""

    words: tuple[str, ...]

    @property
    def wanted(self) -> str:
        """`one of 'stop', 'skip'`."""
        return f"one of {', '.join(map(repr, self.words))}"

    def allows(self, value: str) -> bool:
        """Whether it is."""
        return value in self.words


@dataclass(frozen=True, slots=True)
class Filled:
    """Text that says something."""

    wanted: str = "text that is not empty"

    def allows(self, value: str) -> bool:
        """Neither blank, nor with a NUL, which no path or header takes."""
        return bool(value.strip()) and "\0" not in value


@dataclass(frozen=True, slots=True)
class Distinct:
    """Several values, no two alike."""

    wanted: str = "a tuple of texts that differ, for example ('yes', 'no')"

    def allows(self, value: tuple[str, ...]) -> bool:
        """Whether all differ."""
        return len(set(value)) == len(value)


def at_the_door(call: Callable[_P, _R]) -> Callable[_P, _R]:
    """The call, its arguments checked against their annotations first.

    Raises UsageError: for a name it does not know (with the closest it does), and
    for every value that does not fit.
    """
    signature = inspect.signature(call)
    # At the first call: annotations may name what stands further down.
    hints_of = functools.cache(typing.get_type_hints)

    @functools.wraps(call)
    def admitted(*args: _P.args, **given: _P.kwargs) -> _R:
        bound = _bound(call.__name__, signature, args, given)
        hints = hints_of(call, include_extras=True)
        fitting = _Fitting()
        for name, value in bound.arguments.items():
            is_one = (
                signature.parameters[name].kind is not inspect.Parameter.VAR_KEYWORD
            )
            if is_one and name in hints:
                bound.arguments[name] = fitting.field(name, hints[name], value)
        fitting.refuse_misfits()
        return call(*bound.args, **bound.kwargs)

    return admitted


def unknown_names(
    call: str, unknown: Iterable[str], known: Iterable[str]
) -> UsageError:
    """What to raise for names that nothing here has."""
    names, known = sorted(unknown), sorted(known)
    close = [difflib.get_close_matches(name, known, 1) for name in names]
    meant = [found[0] for found in close if found]
    hint = f"did you mean {', '.join(meant)}?" if meant else f"{', '.join(known)}"
    return UsageError(f"{call}() knows no {', '.join(names)}", hint)


def _bound(
    call: str, signature: inspect.Signature, args: Any, given: Any
) -> inspect.BoundArguments:
    try:
        return signature.bind(*args, **given)
    except TypeError as error:
        known = signature.parameters.keys() - {"self", "cls"}
        if unknown := given.keys() - known:
            raise unknown_names(call, unknown, known) from None
        raise UsageError(f"{call}(): {error}", "see its docstring") from None


class _Unfit(Exception):
    """A value is not what is wanted; says what is."""


class _Fitting:
    """Holds values against annotations, and keeps a line for each misfit."""

    def __init__(self) -> None:
        self._misfits: list[str] = []

    def refuse_misfits(self) -> None:
        """UsageError with all of them, if there are any."""
        if self._misfits:
            raise UsageError("; ".join(self._misfits))

    def field(self, name: str, hint: Any, value: Any) -> Any:
        """The value as it is wanted; a misfit is noted under `name`."""
        try:
            return self._fitted(hint, value)
        except _Unfit as unfit:
            self._misfits.append(f"{name} wants {unfit}, got {_shown(name, value)}")
            return value

    def _fitted(self, hint: Any, value: Any) -> Any:
        origin, parts = typing.get_origin(hint), typing.get_args(hint)
        if dataclasses.is_dataclass(hint) and isinstance(hint, type):
            return self._record(hint, value)
        if origin in (typing.Union, types.UnionType):
            return self._either(parts, value)
        if origin is Annotated:
            return self._ruled(parts[0], parts[1:], value)
        if origin in (dict, tuple):
            read = self._mapping if origin is dict else self._several
            return read(parts[-1 if origin is dict else 0], value)
        return value if hint is Any else _plain(origin or hint, value)

    def _ruled(self, hint: Any, rules: tuple[Constraint, ...], value: Any) -> Any:
        wanted = " and ".join(rule.wanted for rule in rules)
        try:
            fitted = self._fitted(hint, value)
        except _Unfit:
            raise _Unfit(wanted) from None
        if not all(rule.allows(fitted) for rule in rules):
            raise _Unfit(wanted)
        return fitted

    def _either(self, hints: tuple[Any, ...], value: Any) -> Any:
        if value is None and type(None) in hints:
            return None
        wanted: list[str] = []
        for hint in hints:
            if hint is not type(None):
                try:
                    return self._fitted(hint, value)
                except _Unfit as unfit:
                    wanted.append(str(unfit))
        raise _Unfit(" or ".join(wanted))

    def _mapping(self, hint: Any, value: Any) -> Any:
        if not isinstance(value, dict) or not all(isinstance(k, str) for k in value):
            raise _Unfit("a dict with texts as keys")
        if hint is Any:
            return _json(value)
        return {name: self.field(name, hint, one) for name, one in value.items()}

    def _several(self, hint: Any, value: Any) -> Any:
        if not isinstance(value, list | tuple):
            raise _Unfit("a tuple")
        return tuple(self._fitted(hint, one) for one in value)

    def _record(self, kind: Any, value: Any) -> Any:
        if not isinstance(value, kind):
            raise _Unfit(f"a {kind.__name__}")
        hints = typing.get_type_hints(kind, include_extras=True)
        fitted = {
            f.name: self.field(f.name, hints[f.name], getattr(value, f.name))
            for f in dataclasses.fields(kind)
        }
        return dataclasses.replace(value, **fitted)


def _plain(kind: Any, value: Any) -> Any:
    match kind:
        case type() if issubclass(kind, Enum):
            return _member(kind, value)
        case type() if kind in _READERS:
            words, reader = _READERS[kind]
            fitted = reader(value)
            if fitted is None:
                raise _Unfit(words)
            return fitted
        case _ if kind is Callable:
            if not callable(value):
                raise _Unfit("something to call")
        case type() if not isinstance(value, kind):
            raise _Unfit(f"a {kind.__name__}")
    return value


def _member(kind: type[Enum], value: Any) -> Enum:
    try:
        return kind(value)
    except ValueError:
        words = ", ".join(repr(str(member.value)) for member in kind)
        raise _Unfit(f"one of {words}") from None


def _json(value: dict[str, Any]) -> dict[str, Any]:
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise _Unfit(f"what JSON can say ({error})") from None
    return value


def _number(value: Any) -> float | None:
    is_one = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_one and math.isfinite(value) else None


def _amount(value: Any) -> Decimal | None:
    if isinstance(value, Decimal):
        return value if value.is_finite() else None
    # Through its text: 0.1 is meant as 0.1.
    return None if _number(value) is None else Decimal(str(value))


def _path(value: Any) -> Path | None:
    if isinstance(value, str) and (not value.strip() or "\0" in value):
        return None
    return Path(value) if isinstance(value, str | Path) else None


def _of(kind: type) -> Callable[[Any], Any]:
    def read(value: Any) -> Any:
        # True is an int to Python, and to nobody else.
        is_flag = isinstance(value, bool) and kind is not bool
        return value if isinstance(value, kind) and not is_flag else None

    return read


_READERS: dict[Any, tuple[str, Callable[[Any], Any]]] = {
    str: ("text", _of(str)),
    bool: ("True or False", _of(bool)),
    int: ("a whole number", _of(int)),
    float: ("a number", _number),
    Decimal: ("an amount of US dollars", _amount),
    Path: ("a path", _path),
}
"""What a type takes, in words, and how; None: it does not."""


def _shown(name: str, value: Any) -> str:
    kind = type(value).__name__
    if name == _NEVER_SHOWN or value is None:
        return kind if value is not None else "None"
    text = repr(value)
    if len(text) > _MOST_SHOWN:
        text = f"{text[:_MOST_SHOWN]}..."
    return f"{text} ({kind})"
