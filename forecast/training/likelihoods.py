"""Nets with a likelihood: what values it needs, and forecasts read off its parameters."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from forecast.distributions import Likelihood, likelihood
from forecast.errors import ConfigError, DataError, Fault, ForecastWarning, some
from forecast.model import Prediction
from forecast.panel.panel import Panel

if TYPE_CHECKING:
    from forecast.training.neural import FittedNeural

Float = npt.NDArray[np.float64]
Bool = npt.NDArray[np.bool_]

MOST_CLASSES = 100
POINTS = {"count": "mean", "event": "mean", "class": "mode"}  # of the others the median


def check_values(panel: Panel, name: str) -> None:
    """Raise ``DataError``, naming values and series, when ``panel`` has values that the likelihood ``name`` cannot,
    ``ConfigError`` when a policy for missing values or outliers would put some in."""
    chosen = likelihood(name, classes=2)
    values = panel.values
    made = _made_up(panel, chosen.kind)
    if made:
        raise ConfigError(
            f"likelihood={name!r} is for {chosen.kind} values, and {made} puts other numbers among them. Use "
            "missing='mask' and outliers=None: nets are told what is unknown, and likelihoods know of outliers."
        )
    known = np.isfinite(values)
    whole = known & (values == np.floor(values))
    allowed, what = {
        "real": (known, "numbers"),
        "positive": (known & ((values >= 0.0) if chosen.at_zero else (values > 0.0)), "positive numbers"),
        "count": (whole & (values >= 0.0), "whole numbers from 0"),
        "event": (whole & ((values == 0.0) | (values == 1.0)), "0 and 1"),
        "class": (whole, "whole numbers, one for each class"),
    }[chosen.kind]
    wrong = np.flatnonzero(known & ~allowed)
    if wrong.size:
        series = panel.ids[np.unique(panel.series[wrong])]
        found = ", ".join(f"{value:g}" for value in np.unique(values[wrong])[:5])
        problem = f"likelihood={name!r} is for {what}, and {wrong.size} values are none ({found}), in {some(series)}"
        remedy = "Use another likelihood (student_t takes any number), or mend the values."
        raise DataError(Fault(panel.schema.target_col, problem, remedy))


def _made_up(panel: Panel, kind: str) -> str:
    """The policy by which values may have been put in that are none of ``kind``."""
    schema = panel.schema
    filled = {"count": ("interpolate",), "event": ("interpolate",), "class": ("interpolate", "zero")}.get(kind, ())
    if schema.missing in filled:
        return f"missing={schema.missing!r}"
    return f"outliers={schema.outliers!r}" if filled and schema.outliers else ""


def classes_of(panel: Panel) -> tuple[float, ...]:
    """The classes that occur in ``panel``, ascending. Raises ``ConfigError`` for one alone, or for very many."""
    found = np.unique(panel.values[np.isfinite(panel.values)])
    if not 2 <= found.size <= MOST_CLASSES:
        raise ConfigError(
            f"likelihood='categorical' needs 2 to {MOST_CLASSES} classes, and {found.size} occur in the training rows. "
            "For numbers use another likelihood."
        )
    return tuple(found.tolist())


def coded(panel: Panel, classes: tuple[float, ...]) -> Panel:
    """``panel`` with the place of each class instead of the class; the panel itself without classes.

    A class that did not occur in training is taken for unknown, as a missing row is: nothing is known of it.
    """
    if not classes:
        return panel
    labels = np.array(classes)
    places = np.clip(np.searchsorted(labels, panel.values), 0, len(labels) - 1)
    met = labels[places] == panel.values
    new = np.isfinite(panel.values) & ~met
    if new.any():
        found, series = np.unique(panel.values[new]), panel.ids[np.unique(panel.series[new])]
        warnings.warn(
            f"classes {', '.join(f'{value:g}' for value in found[:5])} did not occur in training and are taken for "
            f"unknown, in {some(series)}. Fit again to learn them.",
            ForecastWarning,
            stacklevel=4,
        )
    return replace(panel, values=np.where(met, places.astype(np.float64), np.nan))


def distributed(fitted: FittedNeural, panel: Panel, h: int, probs: tuple[float, ...]) -> Prediction:
    """Forecasts of a net with a likelihood: its point, mean, quantiles and, of events and classes, probabilities.

    The point is the median; of counts and events, where that says little, the mean, of classes the most probable.
    """
    chosen, classes = fitted.facts.distribution, fitted.facts.classes
    if chosen is None:
        raise TypeError("the net has no likelihood")
    if not classes:  # of classes a new one counts as unknown
        check_values(panel, fitted.facts.likelihood or "")
    affine, windows = fitted.windows(coded(panel, classes))
    count = len(panel)
    numbers = np.empty((count, h, 2 + len(probs)))
    shares = np.empty((count, h, len(classes) or 1)) if chosen.kind in ("event", "class") else None
    with torch.inference_mode():
        for rows, scaled in windows:
            raw = fitted.net(scaled.batch)[:, :h]
            told = _numbers(chosen, raw, probs)
            if chosen.kind == "real":
                told = scaled.restore(told)
            numbers[rows] = told.numpy()
            if shares is not None:
                shares[rows] = chosen.shares(raw).numpy()
    if chosen.kind == "real":
        numbers = affine.inverse(numbers)
    quantiles = np.maximum.accumulate(numbers[..., 2:], axis=-1)
    point, mean = numbers[..., 0], numbers[..., 1]
    if not classes:
        return Prediction(point, quantiles, probs, mean=mean, shares=shares, classes=() if shares is None else (1.0,))
    labels, places = np.array(classes), numbers.astype(np.int64)
    return Prediction(labels[places[..., 0]], labels[quantiles.astype(np.int64)], probs, shares=shares, classes=classes)


def _numbers(chosen: Likelihood, raw: Tensor, probs: tuple[float, ...]) -> Tensor:
    """Point, mean and quantiles (b, h, 2 + Q) in the units of the likelihood."""
    mean = chosen.mean(raw)
    levels = torch.tensor((0.5, *probs), dtype=torch.float64)
    found = chosen.quantile(raw.unsqueeze(-2), levels)
    kind = POINTS.get(chosen.kind, "median")
    point = {"mean": mean, "median": found[..., 0], "mode": raw.argmax(-1).to(mean.dtype)}[kind]
    return torch.cat([point.unsqueeze(-1), mean.unsqueeze(-1), found[..., 1:].to(mean.dtype)], -1)
