from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from forecast.panel.panel import Panel
from forecast.report.evaluate import evaluate
from forecast.report.ranking import rank, share_better

from .conftest import make_cv, make_panel

NAN = float("nan")


def scores_of(mase: list[float], missing: tuple[int, ...] = (), **columns: list[float]) -> pd.DataFrame:
    names = [f"m{i}" for i in range(len(mase))]
    absent = [int(i in missing) for i in range(len(mase))]
    return pd.DataFrame({"model": names, "mase": mase, "mae": 1.0, **columns, "missing_forecasts": absent})


def test_models_are_ordered_by_mase_and_equal_ones_keep_their_order() -> None:
    assert rank(scores_of([2.0, 1.0, 1.0, NAN, 0.5])).models == ["m4", "m1", "m2", "m0", "m3"]


def test_a_model_that_left_forecasts_out_ranks_last() -> None:
    assert rank(scores_of([0.1, 2.0, 1.0], missing=(0,))).models == ["m2", "m1", "m0"]


def test_mae_decides_where_no_series_has_a_scale() -> None:
    ranking = rank(scores_of([NAN, NAN]).assign(mae=[2.0, 1.0]))
    assert (ranking.metric, ranking.winner) == ("mae", "m1")


def test_the_best_coverage_is_the_nearest_to_what_was_promised() -> None:
    ranking = rank(scores_of([1.0, 2.0, 3.0], **{"coverage-90": [1.0, 0.88, NAN]}))
    assert ranking.best("coverage-90").tolist() == [False, True, False]


def test_nothing_is_best_among_one() -> None:
    assert not rank(scores_of([1.0])).best("mase").any()


@pytest.mark.parametrize(
    ("models", "reference"),
    [(["naive", "seasonal_naive", "x"], "seasonal_naive"), (["x", "naive"], "naive"), (["x"], None)],
)
def test_the_reference_is_the_seasonal_naive_if_there(models: list[str], reference: str | None) -> None:
    scores = scores_of([1.0] * len(models)).assign(model=models)
    assert rank(scores).reference == reference


def test_the_share_of_series_won_counts_those_that_both_have(panel: Panel, cv: pd.DataFrame) -> None:
    by_series = evaluate(cv, panel, 12, by="series")
    assert share_better(by_series, "mase", "segrnn", "seasonal_naive") == 1
    assert share_better(by_series, "mase", "segrnn", "segrnn") == 0
    flat = make_panel({"a": [1.0] * 9, "b": np.arange(9.0)})
    scores = evaluate(make_cv(flat, 2, m=lambda k, a: a, n=lambda k, a: a + 1), flat, 1, by="series")
    assert share_better(scores, "mase", "m", "n") == 1
