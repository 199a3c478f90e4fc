"""Scales: each series less its centre, over its spread."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from forecast.panel.panel import Panel
from forecast.panel.segments import Rows, known_rows
from forecast.panel.transforms.base import Fitted, Float, Transform, finite, per_series

FLAT = 1e-14  # variation less than this share of the level is rounding


@dataclass(frozen=True)
class Scale(Transform):
    """``(y - center) / spread``; the subclasses say what those are. What does not vary is divided by its size."""

    def fit(self, panel: Panel) -> FittedScale:
        """Centre and spread of each series."""
        rows = known_rows(panel.values, panel.offsets)
        center, spread = self.of(rows)
        size = np.maximum(np.abs(rows.largest()), np.abs(rows.smallest()))
        flat = spread <= size * FLAT
        return FittedScale(center, np.where(flat, np.where(size > 0.0, size, 1.0), spread))

    @abstractmethod
    def of(self, rows: Rows) -> tuple[Float, Float]:
        """Centre and spread of each series, shape (S,) each; NaN of an empty one."""


@dataclass(frozen=True)
class FittedScale(Fitted):
    """Centres and spreads, shape (S,) each."""

    NEUTRAL: ClassVar[Mapping[str, float]] = {"center": 0.0, "spread": 1.0}

    center: Float
    spread: Float

    def forward(self, panel: Panel) -> Panel:
        """In spreads from the centre."""
        center, spread = np.repeat(self.center, panel.lengths), np.repeat(self.spread, panel.lengths)
        with np.errstate(over="ignore"):
            return replace(panel, values=finite((panel.values - center) / spread))

    def inverse(self, values: Float, panel: Panel) -> Float:
        """Back from spreads."""
        with np.errstate(over="ignore"):
            return finite(values * per_series(self.spread, values) + per_series(self.center, values))

    def sound(self) -> bool:
        """Spreads are positive."""
        return super().sound() and not bool((self.spread <= 0.0).any())


@dataclass(frozen=True)
class Standard(Scale):
    """Each series less its mean, over its standard deviation (divisor n)."""

    name: ClassVar[str] = "standard"

    def of(self, rows: Rows) -> tuple[Float, Float]:
        """Mean and standard deviation."""
        center = rows.means()
        deviation = rows.of(_apart(rows, center))
        largest = deviation.largest()  # squares of large numbers overflow, those of small ones vanish
        unit = np.where(largest > 0.0, largest, 1.0)
        return center, unit * np.sqrt(rows.of((deviation.values / rows.spread_out(unit)) ** 2).means())


@dataclass(frozen=True)
class Robust(Scale):
    """Each series less its median, over its interquartile range: a few wild values change neither.

    Where half of the values are equal the mean absolute deviation stands in for the range.
    """

    name: ClassVar[str] = "robust"

    def of(self, rows: Rows) -> tuple[Float, Float]:
        """Median and interquartile range."""
        quartiles = rows.ascending().quantiles(np.array([0.25, 0.5, 0.75]))
        center, spread = quartiles[:, 1], finite(quartiles[:, 2] - quartiles[:, 0])
        return center, np.where(spread <= np.abs(center) * FLAT, rows.of(_apart(rows, center)).means(), spread)


@dataclass(frozen=True)
class MeanAbsolute(Scale):
    """Each series over the mean of its absolute values: signs, ratios and zero stay."""

    name: ClassVar[str] = "mean_absolute"

    def of(self, rows: Rows) -> tuple[Float, Float]:
        """Zero and the mean absolute value."""
        size = rows.of(np.abs(rows.values)).means()
        return np.where(np.isnan(size), np.nan, 0.0), size


@dataclass(frozen=True)
class MinMax(Scale):
    """Each series from 0, its smallest value, to 1, its largest; later rows may lie outside."""

    name: ClassVar[str] = "min_max"

    def of(self, rows: Rows) -> tuple[Float, Float]:
        """The smallest value and the range."""
        low = rows.smallest()
        return low, finite(rows.largest() - low)


def _apart(rows: Rows, center: Float) -> Float:
    """How far each value is from the centre of its series."""
    return finite(np.abs(rows.values - rows.spread_out(center)))
