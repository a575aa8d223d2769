"""From what the user gave to a task that asks and judges.

Owns the order of the rules (default verdict, schema, choices, pattern, the
user's function) and the place an error names.

Floor: doors and rules.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from runner.config import TaskSpec
from runner.errors import TaskError
from runner.records import Answer, Item, Request, Verdict
from runner.task.bodies import BodyShape
from runner.task.defaultverdict import UNREADABLE_ANSWER, default_verdict
from runner.task.params import checked_params
from runner.task.patience import Patience
from runner.task.plainjson import json_or_null, one_line, quoted
from runner.task.protocol import Task
from runner.task.questions import (
    FileQuestions,
    LineQuestions,
    Questions,
    TemplateQuestions,
)
from runner.task.rules import (
    Rule,
    choice_rule,
    function_rule,
    pattern_rule,
    result_of,
)
from runner.task.schema import AnswerSchema
from runner.task.spec import check_spec, completed
from runner.task.taskfile import TaskFile, load_task_file
from runner.task.template import Template
from runner.task.usercode import UserFunction, described


def load_task(
    spec: TaskSpec, items_path: Path | None = None, patience: Patience | None = None
) -> Task:
    """The task, checked as far as it can be without an item.

    Args:
        spec: what the user gave.
        items_path: names the items file in messages.
        patience: waits for the user's functions; None: whoever asks does, for ever.

    Raises:
        TaskError: for everything that is wrong with it.
    """
    spec = completed(spec)
    check_spec(spec)
    schema = _schema(spec)
    path = spec.task_path
    file = None if path is None else load_task_file(path, patience)
    questions = _questions(spec, schema, file)
    return _LoadedTask(
        questions=questions,
        rules=[_default_rule(spec, questions), *_rules(spec, schema, file)],
        get_result=file.get_result if file else None,
        items_name=items_path.name if items_path else None,
    )


class _LoadedTask:
    """Questions and rules put together; holds no state that changes."""

    def __init__(
        self,
        *,
        questions: Questions,
        rules: Sequence[Rule],
        get_result: UserFunction | None,
        items_name: str | None,
    ) -> None:
        self._questions = questions
        self._rules = tuple(rules)
        self._get_result = get_result
        self._items_name = items_name

    def request_for(self, item: Item) -> Request:
        try:
            return self._questions.request_for(item)
        except TaskError as error:
            place = self._place(item)
            raise TaskError(f"{place}: {error.message}", error.hint) from error

    def judge(self, item: Item, answer: Answer | None) -> Verdict:
        if answer is None:
            return Verdict(valid=False, reason=UNREADABLE_ANSWER)
        verdict = self._verdict(item, answer)
        if verdict.valid:
            return verdict
        return replace(verdict, response=json_or_null(answer.response))

    def _verdict(self, item: Item, answer: Answer) -> Verdict:
        """With its response, if it is valid."""
        try:
            verdicts = (rule(item, answer) for rule in self._rules)
            spoken = (verdict for verdict in verdicts if verdict is not None)
            return next(spoken, None) or self._valid(item, answer)
        except TaskError as error:
            reason = one_line(error.message)
        except Exception as error:  # noqa: BLE001 - a paid answer gets a verdict, even from a bug of ours
            reason = f"judging failed, a bug of runner's: {described(error)}"
        return Verdict(valid=None, reason=reason, ask_again=False)

    def _valid(self, item: Item, answer: Answer) -> Verdict:
        if self._get_result is None:
            return Verdict(valid=True, response=json_or_null(answer.response))
        return Verdict(valid=True, response=result_of(self._get_result, item, answer))

    def _place(self, item: Item) -> str:
        line = item.ref.line
        where = f"{self._items_name}:{line}" if self._items_name else f"line {line}"
        return f"{where} (id {quoted(item.item_id)})"


def _schema(spec: TaskSpec) -> AnswerSchema | None:
    if spec.schema is None:
        return None
    return AnswerSchema(spec.schema, spec.schema_path, is_sent=not spec.batch)


def _questions(
    spec: TaskSpec, schema: AnswerSchema | None, file: TaskFile | None
) -> Questions:
    if spec.batch:
        return LineQuestions()
    shape = BodyShape(
        endpoint=spec.endpoint,
        model=spec.model or "",
        params=checked_params(spec.params, "--param"),
        answer_format=schema.answer_format() if schema else None,
    )
    shape.request("", None, {})  # finds two answer formats before any item is read
    system = None if spec.system is None else Template(spec.system, "--system")
    if file is not None:
        return FileQuestions(file=file, system=system, shape=shape)
    return TemplateQuestions(prompt=_prompt(spec, system), system=system, shape=shape)


def _prompt(spec: TaskSpec, system: Template | None) -> Template:
    source = spec.prompt_path.name if spec.prompt_path else "--prompt"
    prompt = Template(spec.prompt or "", source)
    if not prompt.fields and not (system and system.fields):
        raise TaskError(
            f"{source} has no {{{{field}}}}: every item would ask the same",
            "name a field of your items, as in 'Summarise: {{text}}'",
        )
    return prompt


def _default_rule(spec: TaskSpec, questions: Questions) -> Rule:
    def check(item: Item, answer: Answer) -> Verdict | None:
        return default_verdict(
            questions.endpoint_of(item),
            answer,
            input_count=lambda: questions.input_count(item),
            reask_truncated=spec.reask_truncated,
        )

    return check


def _rules(
    spec: TaskSpec, schema: AnswerSchema | None, file: TaskFile | None
) -> list[Rule]:
    rules: list[Rule] = []
    if schema is not None:
        rules.append(schema.check)
    if spec.choices:
        rules.append(choice_rule(spec.choices))
    if spec.valid_regex is not None:
        rules.append(pattern_rule(spec.valid_regex))
    if file is not None and file.is_response_valid is not None:
        rules.append(function_rule(file.is_response_valid))
    return rules
