"""Other shapes of questions, answers and ends: Batch lines, endpoints, caps, limits."""

import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from bench import Bench

MakeBench = Callable[[str], Bench]


def finished(bench: Bench, code: int, *words: object) -> str:
    """Run a command to its end; what it said."""
    done = bench.run(*words, "--workers", 1, "--threads", 8)
    assert done.code == code, done.output
    return done.output


def test_batch_api_files_are_run_as_they_are_and_come_back_as_batch_output(
    make_bench: MakeBench,
) -> None:
    """Three endpoints in one file, in the provider's own format."""
    bench = make_bench("latency=0.02")
    bodies: dict[str, dict[str, object]] = {
        "chat": {"messages": [{"role": "user", "content": "hi"}]},
        "responses": {"input": "hi"},
        "embeddings": {"input": "hi", "model": "text-embedding-3-small"},
    }
    urls = {"chat": "/v1/chat/completions"}
    items = bench.folder / "batch.jsonl"
    with items.open("w") as stream:
        for n in range(9):
            kind = list(bodies)[n % 3]
            line = {
                "custom_id": f"c{n}",
                "method": "POST",
                "url": urls.get(kind, f"/v1/{kind}"),
                "body": {"model": "gpt-4o-mini", **bodies[kind]},
            }
            stream.write(json.dumps(line) + "\n")

    finished(bench, 0, "start", items)
    exported = bench.run("export", "batch", "--format", "batch", "--out", "out.jsonl")
    assert exported.code == 0, exported.output
    lines = bench.output("out.jsonl")

    assert [line["custom_id"] for line in lines] == [f"c{n}" for n in range(9)]
    assert {line["response"]["status_code"] for line in lines} == {200}
    objects = [line["response"]["body"]["object"] for line in lines]
    assert objects == ["chat.completion", "response", "list"] * 3


@pytest.mark.parametrize(
    ("endpoint", "model", "kind"),
    [("responses", "gpt-5-mini", str), ("embeddings", "text-embedding-3-small", list)],
)
def test_responses_and_embeddings(
    make_bench: MakeBench, endpoint: str, model: str, kind: type
) -> None:
    """With their own usage and prices."""
    bench = make_bench("latency=0.02")
    words = ("--endpoint", endpoint, "--model", model, "--prompt", "{{text}}")
    finished(bench, 0, "start", bench.items(12), *words)

    answers = [line["llm"] for line in bench.output()]
    assert all(isinstance(answer["response"], kind) for answer in answers)
    billed = sum(Decimal(line["cost_usd"]) for line in bench.ledger())
    assert sum(Decimal(answer["cost_usd"]) for answer in answers) == billed
    if endpoint == "responses":
        assert all(answer["usage"]["reasoning_tokens"] > 0 for answer in answers)


def test_a_schema_is_asked_for_and_checked(make_bench: MakeBench) -> None:
    """Answers that break it are asked again."""
    bench = make_bench("latency=0.02,invalid=0.3")
    schema = {
        "type": "object",
        "properties": {"mood": {"enum": ["good", "bad"]}},
        "required": ["mood"],
        "additionalProperties": False,
    }
    (bench.folder / "mood.json").write_text(json.dumps(schema))
    words = ("--model", "gpt-4o-mini", "--prompt", "{{text}}", "--schema", "mood.json")
    finished(bench, 0, "start", bench.items(30), *words)

    moods = [json.loads(line["llm"]["response"])["mood"] for line in bench.output()]
    assert set(moods) <= {"good", "bad"}
    assert len(bench.ledger()) > 30


def test_the_dollar_cap_is_never_passed(make_bench: MakeBench) -> None:
    """The run stops, resumable, while the ledger is below it."""
    bench = make_bench("latency=0.02")
    cap = Decimal("0.0005")
    limit = ("--param", "max_completion_tokens=20", "--max-cost", cap)
    words = ("--model", "gpt-4o-mini", "--prompt", "{{text}}", *limit)
    output = finished(bench, 4, "start", bench.items(100), *words)

    billed = sum(Decimal(line["cost_usd"]) for line in bench.ledger())
    assert Decimal(0) < billed <= cap
    assert "--max-cost" in output
    status = bench.status()
    assert status["items"]["pending"] > 0
    assert Decimal(status["cost_at_most_usd"]) <= cap

    finished(bench, 3, "resume", "--max-cost", "1")  # 20 tokens cut some answers
    assert bench.audit().paid_twice == set()


