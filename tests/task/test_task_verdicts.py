import base64
import struct
import threading
from pathlib import Path
from typing import Any

import pytest
from task_builders import ITEM, answer, file_task, item, refusal_of, task

from runner.records import Answer, Endpoint, Verdict

TEXT_ENDPOINTS = [Endpoint.CHAT, Endpoint.RESPONSES]


def invalid(reason: str, *, ask_again: bool = True) -> Verdict:
    return Verdict(valid=False, reason=reason, ask_again=ask_again)


def test_an_unreadable_answer_is_asked_for_again() -> None:
    assert task().judge(ITEM, None) == invalid("unreadable answer")


@pytest.mark.parametrize("endpoint", TEXT_ENDPOINTS)
@pytest.mark.parametrize(
    ("given", "verdict"),
    [
        (answer("ok"), Verdict(valid=True)),
        (answer("ok", finish_reason=None), Verdict(valid=True)),
        (answer([{"name": "f"}], finish_reason="tool_calls"), Verdict(valid=True)),
        (answer(""), invalid("empty answer")),
        (answer(" \n"), invalid("empty answer")),
        (answer(None), invalid("empty answer")),
        (answer([]), invalid("empty answer")),
        (
            answer("half a sen", finish_reason="length"),
            invalid(
                "cut off at the output limit (finish_reason length)", ask_again=False
            ),
        ),
        (
            answer("", finish_reason="content_filter"),
            invalid("stopped by the content filter", ask_again=False),
        ),
        (
            answer("half a sen", finish_reason="model_length"),
            invalid(
                "cut off at the output limit (finish_reason model_length)",
                ask_again=False,
            ),
        ),
        (
            answer("half a sen", finish_reason="error"),
            invalid("broken off by the server (finish_reason error)"),
        ),
        (
            answer("half", finish_reason="insufficient_system_resource"),
            invalid(
                "broken off by the server (finish_reason insufficient_system_resource)"
            ),
        ),
        (
            answer("", refusal="I\ncannot"),
            invalid("refused: I cannot", ask_again=False),
        ),
        (
            answer("x", finish_reason="max_messages", status="incomplete"),
            invalid("not finished (status incomplete, max_messages)"),
        ),
        (
            answer("x", finish_reason="length", status="incomplete"),
            invalid(
                "cut off at the output limit (finish_reason length)", ask_again=False
            ),
        ),
    ],
)
def test_the_default_verdict_of_text(
    endpoint: Endpoint, given: Answer, verdict: Verdict
) -> None:
    assert task(endpoint=endpoint).judge(ITEM, given) == verdict


@pytest.mark.parametrize(
    "given",
    [
        answer("x", finish_reason="length"),
        answer("", finish_reason="content_filter"),
        answer("", refusal="no"),
    ],
)
def test_truncated_answers_are_asked_for_again_when_the_user_says_so(
    given: Answer,
) -> None:
    assert task(reask_truncated=True).judge(ITEM, given).ask_again


def floats(*numbers: float) -> str:
    return base64.b64encode(struct.pack(f"<{len(numbers)}f", *numbers)).decode()


NO_NUMBERS = "vector 0 holds no finite numbers"


@pytest.mark.parametrize(
    ("response", "reason"),
    [
        ([0.1, -2], None),
        ([[0.1, -2]], None),
        (floats(0.5, 1.5), None),
        ([floats(0.5)], None),
        (None, "no vectors"),
        ([], "no vectors"),
        ("", NO_NUMBERS),
        ([[]], NO_NUMBERS),
        ([0.1, float("nan")], NO_NUMBERS),
        ([0.1, float("inf")], NO_NUMBERS),
        ([0.1, True], NO_NUMBERS),
        ([0.1, "x"], NO_NUMBERS),
        (floats(float("nan")), NO_NUMBERS),
        ("AAA=", NO_NUMBERS),
        ("not base64!", NO_NUMBERS),
        ([[0.1], [0.2]], "2 vectors for 1 inputs"),
        ({"x": 1}, "no vectors"),
    ],
)
def test_an_embedding_is_valid_with_a_finite_vector_per_input(
    response: Any, reason: str | None
) -> None:
    judged = task(endpoint=Endpoint.EMBEDDINGS).judge(ITEM, answer(response))

    assert judged == Verdict(valid=reason is None, reason=reason)


def test_a_missing_vector_is_noticed_for_several_inputs(tmp_path: Path) -> None:
    source = "def get_prompt(item): return ['a', 'b', 'c']\n"
    asking = file_task(tmp_path, source, endpoint=Endpoint.EMBEDDINGS)

    assert asking.judge(ITEM, answer([[1], [2], [3]])) == Verdict(valid=True)
    assert asking.judge(ITEM, answer([[1], [2]])) == invalid("2 vectors for 3 inputs")


