"""Sort the standard library by what its parts are for."""

from typing import Any

AREAS = (
    "text",
    "data structures",
    "files",
    "network",
    "concurrency",
    "dates and times",
    "mathematics",
    "language and runtime",
    "testing and debugging",
    "other",
)


def get_prompt(item: dict[str, Any]) -> str:
    """What to ask about one function or class."""
    return (
        f"What is this Python {item['kind']} for?\n\n"
        f"{item['id']}\n\n{item['docstring']}\n\n"
        f"Answer with exactly one of: {', '.join(AREAS)}"
    )


def get_params(_item: dict[str, Any]) -> dict[str, Any]:
    """A short answer; the limit also bounds what one request can cost."""
    return {"max_completion_tokens": 20}


def is_response_valid(response: str) -> bool:
    """Only the areas above are of use; anything else is asked again."""
    return response.strip().lower() in AREAS


def get_result(response: str) -> str:
    """What stands in the output."""
    return response.strip().lower()
