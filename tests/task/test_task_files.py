import pickle
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from task_builders import (
    ITEM,
    answer,
    file_task,
    in_a_thread,
    item,
    refusal_of,
    task,
    task_file,
)

from runner.records import Verdict
from runner.task import load_task

PROMPT = "def get_prompt(item): return item['title']\n"


def test_the_prompt_is_what_get_prompt_returns(tmp_path: Path) -> None:
    made = file_task(tmp_path, PROMPT).request_for(ITEM)

    assert made.body["messages"] == [{"role": "user", "content": "Boat"}]


@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        ("x = 1\ndef get_prompt(item:\n", "mine.py:2: '(' was never closed"),
        (
            "\nimport nothing_of_the_kind\n",
            "'nothing_of_the_kind' (mine.py:2): install it where runner is installed",
        ),
        ("x = 1\n\n1/0\n", "division by zero (mine.py:3)"),
        ("import sys; sys.exit(3)", "importing it raised SystemExit: 3 (mine.py:1)"),
        ("x = 1", "mine.py has no get_prompt: write def get_prompt(item)"),
        ("get_prompt = 'hi {{x}}'", "mine.py: get_prompt is str, not a function"),
        (
            "async def get_prompt(item): return ''",
            "mine.py:1: get_prompt is async, which is not supported",
        ),
        (
            "def get_prompt(): return ''",
            "mine.py:1: get_prompt must take (item), not ()",
        ),
        ("\ndef get_prompt(a, b): return ''", "mine.py:2: get_prompt must take (item)"),
        ("def get_prompt(*a): return ''", "how many it wants is unknown"),
        ("def get_prompt(item, *, k): return ''", "keyword-only parameters"),
        (
            PROMPT + "def is_response_valid(a, b, c): return True",
            "mine.py:2: is_response_valid must take (response) or (response, item)",
        ),
        (
            PROMPT + "def is_response_valid(item, response): return True",
            "the response comes first: write def is_response_valid(response, item)",
        ),
        (
            PROMPT + "def is_valid_response(response): return True",
            "mine.py:2: is_valid_response is never called: name it is_response_valid",
        ),
        (
            PROMPT + "is_response_valid = bool",
            "the parameters of is_response_valid cannot be read",
        ),
        ("x = '\0'", "mine.py"),
    ],
)
def test_a_broken_task_file_is_refused_with_its_line(
    tmp_path: Path, source: str, complaint: str
) -> None:
    report = refusal_of(file_task, tmp_path, source)

    assert complaint in report
    assert "\n" not in report


def test_a_missing_task_file_or_a_folder_is_refused(tmp_path: Path) -> None:
    assert "No such file" in refusal_of(task, task_path=tmp_path / "none.py")
    assert "Is a directory" in refusal_of(task, task_path=tmp_path)


def test_a_task_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_bytes(b"# \xff\xfe\n")

    assert "not text" in refusal_of(task, task_path=path)


def test_an_exception_in_get_prompt_names_both_files(tmp_path: Path) -> None:
    source = "def get_prompt(item):\n    return item['titel']\n"

    report = refusal_of(file_task(tmp_path, source).request_for, ITEM)

    assert report == (
        "items.jsonl:17 (id \"a-1\"): get_prompt raised KeyError: 'titel' (mine.py:2)"
    )


@pytest.mark.parametrize("name", ["SystemExit", "KeyboardInterrupt", "GeneratorExit"])
def test_user_code_cannot_end_a_worker(tmp_path: Path, name: str) -> None:
    source = (
        f"def get_prompt(item): raise {name}\n"
        f"def is_response_valid(response): raise {name}\n"
    )
    asking = file_task(tmp_path, source)

    report = in_a_thread(lambda: refusal_of(asking.request_for, ITEM))
    verdict = in_a_thread(lambda: asking.judge(ITEM, answer("x")))

    assert f"get_prompt raised {name} (mine.py:1)" in report
    assert verdict == Verdict(
        valid=None,
        reason=f"is_response_valid raised {name} (mine.py:2)",
        ask_again=False,
    )


def test_ctrl_c_at_the_terminal_is_not_taken_for_user_code(tmp_path: Path) -> None:
    """On the main thread under Python's own handler it is the person's."""
    source = "def get_prompt(item): raise KeyboardInterrupt\n"
    asking = file_task(tmp_path, source)

    with pytest.raises(KeyboardInterrupt):
        asking.request_for(ITEM)


def test_an_exception_whose_text_raises_is_still_reported(tmp_path: Path) -> None:
    source = (
        "class Odd(Exception):\n"
        "    def __str__(self): raise ValueError\n"
        "def get_prompt(item): raise Odd\n"
    )

    report = refusal_of(file_task(tmp_path, source).request_for, ITEM)

    assert "Odd: (its text cannot be shown) (mine.py:3)" in report