@pytest.mark.parametrize(
    ("wanted", "response", "valid"),
    [
        (["a", "b"], [[1], [2]], True),
        (["a", "b"], [[1]], False),
        (["a"], [1, 2], True),
        ([11, 22, 33], [1, 2], True),
        ([[11], [22]], [[1], [2]], True),
        ("a", [1, 2], True),
    ],
)
def test_batch_lines_say_how_many_vectors_they_want(
    wanted: Any, response: Any, *, valid: bool
) -> None:
    line = {
        "custom_id": "a-1",
        "method": "POST",
        "url": "/v1/embeddings",
        "body": {"model": "m", "input": wanted},
    }
    asking = task(batch=True, prompt=None, model=None)

    assert asking.judge(item(line), answer(response)).valid is valid


def test_any_well_formed_answer_of_another_endpoint_is_valid() -> None:
    line = {"method": "POST", "url": "/v1/moderations", "body": {"input": "x"}}
    asking = task(batch=True, prompt=None, model=None)

    assert asking.judge(item(line), answer({})) == Verdict(valid=True)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("yes", None),
        (" no\n", None),
        ("Yes", '"Yes" is none of: yes, no'),
        ("yes.", '"yes." is none of: yes, no'),
        ('"yes"', '"\\"yes\\"" is none of: yes, no'),
        ([{"name": "f"}], "no text to compare with the choices"),
    ],
)
def test_a_choice_is_exactly_one_of_those_offered(
    text: Any, reason: str | None
) -> None:
    judged = task(choices=("yes", " no")).judge(ITEM, answer(text))

    assert judged == Verdict(valid=reason is None, reason=reason)


@pytest.mark.parametrize("choices", [("a",), ("a", " a "), ("a", ""), ("", "")])
def test_choices_without_a_choice_are_refused(choices: tuple[str, ...]) -> None:
    assert "--choices" in refusal_of(task, choices=choices)


@pytest.mark.parametrize(
    ("pattern", "text", "valid"),
    [
        (r"\d+", "about 12 of them", True),
        (r"^\d+$", "about 12 of them", False),
        (r"^\d+$", "12", True),
        (r"(?i)YES", "oh yes", True),
        (r"^\p{Lu}", "Über", True),
    ],
)
def test_a_pattern_is_searched_anywhere_in_the_answer(
    pattern: str, text: str, *, valid: bool
) -> None:
    assert task(valid_regex=pattern).judge(ITEM, answer(text)).valid is valid


def test_a_broken_pattern_is_refused_with_its_position() -> None:
    assert refusal_of(task, valid_regex="a(b[c") == (
        "--valid-regex: unterminated character set at position 5 in 'a(b[c'"
    )


def test_tool_calls_are_no_text_to_search() -> None:
    judged = task(valid_regex="x").judge(ITEM, answer([{"name": "x"}]))

    assert judged == invalid("no text to search with --valid-regex")


def test_a_pattern_that_backtracks_for_ever_is_cut_after_a_second() -> None:
    """And other threads go on meanwhile: `re` would hold all of them."""
    asking = task(valid_regex=r"^(a|a)+$")
    ticks, is_over = [0], threading.Event()

    def tick() -> None:
        while not is_over.wait(0.005):
            ticks[0] += 1

    ticking = threading.Thread(target=tick)
    ticking.start()
    judged = asking.judge(ITEM, answer("a" * 40 + "!"))
    is_over.set()
    ticking.join()

    assert judged == Verdict(
        valid=None, reason="--valid-regex took longer than 1 s", ask_again=False
    )
    assert ticks[0] > 10


SCHEMA = {
    "type": "object",
    "properties": {"n": {"type": "integer"}},
    "required": ["n"],
    "additionalProperties": False,
}


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (answer("", finish_reason="length"), "cut off at the output limit"),
        (answer("nonsense"), "not JSON: Expecting value"),
        (answer('{"n": "x"}'), "$.n: 'x' is not of type 'integer'"),
        (answer('{"n": 3}'), '"{\\"n\\": 3}" is none of'),
        (answer('{"n": 1}'), "--valid-regex finds nothing"),
        (answer('{"n": 12}'), "is_response_valid said False"),
        (answer('{"n":12}'), None),
    ],
)
def test_rules_hold_together_and_the_first_that_fails_speaks(
    tmp_path: Path, given: Answer, reason: str | None
) -> None:
    """Default verdict, schema, choices, pattern, the user's own: in that order."""
    source = (
        "def get_prompt(item): return 'x'\n"
        "def is_response_valid(response): return ' ' not in response\n"
    )
    asking = file_task(
        tmp_path,
        source,
        schema=SCHEMA,
        choices=('{"n": 1}', '{"n": 12}', '{"n":12}'),
        valid_regex=r"\d\d",
    )

    judged = asking.judge(ITEM, given)

    assert judged.valid is (reason is None)
    assert (judged.reason or "").startswith(reason or "")


def test_a_bug_of_ours_leaves_a_paid_answer_unjudged() -> None:
    """Nothing is raised: here an item that is no Batch line after all."""
    asking = task(batch=True, prompt=None, model=None)

    judged = asking.judge(item({"url": 3}), answer("x"))

    assert judged.valid is None
    assert not judged.ask_again


def test_reasons_are_one_short_line() -> None:
    judged = task(schema=SCHEMA).judge(ITEM, answer('{"n": "' + "x\\n" * 9000 + '"}'))

    assert judged.reason is not None
    assert len(judged.reason) <= 200
    assert "\n" not in judged.reason
