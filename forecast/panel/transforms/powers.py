"""Power transforms, their exponents learned: Box-Cox for positive values, Yeo-Johnson for any."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from forecast.errors import ConfigError, printable
from forecast.panel.panel import Panel
from forecast.panel.segments import Rows, known_rows
from forecast.panel.transforms.base import Fitted, Float, Transform, check_least, check_number, finite, per_series
from forecast.panel.transforms.likelihood import bent, best_exponents

# Between the smallest and the largest value of a series a power may lose this many digits of float64's sixteen …
DIGITS = 4.0
# … and its logarithm may grow to this, so that powers and their squares do not overflow.
LARGEST_LOG = 300.0
# A negative exponent has a largest power, which belongs to infinity; forecasts stay this far, relatively, below it.
POLE = 1e-4
WIDEST = 10.0


def _check_bounds(name: str, bounds: object) -> tuple[float, float]:
    """Two ascending numbers. Raises ``ConfigError`` otherwise."""
    if not isinstance(bounds, (list, tuple)) or len(bounds) != 2:
        raise ConfigError(
            f"{name}: bounds={printable(bounds)} must be two numbers, the least and the largest exponent."
        )
    for value in bounds:
        check_number(name, "bounds", value, -WIDEST, WIDEST)
    if not bounds[0] <= bounds[1]:
        raise ConfigError(f"{name}: bounds={printable(bounds)} must ascend.")
    return float(bounds[0]), float(bounds[1])


def _exponents(logs: Rows, bounds: tuple[float, float], mirrored: bool) -> Float:
    """The likeliest exponent of each series among those within ``bounds`` that keep its values apart in float64."""
    loss = DIGITS * np.log(10.0)
    above = np.maximum(np.nan_to_num(logs.largest()), 1e-12)
    below = np.maximum(np.nan_to_num(-logs.smallest()), 1e-12)
    low, high = -loss / above, LARGEST_LOG / above
    if mirrored:  # negative values are bent by 2 - exponent
        low, high = np.maximum(low, 2.0 - LARGEST_LOG / below), np.minimum(high, 2.0 + loss / below)
    else:
        low, high = np.maximum(low, -LARGEST_LOG / below), np.minimum(high, loss / below)
    # Where both ends of the range of floats meet no exponent but 1 will do.
    low, high = np.where(low > high, 1.0, low), np.where(low > high, 1.0, high)
    low, high = np.clip(low, *bounds), np.clip(high, *bounds)
    return best_exponents(logs, low, high, mirrored, bounds[1] - bounds[0])


@dataclass(frozen=True)
class BoxCox(Transform):
    """``((y / unit) ** exponent - 1) / exponent``, or the logarithm for exponent 0, of values above 0.

    The exponent of each series is the likeliest between ``bounds`` (Box and Cox 1964), ``unit`` its geometric mean,
    which makes a series in another unit of measurement the same one transformed. ``shift`` is added to y before; 1,
    say, for series with zeros.
    """

    name: ClassVar[str] = "boxcox"

    bounds: tuple[float, float] = (-1.0, 2.0)
    shift: float = 0.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "bounds", _check_bounds(self.name, self.bounds))
        check_number(self.name, "shift", self.shift, 0.0, 1e300)

    def fit(self, panel: Panel) -> FittedBoxCox:
        """Unit and exponent of each series. Raises ``DataError`` for values that are not above 0."""
        self.check(panel)
        rows = known_rows(panel.values, panel.offsets)
        rows = rows.of(rows.values + self.shift)
        unit = np.exp(rows.of(np.log(rows.values)).means())
        logs = rows.of(np.log(rows.values / rows.spread_out(unit)))
        return FittedBoxCox(_exponents(logs, self.bounds, False), unit, self)

    def check(self, panel: Panel) -> None:
        """Raise ``DataError`` naming the series with values that have no logarithm."""
        check_least(panel, self.name, -self.shift, above=True)


@dataclass(frozen=True)
class FittedBoxCox(Fitted):
    """Exponents and units, shape (S,) each."""

    NEUTRAL: ClassVar[Mapping[str, float]] = {"exponent": 1.0, "unit": 1.0}

    exponent: Float
    unit: Float
    spec: BoxCox

    def forward(self, panel: Panel) -> Panel:
        """Powers. Raises ``DataError`` for values that are not above 0."""
        self.spec.check(panel)
        unit, exponent = np.repeat(self.unit, panel.lengths), np.repeat(self.exponent, panel.lengths)
        return replace(panel, values=finite(bent(np.log((panel.values + self.spec.shift) / unit), exponent, False)))

    def inverse(self, values: Float, panel: Panel) -> Float:
        """Roots; what lies beyond the largest power there can be comes back as a large number."""
        with np.errstate(over="ignore"):
            ratio = np.exp(_logs(values, per_series(self.exponent, values)))
            return finite(ratio * per_series(self.unit, values)) - self.spec.shift

    def sound(self) -> bool:
        """Units are positive."""
        return super().sound() and not bool((self.unit <= 0.0).any())


@dataclass(frozen=True)
class YeoJohnson(Transform):
    """Box-Cox of ``1 + |y|`` for values of any sign, negative ones bent the other way (Yeo and Johnson 2000).

    The exponent of each series is the likeliest between ``bounds``. It depends on the unit of y: put ``standard`` or
    ``mean_absolute`` before it where that should not matter.
    """

    name: ClassVar[str] = "yeo_johnson"

    bounds: tuple[float, float] = (-1.0, 3.0)

    def __post_init__(self) -> None:
        object.__setattr__(self, "bounds", _check_bounds(self.name, self.bounds))

    def fit(self, panel: Panel) -> FittedYeoJohnson:
        """The exponent of each series."""
        rows = known_rows(panel.values, panel.offsets)
        logs = rows.of(_signed_logs(rows.values))
        return FittedYeoJohnson(_exponents(logs, self.bounds, True))


@dataclass(frozen=True)
class FittedYeoJohnson(Fitted):
    """Exponents, shape (S,)."""

    NEUTRAL: ClassVar[Mapping[str, float]] = {"exponent": 1.0}

    exponent: Float

    def forward(self, panel: Panel) -> Panel:
        """Powers."""
        logs, exponent = _signed_logs(panel.values), np.repeat(self.exponent, panel.lengths)
        return replace(panel, values=finite(bent(logs, exponent, True)))

    def inverse(self, values: Float, panel: Panel) -> Float:
        """Roots; what lies beyond the largest power there can be comes back as a large number."""
        exponent = per_series(self.exponent, values)
        upper, lower = np.maximum(values, 0.0), np.maximum(-values, 0.0)
        with np.errstate(over="ignore"):
            result = np.where(values >= 0.0, np.expm1(_logs(upper, exponent)), -np.expm1(_logs(lower, 2.0 - exponent)))
        return finite(np.where(np.isnan(values), np.nan, result))


def _signed_logs(values: Float) -> Float:
    """Logarithms of ``1 + |y|`` with the sign of y."""
    return np.sign(values) * np.log1p(np.abs(values))


def _logs(powers: Float, exponent: Float) -> Float:
    """What :func:`~forecast.panel.transforms.likelihood.power` makes ``powers`` of; ends where there is nothing."""
    divisor = np.where(exponent == 0.0, 1.0, exponent)
    least = np.where(exponent < 0.0, POLE, 0.0) - 1.0
    with np.errstate(divide="ignore", over="ignore"):
        logs = np.log1p(np.maximum(exponent * powers, least)) / divisor
    return np.where(exponent == 0.0, powers, logs)
