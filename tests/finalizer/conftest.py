import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from finalizer_cases import Night, new_night


@pytest.fixture
def night_over(tmp_path: Path) -> Iterator[Callable[..., Night]]:
    """Begin a run over these items; all shards are closed at the end."""
    with contextlib.ExitStack() as opened:

        def begin(items: bytes, **config: Any) -> Night:
            making = contextlib.contextmanager(new_night)
            return opened.enter_context(making(tmp_path, items, **config))

        yield begin
