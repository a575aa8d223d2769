"""Rules that cost nothing on the first day and cannot be introduced later."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MODULES = sorted((ROOT / "runner").rglob("*.py"))
PACKAGES = sorted(p.parent.name for p in MODULES if p.match("runner/*/__init__.py"))
MOST_LINES = 400
MOST_FUNCTION_LINES = 50
NO_NAMES = {"utils", "util", "helpers", "common", "base", "misc", "manager"}
"""They say nothing of what is inside, so everything ends up there."""
ROOM = re.compile(r"`(\w+)`")
LONGER = {
    "runner/api.py:run": "a signature and its docstring",
    "runner/finalizer/exporting.py:export": "a signature and its docstring",
}
"""File or file:function → why it may be longer."""
PATHS_OF_A_MACHINE = re.compile(r"(?<![\w.])/(?:root|home|Users|work)/\w")
REGISTRIES = re.compile(
    "|".join(("py" + r"pi\.org", "python" + "hosted", "npm" + "js"))
)


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
def test_a_module_can_be_read_in_one_sitting(path: Path) -> None:
    """Lines of files and of functions, docstrings included."""
    name = str(path.relative_to(ROOT))
    text = path.read_text(encoding="utf-8")
    long = [
        f"{name}:{node.name} {length(node)}"
        for node in functions(text)
        if length(node) > MOST_FUNCTION_LINES and f"{name}:{node.name}" not in LONGER
    ]

    assert long == []
    assert text.count("\n") <= MOST_LINES or name in LONGER


def functions(text: str) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """All of a module, nested ones too."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def length(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines from `def` to the end."""
    assert node.end_lineno is not None
    return node.end_lineno - node.lineno + 1


def test_exceptions_are_needed() -> None:
    """What has become shorter leaves the list."""
    names = {str(path.relative_to(ROOT)): path for path in MODULES}
    for entry in LONGER:
        file, _, function = entry.partition(":")
        text = names[file].read_text(encoding="utf-8")
        if function:
            longest = max(length(n) for n in functions(text) if n.name == function)
            assert longest > MOST_FUNCTION_LINES, entry
        else:
            assert text.count("\n") > MOST_LINES, entry


def test_names_say_what_is_inside() -> None:
    """No drawer for everything."""
    named = {path.stem for path in MODULES} | {path.parent.name for path in MODULES}

    assert named & NO_NAMES == set()


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
def test_a_module_opens_with_its_card(path: Path) -> None:
    """What question it answers, in its first lines."""
    assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))


def floors() -> dict[str, str]:
    """Room → floor, as the table of docs/architecture.md has it."""
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    table = page.partition("| floor | rooms |")[2].partition("\n\n")[0]
    rows = [row.split("|")[1:3] for row in table.splitlines()[2:]]
    return {room: name.strip() for name, cell in rows for room in ROOM.findall(cell)}


def test_a_card_names_the_floor_its_room_stands_on() -> None:
    """Who reads one file knows what it may import; the neighbour has no floor."""
    rooms = floors() | {"__main__": "faces"}
    wrong = []
    for path in MODULES:
        room = path.relative_to(ROOT / "runner").with_suffix("").parts[0]
        card = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        if room not in {"__init__", "simulator"}:
            last = card.rpartition("\n\n")[2]
            if not last.startswith(f"Floor: {rooms[room]}."):
                wrong.append(f"{path}: {last}")

    assert wrong == []


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_says_where_what_is(package: str) -> None:
    """Its card names each of its modules, so that the right one is found at once."""
    folder = ROOT / "runner" / package
    card = ast.get_docstring(ast.parse((folder / "__init__.py").read_text())) or ""
    modules = {path.stem for path in folder.glob("*.py")} - {"__init__", "__main__"}
    named = set(re.findall(r"(?:^ +|\S {2,})(\w+)\s", card, re.MULTILINE))

    assert modules - named == set()


def test_tracked_files_know_no_machine_and_no_registry() -> None:
    """They must mean the same on every machine."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False
    )
    if listed.returncode:
        pytest.skip("not a git checkout")
    wrong = [
        f"{name}: {found[0]}"
        for name in listed.stdout.decode().split("\0")
        if name and (ROOT / name).is_file()
        for found in [first_stranger((ROOT / name).read_bytes())]
        if found
    ]

    assert wrong == []


def first_stranger(content: bytes) -> re.Match[str] | None:
    """A path of a machine, or a package registry's host."""
    text = content.decode("utf-8", "replace")
    return PATHS_OF_A_MACHINE.search(text) or REGISTRIES.search(text)


def test_that_test_can_fail() -> None:
    """The patterns find what they are for, and leave shebangs alone."""
    assert first_stranger(b"see /ho" + b"me/ada/items.jsonl")
    assert first_stranger(b"https://py" + b"pi.org/simple")
    assert not first_stranger(b"#!/usr/bin/env python3, ~/.local, ./work/ and a/work/")


@pytest.mark.parametrize("module", ["runner", "runner.cli", "runner.api"])
def test_an_import_does_not_load_the_sdk(module: str) -> None:
    """It takes a second, and only workers need it."""
    code = f"import {module}, sys; print('openai' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )

    assert done.stdout == "False\n"
