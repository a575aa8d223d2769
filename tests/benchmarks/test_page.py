"""The page of the docs quotes what was measured, and nothing else."""

import json

import page
import pytest
from workloads import WORKLOADS

RESULTS = page.PAGE.parent.parent / "benchmarks" / "results"


def test_tables_and_plot_are_those_of_the_data_files() -> None:
    text = page.PAGE.read_text()

    assert page.renewed(text, RESULTS) == text
    assert page.picture(RESULTS) == page.PICTURE.read_text()


@pytest.mark.parametrize("name", [path.stem for path in RESULTS.glob("*.json")])
def test_every_data_file_is_on_the_page(name: str) -> None:
    data = json.loads((RESULTS / f"{name}.json").read_text())

    assert name in WORKLOADS or name == "growth"
    assert page.told(data) in page.PAGE.read_text()
