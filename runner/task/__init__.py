"""What is asked for an item, and is the answer valid: the user's part.

    protocol   what a worker may ask       loading     from options to a task
    spec       is what was given complete  identity    what makes it this task
    questions  from an item to a request   template    {{field}}
    bodies     each endpoint's shape       params      what may be in it
    measure    how large it is             taskfile    the user's Python file
    usercode   calling it                  patience    and not for ever
    rules      the user's, about answers   defaultverdict  before any of them
    schema     JSON to a schema            strictness  would a server take that one
    patterns   expressions with a limit    plainjson   is this plain JSON
    inforce    which rules there are

Must not know how a request is sent, paced, paid for or stored.

Floor: doors and rules. The one door to jsonschema (schema) and regex (patterns); user
code is only ever run from here (taskfile, usercode).
"""

from runner.task.defaultverdict import (
    CUT_OFF,
    EMPTY_ANSWER,
    NO_VECTORS,
    UNREADABLE_ANSWER,
)
from runner.task.identity import identity, identity_digest, may_be_a_rule
from runner.task.inforce import rules_in_force
from runner.task.loading import load_task
from runner.task.measure import output_limit_name
from runner.task.patience import Patience
from runner.task.protocol import Task
from runner.task.spec import read_prompt, read_schema

__all__ = [
    "CUT_OFF",
    "EMPTY_ANSWER",
    "NO_VECTORS",
    "UNREADABLE_ANSWER",
    "Patience",
    "Task",
    "identity",
    "identity_digest",
    "load_task",
    "may_be_a_rule",
    "output_limit_name",
    "read_prompt",
    "read_schema",
    "rules_in_force",
]
