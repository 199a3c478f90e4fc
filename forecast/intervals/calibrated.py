"""A model with conformal intervals around its point forecasts, whatever the model is."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, is_dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from forecast.conformal import calibrate_sides
from forecast.errors import ConfigError, DataError, ForecastWarning
from forecast.intervals.fitted import FittedCalibrated, scaled
from forecast.intervals.scale import LocalScale, best_scale, candidates
from forecast.intervals.scoring import Judged, calibration_cutoffs, joined, judged, judged_series
from forecast.intervals.settings import Intervals, as_intervals
from forecast.intervals.trackers import Trackers
from forecast.model import OUTCOMES, Continuing, Fitted, Model, Task, kind_of
from forecast.models import as_model, name_of
from forecast.panel.fill import as_models_learn
from forecast.panel.newest import newest_known
from forecast.panel.panel import Panel
from forecast.wrapped import Wrapped

if TYPE_CHECKING:
    from forecast.training.settings import Training

Float = npt.NDArray[np.float64]
Int = npt.NDArray[np.int64]


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
        made: CalibratedModel = with_intervals({name: as_model(self.model, name, training)}, self.intervals)[name]
        return made


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
        if kind_of(model) in OUTCOMES:
            raise ConfigError(
                f"{name} forecasts probabilities of events or classes: intervals around them mean nothing. Use it "
                "without intervals=; the report shows how reliable its probabilities are."
            )
        if getattr(model, "needs_static", False):
            raise ConfigError(
                f"{name} forecasts series that have no rows and so no local scale. Use it without intervals=: it has "
                "some of its own."
            )
    return {name: CalibratedModel(model, settings, name) for name, model in models.items()}


@dataclass(frozen=True)
class Recipe:
    """What makes one model with intervals another, as plain values."""

    model: str
    hyper_parameters: Mapping[str, Any] | None
    intervals: Mapping[str, Any]


@dataclass(frozen=True)
class CalibratedModel(Wrapped):
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
    def spec(self) -> Recipe:
        """What tells it from other models, training settings aside."""
        return Recipe(*self.inner_recipe, asdict(self.settings))

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
        sides = calibrate_sides(scaled(windows.error, spread))
        if self.settings.method != "adaptive":
            return FittedCalibrated(fitted, self.settings, sides, scale, task.season_length)
        trackers = Trackers.start(panel.ids, panel.first + newest_known(panel), task.h, self.settings)
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
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ForecastWarning)  # of the fit on all rows they are heard
            try:
                return _unlogged(self.inner).fit(_taught(past.take(np.flatnonzero(known)), task), task)
            except DataError:
                return None

    def _learned(self, fitted: Fitted, panel: Panel, task: Task, scales: tuple[LocalScale, ...]) -> Judged:
        """The same windows, judged by the model that learned from them."""
        warnings.warn(
            f"{self.name}: there are too few rows before the calibration windows to fit on; intervals rest on rows "
            "that were learned from, so they may be too narrow. Give more rows, a smaller h or fewer windows.",
            ForecastWarning,
            stacklevel=4,
        )
        cutoffs = calibration_cutoffs(panel, task.h, self.settings.windows, 2)
        return joined(list(judged(fitted, panel, cutoffs, task.h, scales, task.season_length)), task.h, len(scales))


def _unlogged(model: Model) -> Model:
    """``model`` with nets that write no log and keep no checkpoint: those are for the training that counts."""
    given: Any = model
    if isinstance(inner := getattr(given, "inner", None), Model):
        given = replace(given, inner=_unlogged(inner))
    elif is_dataclass(model) and getattr(model, "training", None) is not None:
        given = replace(given, training=replace(given.training, log_dir=None, checkpoint_dir=None))
    unlogged: Model = given
    return unlogged


def _taught(panel: Panel, task: Task) -> Panel:
    return as_models_learn(panel, task.h, task.val_size, task.season_length)
