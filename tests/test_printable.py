"""Foreign text on a terminal."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.printable import printable, printable_lines


@pytest.mark.parametrize(
    ("foreign", "expected"),
    [
        ("plain text", "plain text"),
        ("[red]not markup[/red]", "[red]not markup[/red]"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("a\x1b]0;new title\x07b", "ab"),
        ("a\x1b]52;c;ZXZpbA==\x1b\\b", "ab"),
        ("a\x9d52;c;ZXZpbA==\x9cb", "ab"),
        ("a\x1bP1$r\x1b\\b", "ab"),
        ("a\x9b2Jb", "ab"),
        ("a\x1bcb", "ab"),
        ("a\x1b]0;never ended", "a"),
        ("a\x00b\x07c\x08d\x7fe", "abcde"),
        ("user\u202egpj.exe", "usergpj.exe"),
        ("a\u2066b\u2069c\u200ed", "abcd"),
        ("two\r\nlines\tand\u2028more", "two lines and more"),
        ("\U0001f469\u200d\U0001f52c", "\U0001f469\u200d\U0001f52c"),
        ("half \ud83d of a pair", "half \N{REPLACEMENT CHARACTER} of a pair"),
        ("Übung 日本語 עברית", "Übung 日本語 עברית"),
    ],
)
def test_nothing_that_acts_on_a_terminal_stays(foreign: str, expected: str) -> None:
    assert expected == printable(foreign)


@given(st.text(st.characters(codec=None)))
def test_whatever_comes_in_only_letters_spaces_and_line_ends_go_out(text: str) -> None:
    shown = printable_lines(text)
    acting = [
        c
        for c in shown
        if c not in "\n\u200c\u200d" and unicodedata.category(c)[0] == "C"
    ]
    assert [] == acting
    shown.encode("utf-8")


@given(st.text(st.characters(codec=None)))
def test_printable_is_one_line(text: str) -> None:
    assert printable(text).splitlines() in ([], [printable(text)])


def test_lines_stay_lines_where_they_are_wanted() -> None:
    assert '{\n    "a": 1\n}' == printable_lines('{\r\n\t"a": 1\r\n}')
