"""The dynamic optimised Theta model, for many series at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from forecast.baselines import dynamic_theta_lines
from forecast.baselines.batched import BatchedModel, Block
from forecast.baselines.local import Ask, check_season
from forecast.baselines.seasonality import is_multiplicative, is_seasonal, seasonal_indices
from forecast.baselines.segments import Flat
from forecast.baselines.series import Estimate, Outcome, check_length, season_of
from forecast.errors import ConfigError

Float = npt.NDArray[np.float64]
Int = npt.NDArray[np.int64]

FEWEST_ROWS = 4


@dataclass(frozen=True)
class Pattern:
    """The season of one series: the index of row ``t`` is that of ``t`` modulo the season."""

    indices: Float  # (season,)
    additive: bool

    def removed(self, y: Float) -> Float:
        """The series (n,) without its season."""
        past = np.resize(self.indices, len(y))
        return y - past if self.additive else y / past

    def restored(self, point: Float, deviation: Float, rows: int) -> tuple[Float, Float]:
        """Forecasts and their deviations (h,) with the season, ``rows`` after the start."""
        future = np.resize(np.roll(self.indices, -(rows % len(self.indices))), len(point))
        return (point + future, deviation) if self.additive else (point * future, deviation * future)


@dataclass(frozen=True)
class DynamicTheta(BatchedModel):
    """The dynamic optimised Theta model (Fiorucci, Pellegrini, Louzada, Petropoulos and Koehler 2016), DOTM.

    The trend line of the Theta method is fitted again at each row to the rows before it, and the slope ``theta`` of
    the second line is chosen with the level and the smoothing parameter, for the smallest squared one-step errors. A
    series whose autocorrelation at the season is significant at 90 % is seasonally adjusted first, by ratios where it
    is positive and by differences otherwise; it takes three seasons to tell. Intervals are normal, with the exact
    variance of the model, and the season put back. The two first errors do not count, unless the series is shorter
    than seven rows.

    Args:
        season_length: the season in steps; ``None`` means the task's.
        theta: slope of the second theta line, at least 1; ``None`` chooses it for each series. 2 is the dynamic
            standard Theta model.
        max_length: rows of each series to fit, the latest ones (but never fewer than four seasons).
    """

    season_length: int | None = None
    theta: float | None = None
    max_length: int = 1000

    def __post_init__(self) -> None:
        check_season(self.season_length)
        check_length(self.max_length)
        number = isinstance(self.theta, (int, float)) and not isinstance(self.theta, bool)
        if self.theta is not None and not (number and 1.0 <= self.theta < np.inf):
            raise ConfigError(f"theta={self.theta!r} must be a number, at least 1, or None to choose it.")

    def fit_all(self, ys: list[Float], ask: Ask) -> list[Outcome]:
        """See :class:`~forecast.baselines.batched.BatchedModel`."""
        outcomes: list[Outcome] = [f"{len(y)} rows are too few" for y in ys]
        fitted = [number for number, y in enumerate(ys) if len(y) >= FEWEST_ROWS]
        if not fitted:
            return outcomes
        series = [ys[number] for number in fitted]
        seasons = [season_of(y, ask, fewest=3) for y in series]
        patterns = _patterns(series, [season for season, _ in seasons])
        block, order = Block.of([pattern.removed(y) for pattern, y in zip(patterns, series, strict=True)])
        points, deviations = self._forecast(block, ask.h)
        for column, number in enumerate(order):
            rows, note = len(series[number]), seasons[number][1]
            point, deviation = patterns[number].restored(points[column], deviations[column], rows)
            outcomes[fitted[number]] = Estimate.normal(point, deviation, ask, note)
        return outcomes

    def _forecast(self, block: Block, h: int) -> tuple[Float, Float]:
        """Forecasts of adjusted series and the deviations of their errors, each shape (N, h)."""
        weight = None if self.theta is None else 1.0 - 1.0 / self.theta
        theta = dynamic_theta_lines.search(block, weight)
        end, variance = dynamic_theta_lines.run(block, theta, fixed=weight is not None)
        return dynamic_theta_lines.ahead(end, variance, theta, block.lengths, h)


def _patterns(series: list[Float], seasons: list[int]) -> list[Pattern]:
    """The season of each series; an index of 1 throughout where there is none."""
    patterns = [Pattern(np.ones(1), additive=False)] * len(series)
    longest = max(seasons)
    tested = [number for number, season in enumerate(seasons) if season > 1]
    if not tested:
        return patterns
    flat = Flat.of([series[number] for number in tested])
    found = is_seasonal(flat, longest)
    ratios = seasonal_indices(flat, longest)
    differences = seasonal_indices(flat, longest, additive=True)
    positive = is_multiplicative(flat, ratios) & (np.minimum.reduceat(flat.values, flat.offsets[:-1]) > 0.0)
    for row, number in enumerate(tested):
        if found[row]:
            indices = ratios[row] if positive[row] else differences[row]
            patterns[number] = Pattern(indices, additive=not positive[row])
    return patterns
