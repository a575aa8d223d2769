"""The library, played: what the commands told it, and what it answers."""

from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar

from cli_builders import a_finish, a_plan, a_status, a_story, a_summary

from runner.api_records import Finish, ItemStory, Plan, Rejudged, Unresolved
from runner.config import RunConfig
from runner.run_status import RunState, RunStatus
from runner.summary import Summary

KEY = "sk-canary-0123456789"


@dataclass
class Stage:
    """What the played library does next, and all it was told."""

    told: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    config: RunConfig | None = None
    statuses: list[RunStatus] = field(default_factory=lambda: [a_status()])
    finish: Finish = field(default_factory=a_finish)
    plan: Plan = field(default_factory=a_plan)
    story: ItemStory = field(default_factory=a_story)
    unresolved: Unresolved = field(
        default_factory=lambda: Unresolved(
            count=0, worst_usd=Decimal(0), first_items=()
        )
    )
    rejudged: Rejudged = field(
        default_factory=lambda: Rejudged(
            judged=12, changed_to_valid=3, changed_to_invalid=1, another_answer=42
        )
    )
    raises: BaseException | None = None
    raises_in: str = "work"
    is_running: bool = False

    def tell(self, what: str, **given: Any) -> None:
        """Note a call."""
        self.told.append((what, given))
        if self.raises is not None and self.raises_in == what:
            raise self.raises

    def given(self, what: str) -> dict[str, Any]:
        """What the library was last told in such a call."""
        return [given for name, given in self.told if name == what][-1]


class PlayedRun:
    """A run whose every call is noted on the stage, and answered from there."""

    stage: ClassVar[Stage]

    def __init__(self, name: str) -> None:
        self.name = name

    @property
    def config(self) -> RunConfig:
        """What the run was told."""
        assert self.stage.config is not None
        return self.stage.config

    @classmethod
    def start(cls, config: RunConfig, **given: Any) -> "PlayedRun":
        """Note it and answer."""
        cls.stage.config = config
        cls.stage.tell("start", config=config, **given)
        given["on_progress"]("reading items", 1, 2)
        return cls(given["name"] or config.items_path.stem)

    @classmethod
    def plan(cls, config: RunConfig, **given: Any) -> Plan:
        """The plan that was set."""
        cls.stage.tell("plan", config=config, **given)
        return cls.stage.plan

    @classmethod
    def at_work(cls, state_dir: Path) -> "PlayedRun":
        """The run there is."""
        return cls.open(None, state_dir)

    @classmethod
    def open(cls, name: str | None, state_dir: Path) -> "PlayedRun":
        """Any run is there."""
        cls.stage.tell("open", name=name, state_dir=state_dir)
        return cls(name or "articles")

    def work(self, **given: Any) -> Finish:
        """Show a status, then end as was set."""
        self.stage.tell("work", **given)
        given["on_status"](replace(self.stage.statuses[0], state=RunState.RUNNING))
        return self.stage.finish

    def status(self) -> RunStatus:
        """The next status, the last one again and again."""
        if len(self.stage.statuses) > 1:
            return self.stage.statuses.pop(0)
        return self.stage.statuses[0]

    def unresolved(self) -> Unresolved:
        """As was set."""
        return self.stage.unresolved

    def show(self, item: str) -> ItemStory:
        """The story that was set."""
        self.stage.tell("show", item=item)
        return self.stage.story

    def export(self, **given: Any) -> Summary:
        """A finished run."""
        self.stage.tell("export", **given)
        return a_summary()

    def rejudge(self, changes: Any, **given: Any) -> Rejudged:
        """As was set."""
        self.stage.tell("rejudge", changes=changes, **given)
        return self.stage.rejudged

    def stop(self) -> bool:
        """Whether something ran."""
        self.stage.tell("stop")
        return self.stage.is_running
