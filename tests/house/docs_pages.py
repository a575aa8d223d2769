"""The documentation, as text, commands and code."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    [
        *ROOT.glob("*.md"),
        *(ROOT / "docs").glob("*.md"),
        *(ROOT / "examples").rglob("*.md"),
        ROOT / "state" / "README.md",
    ]
)
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]+")


@dataclass(frozen=True)
class Command:
    """One `$ runner ...` of a page."""

    page: str
    words: tuple[str, ...]

    @property
    def verb(self) -> str:
        """Its subcommand; empty when there is none."""
        first = self.words[1] if len(self.words) > 1 else ""
        return "" if first.startswith("-") else first

    @property
    def options(self) -> list[str]:
        """Its long options."""
        return [word.partition("=")[0] for word in self.words if word[:2] == "--"]


def page(name: str) -> str:
    """The text of one page below the root."""
    return (ROOT / name).read_text(encoding="utf-8")


def blocks(text: str, language: str) -> list[str]:
    """Fenced blocks of one language."""
    return [found[2] for found in _BLOCK.finditer(text) if found[1] == language]


def prose(text: str) -> str:
    """The text without fenced blocks."""
    return _BLOCK.sub("", text)


def options_in(text: str) -> set[str]:
    """Every long option that is named anywhere."""
    return set(_OPTION.findall(text))


def commands() -> Iterator[Command]:
    """Every `$ runner ...` line, continued lines joined."""
    for path in PAGES:
        joined = path.read_text(encoding="utf-8").replace("\\\n", " ")
        for line in re.findall(r"^\$ (.*\brunner\b.*)$", joined, re.MULTILINE):
            words = _words(line)
            if "runner" in words:
                name = str(path.relative_to(ROOT))
                yield Command(name, tuple(words[words.index("runner") :]))


def _words(line: str) -> list[str]:
    """Of one command, up to a pipe or redirection; a quoted command is unfolded."""
    line = line.replace('"$(command -v runner)"', "runner")
    words: list[str] = []
    for word in shlex.split(line, comments=True):
        if word in ("|", ">", "&"):
            break
        words += shlex.split(word) if word.startswith("runner ") else [word]
    return words
