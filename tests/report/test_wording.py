from __future__ import annotations

import doctest
from types import ModuleType

import pytest

from forecast.report import metrics, style, wording


@pytest.mark.parametrize("module", [wording, metrics, style])
def test_the_examples_in_docstrings_hold(module: ModuleType) -> None:
    failed, tried = doctest.testmod(module)
    assert tried > 0
    assert failed == 0


def test_infinite_and_unknown_numbers_are_shown_as_such() -> None:
    assert wording.number(float("inf")) == "inf"
    assert wording.number(None) == wording.duration(None) == wording.percent(float("nan")) == "–"


def test_a_label_has_one_line_no_control_characters_and_an_end() -> None:
    assert wording.label("a\nb\tc\x00\x1b[31m\ud800") == "a b c��[31m�"
    assert len(wording.label("x" * 300)) == wording.LONGEST_LABEL


@pytest.mark.parametrize(
    ("column", "name"),
    [("rmsse", "RMSSE"), ("msis-95", "MSIS 95 %"), ("width-80", "Width 80 %"), ("pinball-0.1", "Pinball 0.1")],
)
def test_metrics_have_their_usual_names(column: str, name: str) -> None:
    assert wording.metric_name(column) == name
