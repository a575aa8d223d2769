"""Calling what may never return.

A thread that computes cannot be stopped. So the user's function is called in a thread
of its own, and whoever asked goes on without it after a while. That thread is not used
again before the function has returned, if it ever does.

Floor: doors and rules.
"""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any

from runner.clock import Clock

LIMIT_S = 300.0
"""A rule may run a program, or ask another server; longer than this it hangs."""


class StillRunning(Exception):
    """It has not returned in time, and nobody waits for it any more."""


_Call = tuple[Future[Any], Callable[..., Any], tuple[Any, ...]]


class Patience:
    """Waits for a function so long and no longer; asked by many threads at once."""

    def __init__(self, clock: Clock, limit_s: float = LIMIT_S) -> None:
        self.limit_s = limit_s
        self._clock = clock
        self._lock = threading.Lock()
        self._idle: list[SimpleQueue[_Call]] = []
        self._given_up: set[Future[Any]] = set()
        self._waited_for: dict[Future[Any], tuple[float, str]] = {}
        """Since when, and what the function is called."""

    @property
    def given_up(self) -> int:
        """Calls that nobody waits for any more, and that have not returned yet."""
        return len(self._given_up)

    def waits_longer_than(self, seconds: float) -> int:
        """Callers that have been waiting for longer than that."""
        now_s = self._clock.monotonic_s()
        waited_for = self._waited_for.copy().values()
        return sum(now_s - since_s > seconds for since_s, _ in waited_for)

    def waited_for(self, seconds: float) -> str | None:
        """Name of the function that is waited for longest, if longer than that."""
        now_s = self._clock.monotonic_s()
        since_s, name = min(self._waited_for.copy().values(), default=(now_s, ""))
        return name if now_s - since_s > seconds else None

    def call(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
        """What the function returns.

        Raises:
            StillRunning: after `limit_s`.
            BaseException: whatever the function raises.
        """
        helper = self._helper()
        if helper is None:
            return function(*arguments)
        future: Future[Any] = Future()
        name = getattr(function, "__name__", type(function).__name__)
        self._waited_for[future] = self._clock.monotonic_s(), name
        try:
            helper.put((future, function, arguments))
            # Not `result`: that could not tell a function's own TimeoutError.
            error = future.exception(self.limit_s)
        except TimeoutError:
            self._give_up(future)
            error = future.exception(0)
        finally:
            del self._waited_for[future]
        if error is not None:
            raise error
        return future.result()

    def _helper(self) -> "SimpleQueue[_Call] | None":
        """A thread that does nothing else; None: the system gives no more."""
        with self._lock:
            if self._idle:
                return self._idle.pop()
        calls: SimpleQueue[_Call] = SimpleQueue()
        # A daemon: what never returns must not keep its process alive.
        thread = threading.Thread(target=self._serve, args=(calls,), daemon=True)
        try:
            thread.start()
        except RuntimeError:
            return None
        return calls

    def _give_up(self, future: Future[Any]) -> None:
        with self._lock:
            if not future.done():
                self._given_up.add(future)
                raise StillRunning

    def _serve(self, calls: "SimpleQueue[_Call]") -> None:
        while True:
            self._do(calls, *calls.get())

    def _do(
        self,
        calls: "SimpleQueue[_Call]",
        future: Future[Any],
        function: Callable[..., Any],
        arguments: tuple[Any, ...],
    ) -> None:
        result, failure = None, None
        try:
            result = function(*arguments)
        except BaseException as error:  # noqa: BLE001 - raised again where it was asked
            failure = error
        with self._lock:
            self._idle.append(calls)
            self._given_up.discard(future)
            if failure is None:
                future.set_result(result)
            else:
                future.set_exception(failure)
