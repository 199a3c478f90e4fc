"""A fitted model with its conformal intervals."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from forecast.conformal import Sides
from forecast.intervals.scale import LocalScale
from forecast.intervals.scoring import judged
from forecast.intervals.settings import Intervals
from forecast.intervals.trackers import Knots, Stretched, Trackers
from forecast.model import Advancing, Fitted, Prediction, kind_of
from forecast.panel.fill import as_models_see
from forecast.panel.newest import newest_known
from forecast.panel.panel import Panel

Float = npt.NDArray[np.float64]
Int = npt.NDArray[np.int64]

LONGEST = 1000  # rows that adaptive intervals look back over when they catch up: older misses are forgotten anyway
NEVER = np.iinfo(np.int64).min // 2
WIDEST = np.finfo(np.float64).max


def scaled(error: Float, spread: Float) -> Float:
    """Errors (V, h) in scales (V,), NaN where the scale is 0: nothing in the past of that window says how it moves."""
    return np.where(spread[:, None] > 0.0, error / np.where(spread > 0.0, spread, 1.0)[:, None], np.nan)


@dataclass(frozen=True)
class FittedCalibrated:
    """A fitted model and its intervals: satisfies :class:`forecast.model.Fitted`.

    A forecast depends on the rows of its series, the tables and, when adaptive, what came of the forecasts of this very
    series. Predicting changes nothing: rows that came in since the state was made are caught up with for the forecast
    alone, and :meth:`advanced` gives the model with the state of a longer history.

    Attributes:
        fitted: the model.
        settings: what was asked for.
        sides: the tables of widths, in local scales.
        scale: the local scale.
        season_length: of the task; for the ``seasonal`` policy of gaps.
        trackers: the state of adaptive intervals, else ``None``.
    """

    fitted: Fitted
    settings: Intervals
    sides: Sides
    scale: LocalScale
    season_length: int = 1
    trackers: Trackers | None = None
    fills_itself = True  # no field: see forecast.panel.fill.shown_to
    reach = (0.0005, 0.9995)  # nor is this: see forecast.model.reach_of

    @property
    def h(self) -> int:
        """Steps of the tables: the horizon that it was fitted for."""
        return len(self.sides.lower)

    @property
    def kind(self) -> str:
        """The kind of values that it forecasts."""
        return kind_of(self.fitted)

    @property
    def discrete(self) -> bool:
        """Whether its quantiles are whole numbers."""
        return self.kind == "count"

    @property
    def adapts(self) -> bool:
        """Whether rows that come in change its intervals."""
        return self.trackers is not None

    @property
    def input_size(self) -> int | None:
        """Rows of the window of its net, ``None`` for a model without one."""
        size: int | None = getattr(self.fitted, "input_size", None)
        return size

    def predict(self, panel: Panel, h: int, probs: tuple[float, ...] = ()) -> Prediction:
        """Forecast ``h`` steps after the last row of each series; quantiles do not cross, and hold the point between.

        Raises what the model raises, and ``ConfigError`` for quantiles beyond 0.0005 to 0.9995.
        """
        seen = as_models_see(panel, self.season_length)
        made = self.fitted.predict(seen, h)
        if not probs:
            return made
        spread = self.scale.of(seen)[:, None]
        moved = None
        if self.trackers is not None:
            factors = self._caught_up(self.trackers, panel).log_factors()[:, :h]
            moved = Knots.of(self.sides, self.settings).stretched(factors)
        quantiles = np.empty((*made.point.shape, len(probs)))
        with np.errstate(over="ignore"):
            for number, prob in enumerate(probs):
                ends = made.point + spread * self._distance(prob, h, moved)
                quantiles[..., number] = np.clip(ends, -WIDEST, WIDEST)
        kind = kind_of(self.fitted)
        if kind in ("count", "positive"):
            quantiles = np.maximum(np.rint(quantiles) if kind == "count" else quantiles, 0.0)
        shown = getattr(self.fitted, "shown", None)
        return replace(made, quantiles=quantiles if shown is None else shown(quantiles), probs=tuple(probs))

    def _distance(self, prob: float, h: int, moved: Stretched | None) -> Float:
        """The signed distance of a quantile from the point in local scales, (1, h) or (S, h)."""
        below, above = self.sides.at(abs(2.0 * prob - 1.0), h)
        if prob >= 0.5:
            return above[None] if moved is None else moved.above(above)
        return -below[None] if moved is None else -moved.below(below)

    def advanced(self, panel: Panel, before: Panel | None = None) -> FittedCalibrated:
        """The same with the state of intervals and model as they stand after the last row of each series.

        ``panel`` has its values as they are; ``before`` see :meth:`forecast.model.Advancing.advanced`.
        """
        fitted, trackers = self.fitted, self.trackers
        if isinstance(fitted, Advancing):
            fitted = fitted.advanced(as_models_see(panel, self.season_length), before)
        if trackers is not None:
            trackers = trackers.joined_by(self._caught_up(trackers, panel))
        return replace(self, fitted=fitted, trackers=trackers)

    def _caught_up(self, trackers: Trackers, panel: Panel) -> Trackers:
        """The state of the series of ``panel`` after its last rows.

        What the model said of them is worked out again from the rows before, so no forecast needs to be kept.
        """
        known = panel.first + newest_known(panel)  # rows after it may still become known
        state = trackers.take(trackers.places(panel.ids, panel.last), panel.ids, known)
        behind = np.flatnonzero(state.last < known)
        if not behind.size:
            return state
        part = panel.take(behind).before(known[behind])
        return state.after(self._judged(part, state.last[behind], behind), known, self.settings)

    def _judged(self, panel: Panel, since: Int, places: Int) -> Iterator[tuple[Int, Float]]:
        """What came of the forecasts of the rows after ``since`` (S,), cutoff by cutoff: which of ``places``, and what
        :meth:`Knots.needed` says of each step."""
        h, knots = self.h, Knots.of(self.sides, self.settings)
        since = np.maximum(since, panel.last - LONGEST)
        turns = int((panel.last - since).max()) + h - 1
        cutoffs = since - h + 1 + np.arange(turns)[:, None]
        cutoffs = np.where(cutoffs < panel.last, cutoffs, NEVER)
        for part in judged(self.fitted, panel, cutoffs, h, (self.scale,), self.season_length):
            error = scaled(part.error, self.scale.completed(part.measured[0]))
            steps = cutoffs[part.turn, part.series][:, None] + 1 + np.arange(h)
            needed = knots.needed(np.where(steps > since[part.series][:, None], error, np.nan))
            ends = np.flatnonzero(np.diff(part.turn, append=-1)) + 1
            for begin, end in zip(np.append(0, ends[:-1]), ends, strict=True):
                yield places[part.series[begin:end]], needed[begin:end]

    def describe(self) -> dict[str, Any]:
        """What the model says of itself, and how its intervals came about."""
        asked = {key: value for key, value in asdict(self.settings).items() if key not in ("windows", "folds")}
        if self.settings.method != "adaptive":
            asked = {"method": self.settings.method}
        facts = {
            **{key: list(value) if isinstance(value, tuple) else value for key, value in asked.items()},
            "calibration_windows": self.sides.count,
            "scale_lag": self.scale.lag,
            "scale_half_life": self.scale.half_life,
        }
        return {**self.fitted.describe(), "intervals": facts}
