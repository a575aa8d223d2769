"""What is asked for an item, and is the answer valid: the user's part.

Owns prompts, templates, the user's Python file, request bodies and validity
rules. Must not know how a request is sent, paced, paid for or stored.

Floor: rooms. The one door to jsonschema (schema) and regex (patterns); user
code is only ever run from here (taskfile, usercode).
"""

from runner.task.identity import identity, identity_digest
from runner.task.loading import load_task
from runner.task.patience import Patience
from runner.task.protocol import Task
from runner.task.spec import read_prompt, read_schema

__all__ = [
    "Patience",
    "Task",
    "identity",
    "identity_digest",
    "load_task",
    "read_prompt",
    "read_schema",
]
