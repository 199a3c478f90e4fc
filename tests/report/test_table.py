from __future__ import annotations

import io

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from forecast.panel.panel import Panel
from forecast.report.evaluate import evaluate
from forecast.report.table import print_ranking, ranking_text


@pytest.fixture
def scores(panel: Panel, cv: pd.DataFrame) -> pd.DataFrame:
    return evaluate(cv, panel, 12)


def shown(scores: pd.DataFrame, terminal: bool, width: int = 200, **seconds: float) -> str:
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=terminal, width=width, color_system="standard" if terminal else None)
    print_ranking(scores, seconds, console)
    return stream.getvalue()


def test_the_table_lists_models_best_first_in_plain_text_where_there_is_no_terminal(scores: pd.DataFrame) -> None:
    text = shown(scores, terminal=False, segrnn=61.9)
    lines = text.splitlines()
    assert [line.split()[1] for line in lines[1:4]] == ["segrnn", "seasonal_naive", "naive"]
    assert lines[0].split()[:4] == ["#", "model", "MASE", "sMAPE"]
    assert "1 min 02 s" in lines[1]
    assert lines[4] == "5 series, 60 forecasts scored"
    assert text.isascii() or set(text) - set(map(chr, range(128))) == {"–"}
    assert "\x1b" not in text


def test_the_best_of_each_metric_is_marked(scores: pd.DataFrame) -> None:
    best = ranking_text(scores).splitlines()[1]
    assert best.count("*") == 6  # mase, smape, rmsse, mae, rmse, mape: nobody else has intervals


def test_a_terminal_gets_colour_and_a_bold_winner(scores: pd.DataFrame) -> None:
    text = shown(scores, terminal=True)
    assert "\x1b[1;32m" in text
    assert "seasonal_naive" in text


def test_a_narrow_terminal_shows_fewer_metrics_and_says_which_are_missing(scores: pd.DataFrame) -> None:
    text = shown(scores, terminal=True, width=60, segrnn=3.0)
    assert "…" not in text
    assert "MASE" in text
    assert "time" in text
    assert "A wider terminal shows" in text
    assert max(map(len, Console(file=io.StringIO()).render_str(text).plain.splitlines())) < 150


def test_a_model_name_in_square_brackets_is_a_name_and_not_markup(panel: Panel, cv: pd.DataFrame) -> None:
    scores = evaluate(cv.rename(columns={"naive": "[red]naive[/]"}), panel, 12)
    assert "[red]naive[/]" in shown(scores, terminal=True)
    assert "[red]naive[/]" in shown(scores, terminal=False)


def test_what_was_left_out_is_said_below_the_table(panel: Panel, cv: pd.DataFrame) -> None:
    cv.loc[0, "y"] = np.nan
    cv.loc[1, "naive"] = np.nan
    text = ranking_text(evaluate(cv, panel, 12))
    assert "1 without an actual left out" in text
    assert "naive has no forecast for 1 known actual, so it ranks last" in text