def test_a_limit_of_items_is_a_trial_that_a_resume_completes(
    make_bench: MakeBench,
) -> None:
    """Exit 0: it did what was asked."""
    bench = make_bench("latency=0.02")
    words = ("--model", "gpt-4o-mini", "--prompt", "{{text}}", "--limit", 5)
    finished(bench, 0, "start", bench.items(20), *words)
    assert len(bench.ledger()) == 5

    finished(bench, 0, "resume")
    assert len(bench.audit().outcomes) == len(bench.ledger()) == 20


def test_bad_lines_can_be_left_out_and_are_listed(make_bench: MakeBench) -> None:
    """Accepted + rejected = lines; nothing vanishes."""
    bench = make_bench("latency=0.02")
    items = bench.items(5)
    with items.open("a") as stream:
        stream.write("not json\n")
    words = ("--model", "gpt-4o-mini", "--prompt", "{{text}}")
    finished(bench, 0, "start", items, *words, "--on-bad-line", "skip")

    assert len(bench.output()) == 5
    (rejected,) = bench.output("items_failed.jsonl")
    assert rejected["llm"]["valid"] is False
    assert "6" in json.dumps(rejected)


def half_done(bench: Bench, *more: object) -> Path:
    """A run of twenty items of which five are done."""
    items = bench.items(20)
    words = ("--model", "gpt-4o-mini", "--limit", 5, *more)
    finished(bench, 0, "start", items, *words)
    return items


def test_changed_items_are_refused_until_accepted(make_bench: MakeBench) -> None:
    """With the difference; then only what is new or changed is asked."""
    bench = make_bench("latency=0.02,answer=echo")
    items = half_done(bench, "--prompt", "{{text}}")
    lines = items.read_text().splitlines()
    lines[0] = lines[0].replace("text 0", "text zero")
    items.write_text("\n".join([*lines[:10], '{"id": "new", "text": "new"}']) + "\n")

    refused = bench.run("resume")
    assert refused.code == 5
    assert "9 items unchanged, 1 changed, 1 new, 10 removed" in refused.output
    assert len(bench.ledger()) == 5

    finished(bench, 0, "resume", "--accept-changes")
    responses = [line["llm"]["response"] for line in bench.output()]
    expected = ["text zero", *(f"text {n}" for n in range(1, 10)), "new"]
    assert responses == expected
    assert len(bench.ledger()) == 5 + 1 + 5 + 1
    told = bench.status()["items"]
    assert (told["total"], told["valid"], told["pending"]) == (11, 11, 0)


@pytest.mark.parametrize(
    "change",
    [
        ("--prompt", "Other {{text}}"),
        ("--model", "gpt-4o"),
        ("--param", "temperature=0.5"),
        ("--choices", "yes,no"),
        ("--system", "Be brief"),
    ],
)
def test_another_question_is_refused_until_accepted(
    make_bench: MakeBench, change: tuple[str, str]
) -> None:
    """Prompt, model, parameters and rules are part of the run."""
    bench = make_bench("latency=0.02,choices=yes|no")
    half_done(bench, "--prompt", "{{text}}")

    refused = bench.run("resume", *change)

    assert refused.code == 5, refused.output
    assert change[1].partition(",")[0].partition("=")[0] in refused.output
    assert len(bench.ledger()) == 5
    assert bench.run("resume", *change, "--accept-changes").code in (0, 3)


