"""A model with conformal intervals around its point forecasts, whatever the model is."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, is_dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from forecast.conformal import Sides, calibrate_sides
from forecast.errors import ConfigError, DataError, ForecastWarning
from forecast.intervals.scale import LocalScale, best_scale, candidates
from forecast.intervals.scoring import Judged, calibration_cutoffs, joined, judged, judged_series
from forecast.intervals.settings import Intervals, as_intervals
from forecast.intervals.trackers import Knots, Trackers
from forecast.model import Advancing, Continuing, Fitted, Model, Prediction, Task
from forecast.models import as_model, name_of
from forecast.panel.fill import as_models_learn, as_models_see
from forecast.panel.panel import Panel

if TYPE_CHECKING:
    from forecast.training.settings import Training

Float = npt.NDArray[np.float64]
Int = npt.NDArray[np.int64]

LONGEST = 1000  # rows that adaptive intervals look back over when they catch up: older misses are forgotten anyway
NEVER = np.iinfo(np.int64).min // 2
WIDEST = np.finfo(np.float64).max


@dataclass(frozen=True)
class Calibrated:
    """Any model with conformal intervals in place of its own; its point forecasts stay as they are.

    Args:
        model: a name under conf/model or conf/baseline, an object of :mod:`forecast.models`, or a
            :class:`forecast.Transformed`, whose intervals are then in the units of the data.
        intervals: ``"split"``, ``"cross"``, ``"adaptive"`` or a :class:`forecast.Intervals` object.

    Raises ``ConfigError`` for what cannot be used.

    >>> from forecast import Calibrated, Forecaster
    >>> Forecaster({"static": Calibrated("naive", "split"), "adaptive": Calibrated("naive", "adaptive")}, h=1)
    Forecaster(static, adaptive, h=1, freq=None, not fitted)
    """

    model: Any
    intervals: Any = "split"

    def __post_init__(self) -> None:
        settings = as_intervals(self.intervals)
        if settings is None:
            raise ConfigError("Calibrated: intervals is None. Name a method, or use the model by itself.")
        object.__setattr__(self, "intervals", settings)

    @property
    def goes_by(self) -> str:
        """The name of its column: that of the model."""
        return self.model if isinstance(self.model, str) else name_of(self.model)

    def trained_by(self, training: Training, name: str) -> CalibratedModel:
        """The same as a model whose nets train by ``training``."""
        return with_intervals({name: as_model(self.model, name, training)}, self.intervals)[name]


def with_intervals(models: Mapping[str, Model], intervals: Any) -> dict[str, Any]:
    """``models`` with ``intervals`` in place of their own; the very same where that is ``None``.

    Raises ``ConfigError`` for models that have conformal intervals already, or that forecast series without rows.
    """
    settings = as_intervals(intervals)
    if settings is None:
        return dict(models)
    for name, model in models.items():
        if isinstance(model, CalibratedModel):
            raise ConfigError(f"{name} has intervals={model.settings.method!r} already. Ask for intervals once.")
        if getattr(model, "needs_static", False):
            raise ConfigError(
                f"{name} forecasts series that have no rows, so no local scale. Use it without intervals: it has its own."
            )
    return {name: CalibratedModel(model, settings, name) for name, model in models.items()}


@dataclass(frozen=True)
class Recipe:
    """What makes one model with intervals another, as plain values."""

    model: str
    hyper_parameters: Mapping[str, Any] | None
    intervals: Mapping[str, Any]


@dataclass(frozen=True)
class CalibratedModel:
    """A model to be calibrated: satisfies :class:`forecast.model.Model`.

    ``start`` is a model whose weights the training on all rows begins with; those that are judged begin anew, for it
    has seen the rows that they are judged on.
    """

    inner: Model
    settings: Intervals
    name: str = "model"
    start: Fitted | None = field(default=None, repr=False, compare=False)
    fills_itself = True  # no field: see forecast.panel.fill.shown_to

    @property
    def reads_static(self) -> bool | None:
        """Whether the model makes use of static features; ``None`` where it does not say."""
        return getattr(self.inner, "reads_static", None)

    @property
    def reads_hist(self) -> bool | None:
        """Whether the model makes use of covariates known up to the cutoff; ``None`` where it does not say."""
        return getattr(self.inner, "reads_hist", None)

    @property
    def reads_futr(self) -> bool | None:
        """Whether the model makes use of covariates known into the future; ``None`` where it does not say."""
        return getattr(self.inner, "reads_futr", None)

    @property
    def training(self) -> Training | None:
        """The training settings of its nets; ``None`` for a baseline."""
        return getattr(self.inner, "training", None)

    @property
    def spec(self) -> Recipe:
        """What tells it from other models, training settings aside."""
        inner: Any = getattr(self.inner, "architecture", None) or getattr(self.inner, "spec", None) or self.inner
        values = asdict(inner) if is_dataclass(inner) and not isinstance(inner, type) else None
        return Recipe(type(inner).__qualname__, values, asdict(self.settings))

    def continued(self, fitted: Fitted) -> CalibratedModel:
        """The same, the training on all rows begun with the weights of ``fitted``, where it is one of a kind."""
        before = fitted.fitted if isinstance(fitted, FittedCalibrated) else fitted
        return replace(self, start=before) if isinstance(self.inner, Continuing) else self

    def fit(self, panel: Panel, task: Task) -> FittedCalibrated:
        """Judge the model on the last windows of each series, then fit it on all rows.

        ``panel`` has its values as they are: each model sees them by the schema's policies, as they were at the time.
        Where there are too few rows before the windows, the model is judged on windows that it learned from, with a
        warning. Raises what the model raises when fitted on all rows.
        """
        begun = self.inner
        if self.start is not None and isinstance(begun, Continuing):
            begun = begun.continued(self.start)
        fitted = begun.fit(_taught(panel, task), task)
        scales = candidates(task.season_length)
        windows = self._held_out(panel, task, scales) or self._learned(fitted, panel, task, scales)
        chosen, scale = best_scale(scales, windows.measured, windows.error)
        spread = scale.completed(windows.measured[chosen])
        sides = calibrate_sides(_scaled(windows.error, spread))
        if self.settings.method != "adaptive":
            return FittedCalibrated(fitted, self.settings, sides, scale, task.season_length)
        trackers = Trackers.start(panel.ids, panel.last, task.h, self.settings)
        return FittedCalibrated(fitted, self.settings, sides.floored(), scale, task.season_length, trackers)

    def _held_out(self, panel: Panel, task: Task, scales: tuple[LocalScale, ...]) -> Judged | None:
        """Windows judged by models that were fitted on the rows before them; ``None`` where no model could be."""
        cross = self.settings.method == "cross"
        cutoffs = calibration_cutoffs(panel, task.h, self.settings.windows, 2 if cross else 4)
        chosen = judged_series(panel, len(cutoffs))
        parts: list[Judged] = []
        for block in np.array_split(cutoffs, min(self.settings.folds, len(cutoffs))) if cross else [cutoffs]:
            fitted = self._fitted_before(panel, block[0], task)
            if fitted is not None:
                few = panel if len(chosen) == len(panel) else panel.take(chosen)
                parts += judged(fitted, few, block[:, chosen], task.h, scales, task.season_length)
        whole = joined(parts, task.h, len(scales))
        return whole if np.isfinite(whole.error).any() else None

    def _fitted_before(self, panel: Panel, cutoff: Int, task: Task) -> Fitted | None:
        """The model fitted on what was known at ``cutoff`` (S,); ``None`` where that is too little."""
        past = panel.before(cutoff)
        known = np.bincount(past.series[np.isfinite(past.values)], minlength=len(past)) > 0
        if not known.any():
            return None
        try:
            return self.inner.fit(_taught(past.take(np.flatnonzero(known)), task), task)
        except DataError:
            return None

    def _learned(self, fitted: Fitted, panel: Panel, task: Task, scales: tuple[LocalScale, ...]) -> Judged:
        """The same windows, judged by the model that learned from them."""
        warnings.warn(
            f"{self.name}: there are too few rows before the calibration windows to fit on; intervals rest on rows that "
            "were learned from, so they may be too narrow. Give more rows, a smaller h or fewer windows.",
            ForecastWarning,
            stacklevel=4,
        )
        cutoffs = calibration_cutoffs(panel, task.h, self.settings.windows, 2)
        return joined(list(judged(fitted, panel, cutoffs, task.h, scales, task.season_length)), task.h, len(scales))


def _taught(panel: Panel, task: Task) -> Panel:
    return as_models_learn(panel, task.h, task.val_size, task.season_length)


def _scaled(error: Float, spread: Float) -> Float:
    """Errors (V, h) in scales (V,), NaN where the scale is 0: nothing in the past of such a window says how it moves."""
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
        spread = self.scale.of(seen)
        factors = None if self.trackers is None else self._caught_up(self.trackers, panel).log_factors()
        quantiles = np.empty((*made.point.shape, len(probs)))
        with np.errstate(over="ignore"):
            for number, prob in enumerate(probs):
                ends = made.point + spread[:, None] * self._distance(prob, h, factors)
                quantiles[..., number] = np.clip(ends, -WIDEST, WIDEST)
        shown = getattr(self.fitted, "shown", None)
        return replace(made, quantiles=quantiles if shown is None else shown(quantiles), probs=tuple(probs))

    def _distance(self, prob: float, h: int, factors: Float | None) -> Float:
        """The signed distance of a quantile from the point in local scales, (1, h) or (S, h)."""
        below, above = self.sides.at(abs(2.0 * prob - 1.0), h)
        if factors is None:
            return (above if prob >= 0.5 else -below)[None]
        low, high = Knots.of(self.sides, self.settings).stretched(factors, below, above)
        return high if prob >= 0.5 else -low

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
        state = trackers.take(trackers.places(panel.ids, panel.last), panel.ids, panel.last)
        behind = np.flatnonzero(state.last < panel.last)
        if not behind.size:
            return state
        return state.after(self._judged(panel.take(behind), state.last[behind], behind), panel.last, self.settings)

    def _judged(self, panel: Panel, since: Int, places: Int) -> Iterator[tuple[Int, Float]]:
        """What came of the forecasts of the rows after ``since`` (S,), cutoff by cutoff: which of ``places``, and what
        :meth:`Knots.needed` says of each step."""
        h, knots = len(self.sides.lower), Knots.of(self.sides, self.settings)
        since = np.maximum(since, panel.last - LONGEST)
        turns = int((panel.last - since).max()) + h - 1
        cutoffs = since - h + 1 + np.arange(turns)[:, None]
        cutoffs = np.where(cutoffs < panel.last, cutoffs, NEVER)
        for part in judged(self.fitted, panel, cutoffs, h, (self.scale,), self.season_length):
            error = _scaled(part.error, self.scale.completed(part.measured[0]))
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
