"""How are settings written, read and explained?

Owns "key=value,key=value" and the JSON form of it, and the one-line errors for
what cannot be read.

Floor: simulator. Knows scenario and faults.
"""

import dataclasses
import difflib
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, Literal, get_args, get_origin, get_type_hints

from runner.simulator.faults import FAULTS, KINDS
from runner.simulator.scenario import About, Scenario
from runner.simulator.wire import JsonObject

_NEXT_SETTING = re.compile(r",(?=\s*[a-z_0-9]+\s*=)")
_FAULTS_AND_KINDS = (*FAULTS, *KINDS)
_YES = {"1", "true", "yes", "on"}
_NO = {"0", "false", "no", "off"}


class ScenarioError(ValueError):
    """A setting is unknown, or its value is impossible: one line saying which."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One setting, as a help text shows it."""

    name: str
    default: str
    help: str
    type: Any
    low: float
    high: float


def settings() -> tuple[Setting, ...]:
    """Every setting in the order of the help text."""
    hints = get_type_hints(Scenario, include_extras=True)
    return tuple(
        _setting(field.name, field.default, *get_args(hints[field.name]))
        for field in dataclasses.fields(Scenario)
    )


def parse(text: str, scenario: Scenario | None = None) -> Scenario:
    """Read "key=value,key=value" on top of `scenario` (the defaults).

    A comma belongs to the value unless a `name=` follows it.

    Raises:
        ScenarioError: unknown setting or impossible value.
    """
    pairs: dict[str, str] = {}
    for part in _NEXT_SETTING.split(text):
        if not part.strip():
            continue
        name, equals, value = part.partition("=")
        if not equals:
            raise ScenarioError(f"simulator setting {part.strip()!r}: no '=' in it")
        pairs[name.strip()] = value.strip()
    return changed(scenario or Scenario(), pairs)


def changed(scenario: Scenario, values: Mapping[str, Any]) -> Scenario:
    """`scenario` with some settings replaced; values are text or JSON.

    Raises:
        ScenarioError: unknown setting or impossible value.
    """
    read = {name: _read(_known(name), value) for name, value in values.items()}
    result = dataclasses.replace(scenario, **read)
    _check_together(result)
    return result


def to_json(scenario: Scenario) -> JsonObject:
    """All settings as JSON, the expected key left out."""
    shown = {
        setting.name: _shown(getattr(scenario, setting.name)) for setting in SETTINGS
    }
    return shown | {"key": "any" if scenario.key == "any" else "(one key)"}


def _setting(name: str, default: Any, kind: Any, about: About) -> Setting:
    text = about.text
    if get_origin(kind) is Literal:
        text = f"{'|'.join(get_args(kind))}: {text}"
    if isinstance(default, tuple):
        default = "|".join(default)
    if isinstance(default, bool):
        default = int(default)
    return Setting(
        name=name,
        default=str(default),
        help=text,
        type=kind,
        low=about.low,
        high=about.high,
    )


SETTINGS = settings()
"""Every setting: name, default, help."""

_BY_NAME = {setting.name: setting for setting in SETTINGS}


def _known(name: str) -> Setting:
    if name in _BY_NAME:
        return _BY_NAME[name]
    near = difflib.get_close_matches(name, _BY_NAME, n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    raise ScenarioError(f"simulator has no setting {name!r}{hint}")


def _read(setting: Setting, value: Any) -> Any:
    kind = setting.type
    if get_origin(kind) is Literal:
        return _read_word(setting, value)
    if get_origin(kind) is tuple:
        return _read_words(setting, value)
    if kind is bool:
        return _read_switch(setting, value)
    if kind is str:
        return _read_text(setting, value)
    return _read_number(setting, value)


def _read_word(setting: Setting, value: Any) -> str:
    if str(value) not in get_args(setting.type):
        words = "|".join(get_args(setting.type))
        raise _impossible(setting, value, f"one of {words}")
    return str(value)


def _read_words(setting: Setting, value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        separator = "|" if "|" in value else ","
        value = [word.strip() for word in value.split(separator)]
    if not isinstance(value, list) or not all(isinstance(w, str) for w in value):
        raise _impossible(setting, value, "words separated by |")
    return tuple(word for word in value if word)


def _read_switch(setting: Setting, value: Any) -> bool:
    text = str(value).lower()
    if text not in _YES | _NO:
        raise _impossible(setting, value, "0 or 1")
    return text in _YES


def _read_text(setting: Setting, value: Any) -> str:
    if not isinstance(value, str):
        raise _impossible(setting, value, "a text")
    if setting.name.endswith("_fault") and value not in _FAULTS_AND_KINDS:
        raise _impossible(setting, value, f"one of {', '.join(_FAULTS_AND_KINDS)}")
    return value


def _read_number(setting: Setting, value: Any) -> Any:
    whole = setting.type is int
    bounds = f"{'a whole number' if whole else 'a number'} of at least {setting.low:g}"
    if setting.high < math.inf:
        bounds += f" and at most {setting.high:g}"
    try:
        number = Decimal(str(value).replace("_", ""))
    except InvalidOperation:
        raise _impossible(setting, value, bounds) from None
    if not number.is_finite() or (whole and number != number.to_integral_value()):
        raise _impossible(setting, value, bounds)
    if not setting.low <= number <= setting.high:
        raise _impossible(setting, value, bounds)
    return setting.type(number)


def _impossible(setting: Setting, value: Any, wanted: str) -> ScenarioError:
    return ScenarioError(
        f"simulator setting {setting.name}={value!r}: must be {wanted}"
    )


def _check_together(scenario: Scenario) -> None:
    for names in (tuple(FAULTS), KINDS):
        total = math.fsum(getattr(scenario, name) for name in names)
        if total > 1 + 1e-9:
            raise ScenarioError(
                f"simulator settings {', '.join(names)}: rates add up to {total:g},"
                " more than 1"
            )


def _shown(value: Any) -> Any:
    if isinstance(value, Decimal):
        return str(value)
    return list(value) if isinstance(value, tuple) else value
