from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from forecast.panel.panel import Panel
from forecast.report.evaluate import score
from forecast.report.folds import read_folds
from forecast.report.ranking import rank
from forecast.report.summary import (
    configuration_text,
    coverage_rows,
    data_facts,
    fact,
    headline,
    left_out,
    masked,
    model_facts,
    span,
)

from .conftest import make_cv, make_panel


def sentence(cv: pd.DataFrame, panel: Panel) -> str:
    folds = read_folds(cv, panel, 12)
    return headline(rank(score(folds)), score(folds, "series"))


def test_the_headline_says_who_won_by_how_much_and_how_often(panel: Panel, cv: pd.DataFrame) -> None:
    folds = read_folds(cv, panel, 12)
    scores = score(folds).set_index("model")["mase"]
    cut = 100 * (1 - scores["segrnn"] / scores["seasonal_naive"])
    text = sentence(cv, panel)
    assert text.startswith("segrnn is the most accurate: its MASE of ")
    assert f"{cut:.0f} % lower than that of seasonal_naive" in text
    assert text.endswith("and better on 100 % of 5 series.")


def test_the_headline_admits_when_nothing_beats_the_seasonal_naive(panel: Panel, cv: pd.DataFrame) -> None:
    assert sentence(cv.assign(segrnn=0.0), panel).startswith("No model beats seasonal_naive: it has a MASE of ")


def test_the_headline_compares_with_the_runner_up_where_there_is_no_reference(panel: Panel) -> None:
    cv = make_cv(panel, 6, a=lambda known, actual: actual * 1.1, b=lambda known, actual: actual * 1.2)
    assert "50 % lower than that of b" in sentence(cv, panel)


def test_the_headline_of_one_model_is_its_score(panel: Panel, cv: pd.DataFrame) -> None:
    only = cv[["unique_id", "ds", "cutoff", "y", "naive"]]
    assert sentence(only, panel).startswith("naive has a MASE of ")


def test_the_headline_says_when_there_is_nothing_to_score(panel: Panel, cv: pd.DataFrame) -> None:
    assert sentence(cv.assign(y=np.nan), panel).startswith("No model could be scored")


def test_the_facts_about_the_data(panel: Panel, cv: pd.DataFrame) -> None:
    facts = dict(data_facts(read_folds(cv, panel, 12)))
    assert facts["series"] == "5"
    assert facts["rows"] == "300"
    assert facts["rows per series"] == "60"
    assert facts["frequency"] == "MS"
    assert facts["span"] == "2020-01-01 … 2024-12-01"
    assert facts["cutoffs"] == "2023-12-01 … 2024-06-01"
    assert facts["cutoffs per series"] == "2"
    assert facts["steps ahead"] == "6"


def test_lengths_and_gaps_of_uneven_series_are_counted() -> None:
    panel = make_panel({"a": [1.0, np.nan, 2, 3], "b": [1.0, 2, 3, 4, 5, 6]})
    facts = dict(data_facts(read_folds(make_cv(panel, 1, m=lambda known, actual: actual), panel, 1)))
    assert facts["rows per series"] == "4 shortest, 5 median, 6 longest"
    assert facts["unknown values"] == "1 (10 %)"


def test_a_span_is_as_fine_as_its_stamps() -> None:
    hours = np.array(["2020-01-01T05", "2020-01-02T00"], dtype="datetime64[us]")
    assert span(hours) == "2020-01-01 05:00 … 2020-01-02 00:00"
    assert span(np.array([3, 9])) == "3 … 9"


def test_everything_left_out_is_a_sentence(panel: Panel, cv: pd.DataFrame) -> None:
    assert left_out(rank(score(read_folds(cv, panel, 12)))) == []
    cv.loc[0, "y"] = np.nan
    cv.loc[1, "naive"] = np.nan
    cv.loc[2, "y"] = 0
    flat = panel.values.copy()
    flat[:48] = 1
    other = Panel(panel.ids, flat, panel.offsets, panel.first, panel.timeline)
    text = " ".join(left_out(rank(score(read_folds(cv, other, 12)))))
    for part in (
        "1 forecast had no actual",
        "1 series had a cutoff",
        "1 series had actuals of zero",
        "naive gave no forecast for 1",
    ):
        assert part in text


def test_coverage_is_told_as_a_difference_to_the_promise(panel: Panel, cv: pd.DataFrame) -> None:
    cv["segrnn-lo-90"], cv["segrnn-hi-90"] = -np.inf, np.inf
    rows = coverage_rows(rank(score(read_folds(cv, panel, 12))))
    assert rows[-1][:4] == ("segrnn", "90 %", "100.0 %", "+10.0 points")
    assert len(rows) == 2


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"hidden_size": 64, "dropout": 0.1}, "hidden_size 64, dropout 0.1"), ([24, 168], "24, 168"), ([], "none"),
        (None, "none"), (True, "yes"), (123456, "123,456"), (1e-3, "0.001"), (float("nan"), "nan"), ("x", "x"),
    ],
)  # fmt: skip
def test_facts_are_written_in_one_line(value: object, text: str) -> None:
    assert fact("anything", value) == text


def test_curves_and_layers_are_not_facts() -> None:
    assert model_facts({"kind": "LSTM", "curves": [1], "layers": [2], "seconds": 61.9}) == [
        ("kind", "LSTM"), ("seconds", "1 min 02 s"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "value",
    [
        {"url": "postgresql+psycopg://bob:canary@db/x"}, {"sink": {"db_password": "canary"}}, {"api_key": "canary"},
        {"urls": ["https://x.org/?token=canary&a=1"]}, {"deep": [{"secret": {"a": "canary"}}]},
    ],
)  # fmt: skip
def test_passwords_never_reach_the_page(value: dict[str, object]) -> None:
    assert "canary" not in configuration_text(value)
    assert "canary" not in fact("", value)


def test_names_that_only_look_like_secrets_stay() -> None:
    assert masked({"tokens": 5, "token_bucket": "b", "passes": 2}) == {"tokens": 5, "token_bucket": "b", "passes": 2}


def test_the_configuration_is_yaml_in_its_own_order() -> None:
    text = configuration_text({"model": {"name": "lstm", "sizes": (1, 2)}, "data": None, "a": np.float64(0.5)})
    assert text == "model:\n  name: lstm\n  sizes:\n  - 1\n  - 2\ndata: null\na: 0.5\n"
