"""The code in docs/library.md does what the page says."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from docs_pages import blocks, page


def test_the_examples_of_the_library_page_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In order, in one folder, on the simulator; scripts as processes of their own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "xdg"))
    examples = blocks(page("docs/library.md"), "python")
    names: dict[str, object] = {"__name__": "library_page"}

    assert len(examples) >= 6
    for number, example in enumerate(examples):
        if "__main__" in example:
            assert run_script(tmp_path / f"script_{number}.py", example) == "30\n"
        else:
            exec(compile(example, f"library.md, block {number}", "exec"), names)


def run_script(path: Path, code: str) -> str:
    """What a script prints."""
    path.write_text(code)
    done = subprocess.run(
        [sys.executable, str(path)],
        cwd=path.parent,
        env={**os.environ},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
