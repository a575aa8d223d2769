import pytest

from runner.simulator.offered_choices import offered_choices


@pytest.mark.parametrize(
    ("prompt", "choices"),
    [
        ("Answer with exactly one of: a, b, c", ("a", "b", "c")),
        ("Reply in one word: good, bad or mixed.", ("good", "bad", "mixed")),
        ("Answer with exactly one of: yes, no. Text: x, y", ("yes", "no")),
        ("Choose one of the following: red | blue\nItem: x", ("red", "blue")),
        ("Answer with one word (spam, ham) for: mail, now", ("spam", "ham")),
        ('exactly one of: "very good", "bad"', ("very good", "bad")),
        ("One of: a, b, or c", ("a", "b", "c")),
        ("Classify with a single label: x/y", ("x", "y")),
        ("No one of them: was there", ()),
        ("What is the capital of France?", ()),
        ("one of: " + "a" * 50 + ", b", ()),
    ],
)
def test_the_answers_a_prompt_lists_are_found(
    prompt: str, choices: tuple[str, ...]
) -> None:
    assert offered_choices(prompt) == choices
