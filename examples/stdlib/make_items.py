"""Build items.jsonl: every documented function and class of this Python's library.

    python make_items.py items.jsonl

Reads the source files of the standard library that is installed here (nothing is
imported, nothing is downloaded) and writes one item for each function, method and
class that has a docstring: 3,000 to 9,000 of them, depending on the Python.
"""

import ast
import json
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import Any

SKIPPED = {"test", "tests", "idlelib", "lib2to3", "site-packages", "__pycache__"}
DOCSTRING_CHARACTERS = 1_500


def main() -> None:
    """Write the items to the file named on the command line."""
    target = Path(sys.argv[1] if len(sys.argv) > 1 else "items.jsonl")
    lines = [json.dumps(item, ensure_ascii=False) + "\n" for item in items()]
    target.write_text("".join(lines), encoding="utf-8")
    print(f"{target}: {len(lines)} items")


def items() -> Iterator[dict[str, Any]]:
    """One item for each documented definition, in the order of the files."""
    library = Path(sysconfig.get_paths()["stdlib"])
    seen: set[str] = set()
    for path in sorted(library.rglob("*.py")):
        parts = path.relative_to(library).with_suffix("").parts
        if SKIPPED.isdisjoint(parts):
            module = ".".join(part for part in parts if part != "__init__")
            for item in documented(path, module):
                # Some names are defined twice, under `if` and `else`.
                if item["id"] not in seen:
                    seen.add(item["id"])
                    yield item


def documented(path: Path, module: str) -> Iterator[dict[str, Any]]:
    """The documented definitions of one source file."""
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):
        return  # a file for another Python; the library holds a few
    waiting: list[tuple[str, ast.AST]] = [(module, tree)]
    while waiting:
        name, node = waiting.pop(0)
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                full_name = f"{name}.{child.name}"
                waiting.append((full_name, child))
                if docstring := ast.get_docstring(child):
                    yield {
                        "id": full_name,
                        "kind": kind_of(child),
                        "docstring": docstring[:DOCSTRING_CHARACTERS],
                        "line": child.lineno,
                    }


def kind_of(node: ast.AST) -> str:
    """What a definition is, in one word."""
    return "class" if isinstance(node, ast.ClassDef) else "function"


if __name__ == "__main__":
    main()
