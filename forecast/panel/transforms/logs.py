"""Logarithms and the inverse hyperbolic sine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from forecast.panel.panel import Panel
from forecast.panel.segments import known_rows
from forecast.panel.transforms.base import LARGEST, Fitted, Float, Transform, check_least, finite, per_series

TINY = float(np.finfo(np.float64).tiny)


@dataclass(frozen=True)
class Log1p(Transform):
    """``log(1 + y)``, for values of at least 0: counts, sales. It depends on the unit of y."""

    name: ClassVar[str] = "log1p"

    def fit(self, panel: Panel) -> FittedLog1p:
        """There is nothing to learn, but negative values raise ``DataError``."""
        check_least(panel, self.name, 0.0)
        return FittedLog1p()


@dataclass(frozen=True)
class FittedLog1p(Fitted):
    """``log(1 + y)`` and ``exp(z) - 1``."""

    def forward(self, panel: Panel) -> Panel:
        """Logarithms. Raises ``DataError`` for negative values."""
        check_least(panel, Log1p.name, 0.0)
        return replace(panel, values=np.log1p(panel.values))

    def inverse(self, values: Float, panel: Panel) -> Float:
        """Back from logarithms; forecasts may come out below 0, but never at -1 or less."""
        with np.errstate(over="ignore"):
            return finite(np.expm1(values))


@dataclass(frozen=True)
class Asinh(Transform):
    """``asinh(y / unit)``: a logarithm where values are large, linear around zero, of any sign.

    ``unit`` is learned: the median size of a series' values that are not 0. So a series in another unit of measurement
    is the same one transformed.
    """

    name: ClassVar[str] = "asinh"

    def fit(self, panel: Panel) -> FittedAsinh:
        """The unit of each series; 1 where there are but zeros."""
        known = known_rows(panel.values, panel.offsets)
        sizes = known_rows(np.where(panel.values != 0.0, np.abs(panel.values), np.nan), panel.offsets)
        unit = sizes.ascending().quantiles(np.array([0.5]))[:, 0]
        return FittedAsinh(np.where((known.counts > 0) & np.isnan(unit), 1.0, np.maximum(unit, TINY)))


@dataclass(frozen=True)
class FittedAsinh(Fitted):
    """Units, shape (S,)."""

    NEUTRAL: ClassVar[Mapping[str, float]] = {"unit": 1.0}

    unit: Float

    def forward(self, panel: Panel) -> Panel:
        """The inverse hyperbolic sine."""
        unit = np.repeat(self.unit, panel.lengths)
        with np.errstate(over="ignore"):
            ratio = np.clip(panel.values / unit, -LARGEST, LARGEST)
        return replace(panel, values=np.arcsinh(ratio))

    def inverse(self, values: Float, panel: Panel) -> Float:
        """The hyperbolic sine."""
        with np.errstate(over="ignore"):
            return finite(np.sinh(values) * per_series(self.unit, values))

    def sound(self) -> bool:
        """Units are positive."""
        return super().sound() and not bool((self.unit <= 0.0).any())
