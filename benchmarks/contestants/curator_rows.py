"""Bespoke Curator: an `LLM` over a list of rows, in its online mode.

With its OpenAI backend, as its pages have it for compatible servers. Where there is
no limit it is told one that is never reached: its own defaults are 200 a minute.
"""

import os

from bespokelabs import curator
from job import MODEL, Job, job, write
from litellm.litellm_core_utils import default_encoding

# What litellm ships: curator's own way is to download it when it starts.
os.environ["TIKTOKEN_CACHE_DIR"] = default_encoding.cache_dir
UNLIMITED = 10_000_000


class Asker(curator.LLM):  # type: ignore[misc]  # it comes without types
    """Asks each row's prompt and keeps its id."""

    return_completions_object = False

    def prompt(self, row: dict[str, str]) -> str:
        """Return what is asked."""
        return row["prompt"]

    def parse(self, row: dict[str, str], response: str) -> dict[str, str]:
        """Return what is kept."""
        return {"id": row["id"], "response": response}


def main(task: Job) -> None:
    """Ask all rows in one call."""
    asker = Asker(
        model_name=MODEL,
        backend="openai",
        generation_params={"max_tokens": task.output_tokens},
        backend_params={
            "base_url": os.environ["OPENAI_BASE_URL"],
            "api_key": os.environ["OPENAI_API_KEY"],
            "max_requests_per_minute": task.rpm or UNLIMITED,
            "max_tokens_per_minute": task.tpm or UNLIMITED * 1_000,
            "max_concurrent_requests": task.in_flight,
            "require_all_responses": False,
        },
    )
    answers = asker(task.items, working_dir=str(task.out.parent / "curator"))
    with task.out.open("w") as file:
        for row in answers.dataset:
            write(file, row, row["response"])


if __name__ == "__main__":
    main(job())
