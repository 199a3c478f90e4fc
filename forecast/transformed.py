"""A model of a transformed target: any model behind a chain of transforms, its forecasts brought back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from forecast.baselines.local import LocalModel
from forecast.checks import truth
from forecast.ensemble import EnsembleModel
from forecast.errors import ConfigError
from forecast.model import OUTCOMES, Advancing, Continuing, Fitted, Model, Prediction, Task, kind_of, reach_of
from forecast.models import as_model, name_of
from forecast.panel.panel import Panel
from forecast.panel.transforms.base import Transform
from forecast.panel.transforms.chain import Chain, fit_chain
from forecast.paths import sample_paths
from forecast.transforms import as_transforms
from forecast.wrapped import Wrapped

if TYPE_CHECKING:
    from forecast.training.settings import Training

Float = npt.NDArray[np.float64]
Int = npt.NDArray[np.int64]

OPTIONS = ("non_negative", "integer", "bias_corrected")
NODES = 9  # of the Gauss-Hermite rule that means are taken by
TAIL = 0.1  # the probability whose quantile, and its mirror image, tell how wide a forecast is


@dataclass(frozen=True)
class Transformed:
    """Any model, its target transformed series by series and its forecasts brought back.

    The transforms learn from training rows: rows that may be held out for validation teach them nothing. A series that
    is new when forecasting is transformed by what its own rows teach.

    Args:
        model: a name under conf/model or conf/baseline, or an object of :mod:`forecast.models`.
        transforms: names, mappings (``{"name": "boxcox", "shift": 1.0}``) or objects, in the order in which they are
            applied, see :mod:`forecast.transforms`: ``log1p``, ``asinh``, ``boxcox``, ``yeo_johnson``,
            ``difference``, ``seasonal_difference``, ``standard``, ``robust``, ``mean_absolute``, ``min_max``,
            ``quantile``.
        non_negative: forecasts and quantiles below 0 are 0.
        integer: forecasts and quantiles are rounded to whole numbers.
        bias_corrected: point forecasts are means. Without, they are what comes back of the model's own, which after a
            logarithm is the median, and lower. The mean is that of a normal distribution in transformed units, as wide
            as the model's quantiles say, brought back by Gauss-Hermite quadrature.

    Quantiles come back as they are through all that keeps order; how through differences, is told by
    :class:`~forecast.panel.transforms.lagged.FittedDifference`. Raises ``ConfigError`` for what cannot be used.

    >>> from forecast import Forecaster, Transformed
    >>> Forecaster(Transformed("theta", transforms=["log1p"], non_negative=True), h=7)
    Forecaster(theta, h=7, freq=None, not fitted)
    """

    model: Any
    transforms: Any = ()
    non_negative: bool = False
    integer: bool = False
    bias_corrected: bool = False

    def __post_init__(self) -> None:
        if getattr(self.model, "fills_itself", False) or hasattr(self.model, "intervals"):
            raise ConfigError("Transformed: the model has intervals already. Ask for those last: intervals='split'.")
        if isinstance(self.model, (Transformed, TransformedModel)):
            raise ConfigError("Transformed: the model is transformed already. Name all transforms in one list.")
        object.__setattr__(self, "transforms", as_transforms(self.transforms))
        for option in OPTIONS:
            object.__setattr__(self, option, truth(option, getattr(self, option)))

    @property
    def goes_by(self) -> str:
        """The name of its column: that of the model."""
        return self.model if isinstance(self.model, str) else name_of(self.model)

    def trained_by(self, training: Training, name: str) -> TransformedModel:
        """The same as a model whose nets train by ``training``."""
        inner = as_model(self.model, name, training)
        if getattr(inner, "needs_static", False):
            raise ConfigError(
                f"{name} forecasts series that have no rows, of which no transform learns. Use it without transforms."
            )
        options = {option: getattr(self, option) for option in OPTIONS}
        return TransformedModel(inner, self.transforms, name, **options)


def transformed(model: Any, config: Mapping[str, Any]) -> Any:
    """``model`` as ``config`` asks for by the keys ``transforms``, ``non_negative``, ``integer``, ``bias_corrected``.

    The model itself where it asks for nothing. Raises ``ConfigError``.
    """
    given = {key: config[key] for key in ("transforms", *OPTIONS) if key in config}
    wrapped = Transformed(model, **{key: value for key, value in given.items() if value is not None})
    asked = wrapped.transforms or any(getattr(wrapped, option) for option in OPTIONS)
    return wrapped if asked else model


@dataclass(frozen=True)
class Recipe:
    """What makes one transformed model another, as plain values."""

    model: str
    hyper_parameters: Mapping[str, Any] | None
    transforms: tuple[Mapping[str, Any], ...]
    options: Mapping[str, bool]


@dataclass(frozen=True)
class TransformedModel(Wrapped):
    """A transformed model with the training settings of its nets: satisfies :class:`forecast.model.Model`."""

    inner: Model
    transforms: tuple[Transform, ...]
    name: str = "transformed"
    non_negative: bool = False
    integer: bool = False
    bias_corrected: bool = False

    @property
    def kind(self) -> str:
        """The kind of values that it forecasts."""
        return "real" if self.transforms else kind_of(self.inner)

    @property
    def options(self) -> dict[str, bool]:
        """What becomes of the forecasts."""
        return {option: getattr(self, option) for option in OPTIONS}

    @property
    def spec(self) -> Recipe:
        """What tells it from other models, training settings aside."""
        return Recipe(*self.inner_recipe, tuple(t.facts() for t in self.transforms), self.options)

    def continued(self, fitted: Fitted) -> TransformedModel:
        """The same, the training of its model begun with the weights of ``fitted``, where it is one of a kind."""
        before = fitted.fitted if isinstance(fitted, FittedTransformed) else fitted
        return replace(self, inner=self.inner.continued(before)) if isinstance(self.inner, Continuing) else self

    def fit(self, panel: Panel, task: Task) -> FittedTransformed:
        """Fit the transforms on training rows and the model on the panel transformed.

        Raises ``DataError`` naming series and rows of values that a transform cannot take, ``ConfigError`` when means
        are asked of a net that forecasts the median alone.
        """
        kind = kind_of(self.inner)
        if self.transforms and kind in ("count", *OUTCOMES):
            raise ConfigError(
                f"{self.name}: its likelihood is for {kind} values, which transforms turn into other numbers. Leave "
                "them out, or use a likelihood of any number, student_t say."
            )
        tail = tail_of(self.inner, self.name) if self.bias_corrected else None
        specs = [transform.ready(task.season_length) for transform in self.transforms]
        cutoff = panel.last if isinstance(self.inner, LocalModel) else panel.last - held_out(panel, task)
        chain, bound = fit_chain(specs, panel, cutoff)
        return FittedTransformed(self.inner.fit(bound.panel, task), chain, self.non_negative, self.integer, tail)


def held_out(panel: Panel, task: Task) -> Int:
    """Rows at the end of each series that a model may hold out for validation, shape (S,): the most that any does."""
    most = np.clip(panel.lengths // 6, task.h, 10 * task.h) if task.val_size is None else task.val_size
    return np.where(panel.lengths > task.h + most, most, 0).astype(np.int64)


@dataclass(frozen=True)
class FittedTransformed:
    """A model fitted on a transformed panel, and the way back: satisfies :class:`forecast.model.Fitted`.

    ``non_negative`` and ``integer`` are those of :class:`Transformed`. ``tail`` is the probability whose quantile tells
    how wide forecasts are, for means; ``None`` for points as they are.
    """

    fitted: Fitted
    chain: Chain
    non_negative: bool = False
    integer: bool = False
    tail: float | None = None

    def predict(self, panel: Panel, h: int, probs: tuple[float, ...] = ()) -> Prediction:
        """Forecast ``h`` steps after the last row of each series, in the units of ``panel``; quantiles do not cross.

        Raises what the model raises, and ``DataError`` for values that a transform cannot take.
        """
        bound = self.chain.bound(panel)
        ends = () if self.tail is None else (self.tail, 1.0 - self.tail)
        asked = tuple(sorted({*probs, *ends}))
        made = self.fitted.predict(bound.panel, h, asked)
        nodes, shares = _normal_nodes() if ends else (np.empty(0), np.empty(0))
        around = made.point[..., None] + _deviation(made, asked, ends) * nodes
        point, carried = bound.back(made.point, np.concatenate([made.quantiles, around], axis=-1))
        if ends:
            mean = carried[..., len(asked) :] @ shares
            point = np.where(np.isfinite(mean), mean, point)
        quantiles = np.maximum.accumulate(carried[..., [asked.index(prob) for prob in probs]], axis=-1)
        told: dict[str, Any] = (
            {} if self.chain.specs else {"mean": made.mean, "shares": made.shares, "classes": made.classes}
        )
        return Prediction(self.shown(point), self.shown(quantiles), tuple(probs), made.reasons, **told)

    @property
    def reach(self) -> tuple[float, float]:
        """The probabilities between which the model has quantiles."""
        return reach_of(self.fitted)

    @property
    def discrete(self) -> bool:
        """Whether quantiles are whole numbers."""
        return self.integer or (not self.chain.specs and bool(getattr(self.fitted, "discrete", False)))

    @property
    def kind(self) -> str:
        """The kind of values that it forecasts."""
        return "real" if self.chain.specs else kind_of(self.fitted)

    def sample(self, panel: Panel, h: int, samples: int, seed: int | None = None) -> Float | None:
        """See :class:`forecast.model.Sampling`: futures of the model on the way back, so that none leaves what the
        transforms can give."""
        bound = self.chain.bound(panel)
        drawn = sample_paths(self.fitted, bound.panel, h, samples, seed)
        _, carried = bound.back(np.median(drawn, axis=1), drawn.transpose(0, 2, 1))
        return self.shown(carried.transpose(0, 2, 1))

    def shown(self, values: Float) -> Float:
        """Without negative numbers or fractions, if so asked. Order is kept."""
        if self.non_negative:
            values = np.maximum(values, 0.0)
        return np.rint(values) + 0.0 if self.integer else values  # + 0.0: no minus zero

    def advanced(self, panel: Panel, before: Panel | None = None) -> FittedTransformed:
        """The same, new series' transforms as their rows so far teach, and states after the last row of each series."""
        bound = self.chain.bound(panel)
        fitted = self.fitted.advanced(bound.panel) if isinstance(self.fitted, Advancing) else self.fitted
        return replace(self, fitted=fitted, chain=self.chain.joined_by(bound))

    def describe(self) -> dict[str, Any]:
        """What the model says of itself, the transforms with what they learned, and the options."""
        learned = [
            {**spec.facts(), **_summary(link.tables())}
            for spec, link in zip(self.chain.specs, self.chain.links, strict=True)
        ]
        options = {"non_negative": self.non_negative, "integer": self.integer, "bias_corrected": self.tail is not None}
        return {**self.fitted.describe(), "transforms": learned, **options}