def test_neighbours_can_be_imported_and_the_path_is_left_alone(tmp_path: Path) -> None:
    task_file(tmp_path, "WORD = 'Say'\n", "words_of_this_test.py")
    path_before = list(sys.path)

    asking = file_task(
        tmp_path,
        "from words_of_this_test import WORD\n"
        "def get_prompt(item): return WORD + ' ' + item['title']\n",
    )

    assert sys.path == path_before
    assert asking.request_for(ITEM).body["messages"][0]["content"] == "Say Boat"


def test_dataclasses_and_pickle_work_inside_a_task_file(tmp_path: Path) -> None:
    source = (
        "from __future__ import annotations\n"
        "import dataclasses, pickle\n"
        "@dataclasses.dataclass\n"
        "class Thing:\n"
        "    name: dataclasses.InitVar[str]\n"
        "    size: int = 3\n"
        "def get_prompt(item):\n"
        "    return str(pickle.loads(pickle.dumps(Thing('a'))).size)\n"
    )

    made = file_task(tmp_path, source).request_for(ITEM)

    assert made.body["messages"][0]["content"] == "3"
    assert pickle.dumps(1)


def test_the_main_guard_of_a_task_file_does_not_run(tmp_path: Path) -> None:
    """A user tries the file by itself; a worker must not repeat the trial."""
    source = PROMPT + "if __name__ == '__main__': raise SystemExit(1)\n"

    assert file_task(tmp_path, source).request_for(ITEM)


def test_an_edited_task_file_is_loaded_anew(tmp_path: Path) -> None:
    """Same size, same second: cached bytecode would miss it."""
    first = file_task(tmp_path, "def get_prompt(item): return 'one'\n")
    second = file_task(tmp_path, "def get_prompt(item): return 'two'\n")

    contents = [
        asking.request_for(ITEM).body["messages"][0]["content"]
        for asking in (first, second)
    ]
    assert contents == ["one", "two"]


def test_what_user_code_changes_is_seen_nowhere_else(tmp_path: Path) -> None:
    source = (
        "def get_prompt(item):\n"
        "    item['tags'].append('mine'); item.pop('title')\n"
        "    return 'x'\n"
        "def is_response_valid(response, item):\n"
        "    response.clear()\n"
        "    return item == {'title': 'Boat', 'tags': ['red']}\n"
    )
    asking = file_task(tmp_path, source)
    one = item({"title": "Boat", "tags": ["red"]})
    calls = answer([{"name": "f"}])

    asking.request_for(one)
    verdict = asking.judge(one, calls)

    assert verdict == Verdict(valid=True)
    assert one.fields == {"title": "Boat", "tags": ["red"]}
    assert calls.response == [{"name": "f"}]


def test_messages_that_user_code_reuses_do_not_change_a_made_request(
    tmp_path: Path,
) -> None:
    source = (
        "M = [{'role': 'user', 'content': ''}]\n"
        "def get_prompt(item):\n"
        "    M[0]['content'] = item['title']\n"
        "    return M\n"
    )
    asking = file_task(tmp_path, source)

    first = asking.request_for(item({"title": "one"}))
    asking.request_for(item({"title": "two"}))

    assert first.body["messages"][0]["content"] == "one"


@pytest.mark.parametrize(
    "rule",
    [
        "def is_response_valid(response): return response == 'ok'",
        "def is_response_valid(response, item): return item['title'] == 'Boat'",
        "def is_response_valid(response, item=None): return item['title'] == 'Boat'",
        "def is_response_valid(response, strict=True): return strict is True",
        "is_response_valid = lambda response: True",
        """
import functools
def rule(response, want): return response == want
is_response_valid = functools.partial(rule, want='ok')""",
        """
class Rule:
    def __call__(self, response): return True
is_response_valid = Rule()""",
    ],
)
def test_is_response_valid_gets_what_it_asks_for(tmp_path: Path, rule: str) -> None:
    asking = file_task(tmp_path, PROMPT + rule + "\n")

    assert asking.judge(ITEM, answer("ok")) == Verdict(valid=True)


