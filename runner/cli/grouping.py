"""How do commands share their options, and how does `--help` group them?

A group is a dataclass whose fields are options; a command takes one bundle, a
dataclass of groups. typer sees every option on its own, under its group's heading.

Floor: faces.
"""

import collections
import copy
import dataclasses
import inspect
from collections.abc import Callable, Iterator
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from typer.core import TyperCommand
from typer.models import OptionInfo

from runner.errors import UsageError


def spelled_out(
    command: Callable[..., int], *, is_new_run: bool = True
) -> Callable[..., int]:
    """The command as typer wants it: each option of each group a parameter.

    Args:
        command: takes arguments, options and at most one bundle of groups.
        is_new_run: False leaves defaults out of the help: an option that is not
            given means "as before".
    """
    hints = get_type_hints(command, include_extras=True)
    bundles = {name: hint for name, hint in hints.items() if _is_bundle(hint)}

    def called(**given: Any) -> int:
        for name, bundle in bundles.items():
            given[name] = _filled(bundle, given)
        return command(**given)

    parameters: list[inspect.Parameter] = []
    for name, plain in inspect.signature(command).parameters.items():
        if name in bundles:
            parameters += _parameters(bundles[name], is_new_run=is_new_run)
        else:
            kind = inspect.Parameter.KEYWORD_ONLY
            parameters.append(plain.replace(annotation=hints[name], kind=kind))
    # Not functools.wraps: typer would look through it at the bundle.
    called.__name__, called.__doc__ = command.__name__, command.__doc__
    called.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # functions take any attribute
    return called


class GroupedCommand(TyperCommand):
    """A command whose help lists options under the headings of their groups.

    An option with one value is taken once: of two, the last would win in silence.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """As typer does, once no option is there twice."""
        _, _, order = self.make_parser(ctx).parse_args(args=list(args))
        counted = collections.Counter(map(id, order))
        for param in order:
            if counted[id(param)] > 1 and _has_one_value(param):
                raise UsageError(f"{param.opts[0]} is given twice", "keep one of them")
        return super().parse_args(ctx, args)

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write arguments, then a section for each heading."""
        sections: dict[str, list[tuple[str, str]]] = {}
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx)
            if record is not None:
                if param.param_type_name == "argument":
                    record = (param.metavar or record[0], record[1])
                sections.setdefault(_heading(param), []).append(record)
        for heading, records in sections.items():
            with formatter.section(heading):
                formatter.write_dl(records)


def _is_bundle(hint: Any) -> bool:
    return isinstance(hint, type) and dataclasses.is_dataclass(hint)


def _groups(bundle: type) -> dict[str, Any]:
    return get_type_hints(bundle)


def _filled(bundle: type, given: dict[str, Any]) -> Any:
    """The bundle, its options taken out of `given`."""
    groups = {
        name: group(**{f.name: given.pop(f.name) for f in dataclasses.fields(group)})
        for name, group in _groups(bundle).items()
    }
    return bundle(**groups)


def _parameters(bundle: type, *, is_new_run: bool) -> Iterator[inspect.Parameter]:
    for group in _groups(bundle).values():
        hints = get_type_hints(group, include_extras=True)
        for field in dataclasses.fields(group):
            kind, info = _parts(hints[field.name])
            info.rich_help_panel = group.heading
            if is_new_run and info.show_default:
                info.help = f"{info.help} (default {info.show_default})"
            info.show_default = False
            yield inspect.Parameter(
                field.name,
                inspect.Parameter.KEYWORD_ONLY,
                default=field.default,
                annotation=Annotated[kind, info],
            )


def _parts(hint: Any) -> tuple[Any, OptionInfo]:
    assert get_origin(hint) is Annotated
    kind, info = get_args(hint)
    assert isinstance(info, OptionInfo)
    return kind, copy.copy(info)


def _has_one_value(param: Any) -> bool:
    """Not so: a flag, what is repeatable, and what is refused however often."""
    return not (
        param.param_type_name == "argument"
        or param.is_flag
        or param.multiple
        or param.hidden
    )


def _heading(param: Any) -> str:
    if param.param_type_name == "argument":
        return "Arguments"
    return getattr(param, "rich_help_panel", None) or "Options"