def _summary(tables: Mapping[str, Float]) -> dict[str, dict[str, float]]:
    """Smallest, median and largest of the numbers of all series, table by table."""
    told = {}
    for key, table in tables.items():
        known = table[np.isfinite(table)] if table.ndim == 1 else np.empty(0)
        if known.size:
            least, middle, most = (float(value) for value in np.quantile(known, [0.0, 0.5, 1.0]))
            told[key] = {"min": least, "median": middle, "max": most}
    return told


def _deviation(made: Prediction, probs: tuple[float, ...], ends: tuple[float, ...]) -> Float:
    """The standard deviation (S, h, 1) of the normal distribution whose quantiles at ``ends`` are as far apart."""
    if not ends:
        return np.zeros((*made.point.shape, 1))
    low, high = (made.quantiles[..., probs.index(end)] for end in ends)
    deviation: Float = (high - low) / (2.0 * NormalDist().inv_cdf(ends[1]))
    return deviation[..., None]


def _normal_nodes() -> tuple[Float, Float]:
    """Places and weights with which the mean of a function of a standard normal number is a weighted sum."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(NODES)
    return nodes, weights / weights.sum()


def tail_of(model: Model, name: str) -> float:
    """A probability below one half whose quantile, and its mirror image, ``model`` can tell.

    A net trained on quantiles can tell none beyond those, any other model all. Raises ``ConfigError`` where that is too
    little to know how wide forecasts are.
    """
    members = [member for member, _ in model.models().values()] if isinstance(model, EnsembleModel) else [model]
    trained = [tuple(getattr(getattr(member, "architecture", None), "quantiles", ())) for member in members]
    tail = max([TAIL, *(max(min(q), 1.0 - max(q)) for q in trained if q)])
    if tail > 0.45:
        raise ConfigError(
            f"{name}: bias_corrected needs to know how wide forecasts are, and the net's quantiles do not reach to "
            "both sides of the median. Add some, quantiles=(0.1, 0.9) say, or use a net without."
        )
    return float(tail)