@pytest.mark.parametrize(
    ("returned", "verdict"),
    [
        ("True", Verdict(valid=True)),
        ("False", Verdict(valid=False, reason="is_response_valid said False")),
        (
            "None",
            Verdict(
                valid=None,
                reason="is_response_valid returned NoneType, not True or False",
                ask_again=False,
            ),
        ),
        (
            "1",
            Verdict(
                valid=None,
                reason="is_response_valid returned int, not True or False",
                ask_again=False,
            ),
        ),
        (
            "{}['x']",
            Verdict(
                valid=None,
                reason="is_response_valid raised KeyError: 'x' (mine.py:2)",
                ask_again=False,
            ),
        ),
    ],
)
def test_a_rule_that_does_not_say_true_or_false_is_unjudged(
    tmp_path: Path, returned: str, verdict: Verdict
) -> None:
    """A broken rule must not pay for the same question four times."""
    rule = f"def is_response_valid(response): return {returned}\n"

    assert file_task(tmp_path, PROMPT + rule).judge(ITEM, answer("x")) == verdict


def test_get_result_is_what_stands_in_the_output(tmp_path: Path) -> None:
    source = PROMPT + (
        "def get_result(response, item): return (item['title'], response.upper())\n"
    )
    asking = file_task(tmp_path, source)

    verdict = asking.judge(ITEM, answer("ok"))

    assert verdict.valid
    assert verdict.response == ["Boat", "OK"]


def test_get_result_is_called_once_and_only_for_an_answer_that_is_valid(
    tmp_path: Path,
) -> None:
    """What it returns is what is written; it may cost time, or fail on rubbish."""
    source = PROMPT + (
        "asked = []\n"
        "def is_response_valid(response): return response == 'good'\n"
        "def get_result(response):\n"
        "    asked.append(response)\n"
        "    return list(asked)\n"
    )
    asking = file_task(tmp_path, source)

    verdicts = [asking.judge(ITEM, answer(text)) for text in ("bad", "good", "worse")]

    assert [v.valid for v in verdicts] == [False, True, False]
    assert [v.response for v in verdicts] == ["bad", ["good"], "worse"]


@pytest.mark.parametrize(
    ("returned", "reason"),
    [
        ("{}['x']", "get_result raised KeyError: 'x' (mine.py:2)"),
        ("{1, 2}", "get_result returned set that is not JSON"),
        ("float('nan')", "get_result returned float that is not JSON"),
        ("type('L', (dict,), {'items': lambda s: 1 / 0})(a=1)", "get_result returned"),
    ],
)
def test_a_get_result_that_fails_is_unjudged_and_loses_nothing(
    tmp_path: Path, returned: str, reason: str
) -> None:
    """The answer stays as it came, and the reason says what to mend."""
    source = PROMPT + f"def get_result(response): return {returned}\n"
    asking = file_task(tmp_path, source)

    verdict = asking.judge(ITEM, answer("paid for"))

    assert verdict.valid is None
    assert verdict.reason is not None
    assert verdict.reason.startswith(reason)
    assert verdict.response == "paid for"


def test_without_get_result_the_answer_stands_as_it_came() -> None:
    assert task().judge(ITEM, answer([{"name": "f"}])).response == [{"name": "f"}]


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        (
            {"score": float("nan"), "n": [float("inf"), 1]},
            {"score": None, "n": [None, 1]},
        ),
        (None, None),
        ("half \ud800", "half \ud800"),
    ],
)
def test_what_a_server_sends_can_always_be_written_as_json(
    response: Any, expected: Any
) -> None:
    assert task().judge(ITEM, answer(response)).response == expected


def test_thirty_two_threads_ask_and_judge_at_once(tmp_path: Path) -> None:
    """Every item gets its own request and its own verdict."""
    source = (
        "def get_prompt(item): return f\"q{item['n']}\"\n"
        "def is_response_valid(response, item):\n"
        '    return response == f"{{\\"n\\":{item[\'n\']}}}"\n'
    )
    schema = {
        "type": "object",
        "properties": {"n": {"type": "integer"}},
        "required": ["n"],
        "additionalProperties": False,
    }
    asking = file_task(tmp_path, source, schema=schema, valid_regex=r"\d")
    wrong: list[int] = []

    def walk(thread: int) -> None:
        for n in range(thread * 100, thread * 100 + 20):
            one = item({"n": n})
            body = asking.request_for(one).body
            good = asking.judge(one, answer(f'{{"n":{n}}}'))
            bad = asking.judge(one, answer(f'{{"n":{n + 1}}}'))
            asked = body["messages"][0]["content"] == f"q{n}"
            if not (asked and good.valid is True and bad.valid is False):
                wrong.append(n)

    threads = [threading.Thread(target=walk, args=(t,)) for t in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert wrong == []


def test_both_a_prompt_and_a_task_file_are_refused(tmp_path: Path) -> None:
    from runner.config import TaskSpec  # noqa: PLC0415 - only here a bare spec

    spec = TaskSpec(prompt="{{a}}", task_path=tmp_path / "x.py", model="m")

    assert "both a prompt and a task file" in refusal_of(load_task, spec)
