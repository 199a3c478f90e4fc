"""What every model is: neural nets, statistical baselines and ensembles all satisfy these protocols."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from forecast.errors import ConfigError, DataError, Fault, ForecastWarning, some
from forecast.panel.panel import Panel

Float = npt.NDArray[np.float64]
REACH = (0.001, 0.999)


@dataclass(frozen=True)
class Task:
    """What is asked of a model.

    Attributes:
        h: steps to forecast.
        season_length: the season in steps, 1 for none.
        val_size: rows cut from the end of each series for validation; ``None`` lets the model choose.
        seed: everything random derives from it.
        progress: whether long work may draw a progress bar or print progress lines.
    """

    h: int
    season_length: int = 1
    val_size: int | None = None
    seed: int = 0
    progress: bool = True


@dataclass(frozen=True)
class Prediction:
    """Forecasts of every series of a panel, in original units.

    Attributes:
        point: shape (S, h).
        quantiles: shape (S, h, Q), non-decreasing along Q; one slice per entry of ``probs``.
        probs: the probabilities of ``quantiles``, ascending.
        reasons: series position -> why another model than the one asked for made its forecast.
        mean: the expected values, shape (S, h), of models that tell them apart from the point forecast.
        shares: probabilities of ``classes``, shape (S, h, C), of models that forecast events or classes.
        classes: the values that ``shares`` are of; of an event 1 alone.
    """

    point: Float
    quantiles: Float
    probs: tuple[float, ...] = ()
    reasons: Mapping[int, str] = field(default_factory=dict)
    mean: Float | None = None
    shares: Float | None = None
    classes: tuple[float, ...] = ()


def ascending(quantiles: Float) -> Float:
    """``quantiles`` (…, Q) non-decreasing along Q, each the largest up to it; the very same array where it is so."""
    done = bool((quantiles[..., 1:] >= quantiles[..., :-1]).all())  # not so with NaN
    return quantiles if done else np.maximum.accumulate(quantiles, axis=-1)


@runtime_checkable
class Fitted(Protocol):
    """A model that can forecast. It holds no history: that comes with the panel."""

    def predict(self, panel: Panel, h: int, probs: tuple[float, ...] = ()) -> Prediction:
        """Forecast ``h`` steps after the last row of each series, with quantiles at ``probs``.

        A series' forecast depends on that series alone.
        """
        ...

    def describe(self) -> dict[str, Any]:
        """Plain facts (JSON types) for ``summary()`` and the report."""
        ...


@runtime_checkable
class Sampling(Fitted, Protocol):
    """A fitted model that may draw futures of its own; of any other they are made of its quantiles."""

    def sample(self, panel: Panel, h: int, samples: int, seed: int | None = None) -> Float | None:
        """``samples`` futures of ``h`` steps of each series, (S, samples, h), see :func:`forecast.paths.sample_paths`.

        ``None`` when the model has none.
        """
        ...


@runtime_checkable
class Advancing(Fitted, Protocol):
    """A fitted model that remembers the series it has read, so that new rows alone bring it up to date."""

    def advanced(self, panel: Panel, before: Panel | None = None) -> Fitted:
        """The same model as it stands after the last row of each series of ``panel``.

        ``before`` is a panel that it may have read already: all its rows are in ``panel``, with others after them.
        """
        ...


@runtime_checkable
class Model(Protocol):
    """A model to be fitted: hyper-parameters only, never changed by fitting."""

    def fit(self, panel: Panel, task: Task) -> Fitted:
        """Learn from ``panel`` and return the fitted model."""
        ...


@runtime_checkable
class Continuing(Model, Protocol):
    """A model whose training can begin with the weights of one fitted before."""

    def continued(self, fitted: Fitted) -> Model:
        """The same model, its training begun with the weights of ``fitted`` where those fit, else anew."""
        ...


def reach_of(fitted: Fitted) -> tuple[float, float]:
    """The probabilities between which ``fitted`` has quantiles: it may say so by ``reach``."""
    low, high = getattr(fitted, "reach", REACH)
    return float(low), float(high)


OUTCOMES = ("event", "class")


def kind_of(model: object) -> str:
    """The kind of values that ``model``, fitted or not, forecasts, one of :data:`forecast.distributions.KINDS`.

    It may say so by ``kind``; else any number.
    """
    kind = getattr(model, "kind", "real")
    return kind if isinstance(kind, str) else "real"


ROLES = {
    "static": "static features",
    "hist": "covariates known up to the cutoff",
    "futr": "covariates known into the future",
}


def check_features(models: Mapping[str, Model], panel: Panel) -> None:
    """Warn once, before training, about the nets that make no use of covariates that the panel has.

    A model says by ``reads_static``, ``reads_hist`` and ``reads_futr`` whether it does; one that does not say, a
    baseline, is known to read none.
    Raises ``ConfigError`` for models that have nothing else to go by (``needs_static``) where there are none.
    """
    lost = [name for name, model in models.items() if getattr(model, "needs_static", False)]
    if panel.static is None and lost:
        raise ConfigError(
            f"{', '.join(lost)}: forecasts are made from static features alone, and there are none. Pass static_df, a "
            "table with a row for each series (data.static=FILE at the command line), or name columns of the data in "
            "stat_exog; or use another model."
        )
    unused = []
    for role, meaning in ROLES.items():
        table = getattr(panel, role)
        idle = [name for name, model in models.items() if getattr(model, f"reads_{role}", None) is False]
        if table is not None and idle:
            unused.append(f"{', '.join(idle)} cannot use {meaning} ({some(table.names)})")
    if unused:
        warnings.warn(f"{'; '.join(unused)} and will be trained without.", ForecastWarning, stacklevel=3)


def tell_short(panel: Panel, fitted: Mapping[str, Fitted]) -> None:
    """Warn about series with fewer rows than the window of some model, which says by ``input_size`` how many it reads.

    They are padded with unknown rows, so less is known of them than the model could make use of.
    """
    sizes = {
        name: size
        for name, model in fitted.items()
        if (size := getattr(model, "input_size", None)) is not None and not getattr(model, "takes_newborn", False)
    }
    if not sizes or not len(panel):
        return
    name = max(sizes, key=sizes.__getitem__)
    short = np.flatnonzero((panel.lengths < sizes[name]) & (panel.lengths > 0))
    if short.size:
        warnings.warn(
            f"{short.size} of {len(panel)} series have fewer rows than the input_size={sizes[name]} of {name} and are "
            f"padded with unknown ones: {some(panel.ids[short])}. A smaller input_size needs no padding.",
            ForecastWarning,
            stacklevel=3,
        )


def check_newborn(panel: Panel, fitted: Mapping[str, Fitted]) -> None:
    """Raise ``DataError`` naming the series without any row when some model needs rows to forecast from.

    A model that does not says so by ``takes_newborn``.
    """
    newborn = np.flatnonzero(panel.lengths == 0)
    unable = [name for name, model in fitted.items() if not getattr(model, "takes_newborn", False)]
    if newborn.size and unable:
        problem = f"there are no rows to forecast from, and {', '.join(unable)} cannot do without"
        remedy = "Take its row out of static_df, or fit cold_start alone."
        raise DataError([Fault("static_df", problem, remedy, panel.ids[at]) for at in newborn.tolist()])
