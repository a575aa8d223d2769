"""inspect-ai: a task that generates, evaluated with as many connections as allowed.

Display, real-time events and scores are off; its log, which is what it resumes from,
is on.
"""

from inspect_ai import Task, eval  # noqa: A004 (its own name for it)
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.solver import generate
from job import MODEL, Job, job, write


def main(task: Job) -> None:
    """Ask all samples in one evaluation."""
    samples = [Sample(input=item["prompt"], id=item["id"]) for item in task.items]
    logs = eval(
        Task(dataset=MemoryDataset(samples), solver=generate()),
        model=f"openai/{MODEL}",
        model_args={"responses_api": False},
        max_connections=task.in_flight,
        max_samples=task.in_flight,
        max_tokens=task.output_tokens,
        log_dir=str(task.out.parent / "logs"),
        log_realtime=False,
        display="none",
        score=False,
        fail_on_error=False,
    )
    with task.out.open("w") as file:
        for sample in logs[0].samples or []:
            write(file, {"id": str(sample.id)}, sample.output.completion)


if __name__ == "__main__":
    main(job())
