"""Organisation and project are those of the start, whoever resumes."""

import pytest
from session_stage import Stage

from runner.config import Service


def test_those_of_the_environment_are_read_once(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the SDK reads them; the library's runs as well."""
    monkeypatch.setenv("OPENAI_ORG_ID", "org-then")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "")
    stage.start("a")
    monkeypatch.setenv("OPENAI_ORG_ID", "org-later")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "proj-later")
    stage.session()
    service = stage.run.config.service
    assert ("org-then", None) == (service.organization, service.project)


def test_what_a_program_says_counts_more(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_ORG_ID", "org-then")
    stage.start("a", service=Service(scenario="", organization="org-said"))
    assert "org-said" == stage.run.config.service.organization
