"""Does the answer's JSON follow the user's schema?

The one door to jsonschema. Owns the check of the schema itself, what is sent of
it, and the verdict on an answer. Nothing is ever fetched: references stay
within the schema.

Floor: doors and rules.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol, cast

from jsonschema import Draft202012Validator, FormatChecker, SchemaError, ValidationError
from jsonschema.validators import extend, validator_for
from referencing import Registry
from referencing.exceptions import Unresolvable

from runner.errors import TaskError
from runner.records import Answer, Item, JsonObject, Verdict
from runner.task.patterns import TIMEOUT_S, compiled, found_in
from runner.task.plainjson import NotJson, compact, one_line, parsed, utf8
from runner.task.spec import schema_object
from runner.task.strictness import check_strict, nodes

_NAME_CHARACTERS = 64
"""The API's limit for the name of a format, of `A-Z a-z 0-9 _ -`."""


class _Validator(Protocol):
    def iter_errors(self, instance: Any) -> Iterator[ValidationError]: ...


class AnswerSchema:
    """A schema read once; judges from many threads at once."""

    def __init__(self, schema: JsonObject, path: Path | None, *, is_sent: bool) -> None:
        """Check the schema.

        Args:
            schema: the parsed schema.
            path: the file it came from, for messages and its name.
            is_sent: whether servers get it too, and so must accept it.

        Raises:
            TaskError: no JSON schema, a reference out of it, or not strict.
        """
        source = path.name if path else "--schema"
        self._schema = schema_object(schema, path)
        self._name = _format_name(schema.get("title"), path)
        _check_patterns(schema, source)
        self._validator = _validator(schema, source)
        if is_sent:
            check_strict(schema, source)

    def answer_format(self) -> JsonObject:
        """What a request says of it: name, strict, schema."""
        return {"name": self._name, "strict": True, "schema": self._schema}

    def check(self, _item: Item, answer: Answer) -> Verdict | None:
        """None when the answer follows the schema, else why not."""
        if not isinstance(answer.response, str):
            return Verdict(valid=False, reason="no text to check against the schema")
        try:
            value = parsed(answer.response)
        except (ValueError, RecursionError) as error:
            return Verdict(valid=False, reason=one_line(f"not JSON: {error}"))
        try:
            first = next(self._validator.iter_errors(value), None)
        except (TimeoutError, RecursionError) as error:
            return _unjudged(error)
        if first is None:
            return None
        reason = one_line(f"{first.json_path}: {first.message}")
        return Verdict(valid=False, reason=reason)


def canonical(schema: JsonObject) -> str:
    """The schema's text, independent of the order of its keys."""
    return json.dumps(schema, ensure_ascii=False, sort_keys=True, indent=2)


def _unjudged(error: Exception) -> Verdict:
    reason = (
        f"a pattern of the schema took longer than {TIMEOUT_S:.0f} s"
        if isinstance(error, TimeoutError)
        else "nested too deeply to check against the schema"
    )
    return Verdict(valid=None, reason=reason, ask_again=False)


def _format_name(title: Any, path: Path | None) -> str:
    wanted = title if isinstance(title, str) and title.strip() else ""
    wanted = wanted or (path.stem if path else "")
    name = re.sub(r"[^A-Za-z0-9_-]+", "_", wanted).strip("_")[:_NAME_CHARACTERS]
    return name or "answer"


def _check_patterns(schema: JsonObject, source: str) -> None:
    """Patterns are searched with a time limit, so they must be ours to search."""
    for path, node in nodes(schema):
        if isinstance(node.get("pattern"), str):
            compiled(node["pattern"], f"{source}: {path}.pattern")
        if "patternProperties" in node:
            raise TaskError(
                f"{source}: {path}.patternProperties is not supported",
                "name the properties, or allow a list of name and value",
            )
        _check_reference(node, f"{source}: {path}")


def _check_reference(node: JsonObject, place: str) -> None:
    for key in ("$ref", "$dynamicRef", "$recursiveRef"):
        reference = node.get(key)
        if isinstance(reference, str) and not reference.startswith("#"):
            raise TaskError(
                f"{place}.{key}: {one_line(reference, 80)} is outside of the schema",
                "copy it into $defs: nothing is ever fetched",
            )


def _validator(schema: JsonObject, source: str) -> _Validator:
    draft = validator_for(schema, default=Draft202012Validator)
    try:
        utf8(compact(schema))
        _check_is_schema(draft, schema)
    except NotJson as error:
        raise TaskError(f"{source}: not JSON: {error}") from error
    except SchemaError as error:
        reason = one_line(error.message)
        raise TaskError(f"{source}: {error.json_path}: {reason}") from error
    except RecursionError:
        raise TaskError(f"{source}: nested too deeply") from None
    # an empty registry knows the drafts themselves and fetches nothing
    validator: Any = _with_safe_patterns(draft)(schema, registry=Registry())
    _check_targets(schema, validator, source)
    return cast("_Validator", validator)


def _check_is_schema(draft: Any, schema: JsonObject) -> None:
    """Without format checker: its "regex" means another library's syntax."""
    draft.check_schema(schema, format_checker=FormatChecker(()))


def _with_safe_patterns(draft: Any) -> Any:
    return extend(draft, {"pattern": _pattern})  # type: ignore[no-untyped-call] # the stub has no types for it


def _check_targets(schema: JsonObject, validator: Any, source: str) -> None:
    """Every reference leads somewhere, and not round in a circle."""
    for path, node in nodes(schema):
        if "$ref" not in node:
            continue
        try:
            list(validator.evolve(schema=node).iter_errors(None))
        except RecursionError:
            raise TaskError(f"{source}: {path}.$ref leads back to itself") from None
        except Unresolvable as error:
            reference = one_line(str(node["$ref"]), 80)
            raise TaskError(
                f"{source}: {path}.$ref: there is no {reference} in the schema"
            ) from error


def _pattern(
    validator: Any, pattern: str, instance: Any, _schema: Any
) -> Iterator[ValidationError]:
    """As jsonschema's own, under the time limit; `regex` keeps compiled ones."""
    if validator.is_type(instance, "string"):
        searchable = compiled(pattern, "schema")
        if not found_in(searchable, instance):
            yield ValidationError(f"{instance!r} does not match {pattern!r}")
