"""A function that never returns holds up nobody for ever."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from task_builders import ITEM, ITEMS, answer, task_file

from runner.clock import SystemClock
from runner.config import TaskSpec
from runner.errors import TaskError
from runner.task import Patience, Task, load_task
from runner.task.patience import StillRunning

SHORT_S = 0.02
RELEASED = threading.Event()
HANGING = """
from test_patience import RELEASED
def get_prompt(item): return item['title']
def is_response_valid(response):
    if response == "hang":
        RELEASED.wait(30)
    return True
"""


@pytest.fixture
def released() -> Iterator[threading.Event]:
    """What a hanging function waits for; set when the test ends."""
    RELEASED.clear()
    yield RELEASED
    RELEASED.set()


def impatient_task(folder: Path, source: str, patience: Patience) -> Task:
    """A task whose functions are waited for so long."""
    spec = TaskSpec(task_path=task_file(folder, source), model="gpt-x")
    return load_task(spec, ITEMS, patience)


def until(is_so: Callable[[], bool]) -> None:
    """Give other threads the processor until it is so."""
    for _ in range(1_000):
        if is_so():
            return
        threading.Event().wait(0.01)
    raise AssertionError("never so")


def test_a_rule_that_never_returns_leaves_the_answer_unjudged(
    tmp_path: Path, released: threading.Event
) -> None:
    """With its line; and the next answer is judged."""
    patience = Patience(SystemClock(), SHORT_S)
    judged = impatient_task(tmp_path, HANGING, patience)

    verdict = judged.judge(ITEM, answer("hang"))

    assert (verdict.valid, verdict.ask_again) == (None, False)
    assert verdict.reason == "is_response_valid has not returned for 0 s (mine.py:4)"
    assert patience.given_up == 1
    assert judged.judge(ITEM, answer("fine")).valid
    released.set()
    until(lambda: patience.given_up == 0)


def test_a_prompt_that_never_returns_is_an_error_with_its_line(tmp_path: Path) -> None:
    """The item fails; the others go on."""
    source = "import threading\ndef get_prompt(item): threading.Event().wait(30)\n"
    judged = impatient_task(tmp_path, source, Patience(SystemClock(), SHORT_S))

    with pytest.raises(TaskError, match=r"get_prompt has not returned .*mine\.py:2"):
        judged.request_for(ITEM)


def test_what_a_function_raises_comes_out_as_it_was() -> None:
    """Also a TimeoutError of its own, which is no lost patience, and SystemExit."""
    patience = Patience(SystemClock())

    def raising(error: BaseException) -> None:
        raise error

    for error in (TimeoutError("mine"), SystemExit(3), KeyError("x")):
        with pytest.raises(type(error)) as caught:
            patience.call(raising, (error,))
        assert caught.value is error
    assert patience.call(max, (1, 2)) == 2
    assert patience.given_up == 0


def test_one_thread_serves_one_call_after_the_other() -> None:
    """And is no longer used once its function hangs."""
    patience = Patience(SystemClock())
    threads = {patience.call(threading.get_ident, ()) for _ in range(50)}
    assert len(threads) == 1
    assert threading.get_ident() not in threads


def test_a_thread_that_hangs_is_not_asked_again(released: threading.Event) -> None:
    """Another one takes its place, and in the end there are two."""
    patience = Patience(SystemClock(), SHORT_S)
    first = patience.call(threading.get_ident, ())
    with pytest.raises(StillRunning):
        patience.call(released.wait, ())

    assert patience.call(threading.get_ident, ()) != first
    released.set()
    until(lambda: patience.given_up == 0)
    assert patience.call(threading.get_ident, ()) == first


def test_it_is_known_who_waits_and_for_how_long(released: threading.Event) -> None:
    """A worker that ends does not wait for those."""
    patience = Patience(SystemClock())
    caller = threading.Thread(target=patience.call, args=(released.wait, ()))
    caller.start()
    until(lambda: patience.waits_longer_than(0) > 0)

    assert patience.waited_for(0) == "wait"
    assert patience.waits_longer_than(60) == 0
    assert patience.waited_for(60) is None
    released.set()
    caller.join()
    assert patience.waits_longer_than(0) == 0
    assert patience.waited_for(0) is None


def test_without_a_thread_to_spare_the_function_is_called_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where it was asked: a paid answer is not left unjudged for that."""

    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    patience = Patience(SystemClock())
    assert patience.call(threading.get_ident, ()) == threading.get_ident()

    def out_of_time() -> None:
        raise TimeoutError("mine")

    with pytest.raises(TimeoutError, match="mine"):
        patience.call(out_of_time, ())
    assert patience.given_up == 0
