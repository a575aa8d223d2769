"""How is one option declared?

Floor: faces. The house's own short form of typer's many words.
"""

import pathlib
from collections.abc import Callable
from typing import Any

import typer

from runner.cli.values import file_of, text_of


def option(
    name: str,
    metavar: str,
    text: str,
    reader: Callable[[str], Any],
    *,
    default: str | None = None,
    is_hidden: bool = False,
) -> Any:
    """An option with a value, read by `reader`; `default` is only shown."""
    return typer.Option(
        name,
        metavar=metavar,
        help=text,
        parser=reader,
        show_default=default or False,
        hidden=is_hidden,
    )


def flag(name: str, text: str) -> Any:
    """An option without a value."""
    return typer.Option(name, help=text, show_default=False)


def repeated(name: str, metavar: str, text: str) -> Any:
    """An option that may be given several times; its texts are read together."""
    return typer.Option(name, metavar=metavar, help=text, show_default=False)


def path(
    name: str,
    text: str,
    metavar: str = "F",
    *,
    default: str | None = None,
    is_file: bool = False,
) -> Any:
    """An option whose value is a path; `is_file`: never that of a folder."""
    read = file_of(name) if is_file else text_of(name, is_path=True)

    def reader(given: str) -> pathlib.Path:
        return pathlib.Path(read(str(given)))

    return option(name, metavar, text, reader, default=default)