def test_a_changed_task_file_or_prompt_file_is_noticed(make_bench: MakeBench) -> None:
    """They are read again at every resume."""
    bench = make_bench("latency=0.02")
    prompt = bench.folder / "prompt.txt"
    prompt.write_text("Say {{text}}\n")
    half_done(bench, "--prompt-file", prompt)
    prompt.write_text("Shout {{text}}\n")

    refused = bench.run("resume")

    assert refused.code == 5, refused.output
    assert "-Say {{text}}" in refused.output
    assert "+Shout {{text}}" in refused.output
    assert len(bench.ledger()) == 5


def test_failed_and_invalid_items_can_be_asked_again(make_bench: MakeBench) -> None:
    """Only when the user says so; what they cost before stays in the bill."""
    bench = make_bench(
        "latency=0.02,match=text 3,match_fault=bad_request,choices=yes|no"
    )
    bench.scenario(always_invalid=2)
    words = ("--model", "gpt-4o-mini", "--prompt", "{{text}}", "--choices", "yes,no")
    finished(bench, 3, "start", bench.items(10), *words)
    status = bench.status()
    assert (status["items"]["failed"], status["items"]["invalid"]) == (1, 2)
    sent = len(bench.ledger())

    assert bench.run("resume").code == 0
    assert len(bench.ledger()) == sent

    bench.scenario(match="", always_invalid=0)
    finished(bench, 3, "resume", "--retry-failed")
    assert len(bench.ledger()) == sent + 1

    again = bench.run("resume", "--retry-invalid", "--choices", "yes,no,maybe")
    assert again.code == 5, again.output
    finished(bench, 3, "resume", "--retry-invalid")
    billed = sum(Decimal(line["cost_usd"] or 0) for line in bench.ledger())
    assert Decimal(bench.status()["cost_usd"]) == billed
    assert bench.audit().paid_twice == set()


def test_a_rule_that_cannot_be_loaded_changes_nothing(make_bench: MakeBench) -> None:
    """The run goes on as it was; nothing of the refused rule is kept."""
    bench = make_bench("latency=0.02")
    half_done(bench, "--prompt", "{{text}}")
    (bench.folder / "rules.py").write_text("def is_response_valid(r): return True\n")
    before = kept(bench)

    refused = [
        bench.run("rejudge", "--task", "rules.py"),
        bench.run("rejudge", "--valid-regex", "(unclosed"),
    ]

    assert [done.code for done in refused] == [2, 2]
    assert kept(bench) == before
    assert bench.run("resume").code == 0
    assert len(bench.audit().outcomes) == 20


def kept(bench: Bench) -> tuple[bytes, dict[str, Any], str]:
    """What a run is told, how it stands, and its answers."""
    export = bench.run("export", "items", "--out", "now.jsonl", "--overwrite")
    assert export.code == 0, export.output
    manifest = (bench.state / "items" / "manifest.json").read_bytes()
    return manifest, bench.status(), (bench.folder / "now.jsonl").read_text()


def test_two_runs_never_write_the_same_file(make_bench: MakeBench) -> None:
    """Seen before the second has spent anything."""
    bench = make_bench("latency=0.02")
    items = half_done(bench, "--prompt", "{{text}}")
    words = ("--model", "gpt-4o-mini", "--prompt", "{{text}}", "--new")

    refused = bench.run("start", items, *words)

    assert refused.code == 2, refused.output
    assert "belongs to run items" in refused.output
    assert len(bench.ledger()) == 5
    finished(bench, 0, "start", items, *words, "--out", "second.jsonl")
    assert len(bench.output("second.jsonl")) == 20


def test_a_run_whose_manifest_is_lost_is_not_taken_for_nothing(
    make_bench: MakeBench,
) -> None:
    """Its answers are there; beginning anew would pay for them again."""
    bench = make_bench("latency=0.02")
    items = half_done(bench, "--prompt", "{{text}}")
    (bench.state / "items" / "manifest.json").unlink()
    words = ("--model", "gpt-4o-mini", "--prompt", "{{text}}")

    assert bench.run("start", items, *words).code == 5
    assert bench.run("resume", "items").code == 5
    assert len(bench.ledger()) == 5
