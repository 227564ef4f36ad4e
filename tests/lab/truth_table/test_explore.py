"""The heat map with filters: what is chosen is what is shown, with and without widgets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lab.render.display import Picture
from lab.truth_table import explore, results
from lab.truth_table.explore import Explorer
from lab.truth_table.notebook import open_table

RECORDED = Path(__file__).parent / "recorded"


def filters(explorer: Explorer) -> tuple[dict[str, Any], Any]:
    """The widget's filters by name, and what shows the heat map."""
    box, shown, *_ = explorer._widget().children
    return {one.description: one for one in box.children}, shown


def test_a_filter_changes_the_heat_map_to_what_is_chosen() -> None:
    picks, shown = filters(Explorer(results.load(RECORDED)))
    before = shown.value
    picks["caller"].value = "none"
    assert shown.value != before
    assert "policy permissive, caller none: port name by what is sent" in shown.value
    picks["changed"].value = "address=pod"
    assert "policy permissive, caller none; address pod: port name" in shown.value


def test_each_change_that_a_cell_of_the_table_has_can_be_chosen() -> None:
    table = results.load(RECORDED)
    picks, _shown = filters(Explorer(table))
    offered = {*picks["changed"].options} - {explore.NOTHING}
    assert offered == {part for key in table for part in key.split("/")[4:]}


def test_where_no_widget_can_be_shown_the_heat_map_and_its_words_are_there() -> None:
    bundle = Explorer(results.load(RECORDED))._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in bundle
    assert '<img alt="policy permissive, caller sidecar' in bundle["text/html"]
    assert bundle["text/plain"].startswith("policy permissive, caller sidecar")


def test_a_notebook_that_nobody_has_open_gets_the_heat_map_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(explore.WIDGETS, "0")
    found = open_table(RECORDED).explore()
    assert isinstance(found, Picture)
    assert found.alt.startswith("policy permissive, caller sidecar")
    monkeypatch.delenv(explore.WIDGETS)
    assert isinstance(open_table(RECORDED).explore(), Explorer)
