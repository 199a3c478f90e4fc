"""Models in order of accuracy, and who is best at what."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

ORDER = ("mase", "mae", "brier")
SHOWN = ("mase", "owa", "smape", "wql", "rmsse", "mae", "rmse", "mape")
OUTCOMES = ("brier", "log_loss", "auc", "macro_f1", "accuracy")
HIGHER = ("auc", "macro_f1", "accuracy")  # better
SHOWN_LEVELS = 2
REFERENCES = ("seasonal_naive", "naive2", "naive")


@dataclass(frozen=True)
class Ranking:
    """Overall scores, best model first.

    ``metric`` is what decided: MASE, or MAE where no series has a scale; of events and classes the Brier score.
    """

    scores: pd.DataFrame
    metric: str

    @property
    def models(self) -> list[str]:
        """Best first."""
        return [str(model) for model in self.scores["model"]]

    @property
    def winner(self) -> str:
        return self.models[0]

    @property
    def reference(self) -> str | None:
        """The model that others are compared with: the seasonal naive if there, else another naive, else none."""
        return next((name for name in REFERENCES if name in self.models), None)

    @property
    def columns(self) -> list[str]:
        """The columns of scores that a reader compares models by, the telling ones first."""
        coverages = [f"coverage-{level}" for level in levels_of(self.scores)[-SHOWN_LEVELS:]]
        place = SHOWN.index("wql")
        ordered = [*SHOWN[:place], *coverages, *SHOWN[place:], *OUTCOMES]
        return [column for column in ordered if column in self.scores.columns]

    def value(self, model: str, column: str | None = None) -> float:
        """A model's score, by the deciding metric unless another is named."""
        return float(self.scores[column or self.metric].to_numpy()[self.models.index(model)])

    def best(self, column: str) -> npt.NDArray[np.bool_]:
        """Which models are best by ``column``: the lowest, or for a coverage the nearest to what it promises, or the
        highest of what should be high.
        """
        values = self.scores[column].to_numpy(dtype=np.float64)
        if column.startswith("coverage-"):
            values = np.abs(values - float(column.partition("-")[2]) / 100)
        if column in HIGHER:
            values = -values
        known = values[~np.isnan(values)]
        return values == known.min() if known.size > 1 else np.zeros(values.size, dtype=np.bool_)


def rank(scores: pd.DataFrame) -> Ranking:
    """Order the overall scores of :func:`~forecast.report.evaluate.evaluate`; equal models keep their order.

    A model that left forecasts out is ranked after those that made them all: it may have left out the hard ones.
    """
    present = [name for name in ORDER if name in scores]
    metric = next((name for name in present if scores[name].notna().any()), present[-1])
    partial = (scores["missing_forecasts"] > 0).to_numpy()
    order = np.lexsort((scores[metric].to_numpy(dtype=np.float64), partial))  # NaN sorts last; stable
    return Ranking(scores.iloc[order].reset_index(drop=True), metric)


def levels_of(scores: pd.DataFrame) -> list[str]:
    """The levels of intervals that ``scores`` tell of, as they were written, ascending."""
    levels = [column.partition("-")[2] for column in scores.columns if column.startswith("coverage-")]
    return sorted(levels, key=float)


def share_better(by_series: pd.DataFrame, metric: str, model: str, other: str) -> float:
    """Share of series on which ``model`` beats ``other``, of those where both have a score; NaN when none."""
    first, second = _values(by_series, metric, [model, other])
    known = ~np.isnan(first) & ~np.isnan(second)
    return float((first < second)[known].mean()) if known.any() else np.nan


def _values(by_series: pd.DataFrame, metric: str, models: Sequence[str]) -> list[npt.NDArray[np.float64]]:
    names = by_series["model"].to_numpy()
    return [by_series[metric].to_numpy(dtype=np.float64)[names == model] for model in models]
