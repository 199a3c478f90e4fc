"""Units common to all series of a panel, for models that know nothing of a series' own level."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from forecast.errors import ConfigError

Float = npt.NDArray[np.float64]

LARGEST_RATIO, LARGEST, TINY = 1e300, 1e308, 1e-300


@dataclass(frozen=True)
class CommonUnits:
    """``(asinh(y / size) - center) / spread``: ratios where values are large, differences around zero, any sign.

    The same for every series. Back in original units values stay within e times the range ``low`` … ``high`` that was
    there in training (in units of the inverse hyperbolic sine), and do not change sign when nothing there did.
    """

    size: float
    center: float
    spread: float
    low: float
    high: float

    def forward(self, values: Float) -> Float:
        """From original units; NaN stays NaN."""
        return (_asinh(values, self.size) - self.center) / self.spread

    def inverse(self, z: Float) -> Float:
        """To original units."""
        least = min(self.low - 1.0, 0.0) if self.low < 0.0 else max(self.low - 1.0, 0.0)
        most = max(self.high + 1.0, 0.0) if self.high > 0.0 else min(self.high + 1.0, 0.0)
        farthest = float(np.arcsinh(LARGEST / max(self.size, 1.0)))
        bound = np.clip([least, most], -farthest, farthest)
        result: Float = np.sinh(np.clip(z * self.spread + self.center, *bound)) * self.size
        return result


def _asinh(values: Float, size: float) -> Float:
    """The inverse hyperbolic sine of ``values / size``, which is not let overflow."""
    most = min(LARGEST_RATIO * size, LARGEST)
    result: Float = np.arcsinh(np.clip(values, -most, most) / size)
    return result


def fit_common(values: Float) -> CommonUnits:
    """Learn from ``values``, at least one of them known: half of the values that are not 0 are below ``size`` without
    their sign; ``center`` and ``spread`` are median and mean absolute deviation after the inverse hyperbolic sine."""
    known = np.sort(values[np.isfinite(values)])
    sizes = np.abs(known[known != 0.0])
    size = max(float(np.sort(sizes)[(len(sizes) - 1) // 2]), TINY) if sizes.size else 1.0
    u = _asinh(known, size)
    center = float(u[(len(u) - 1) // 2])
    spread = float(np.abs(u - center).mean())
    return CommonUnits(size, center, spread if spread > 1e-12 else 1.0, float(u[0]), float(u[-1]))


def check_units(facts: Mapping[str, Any]) -> CommonUnits:
    """Units that came from elsewhere. Raises ``ConfigError`` unless they are what :func:`fit_common` gives."""
    values = [facts.get(f.name) for f in fields(CommonUnits)]
    if len(facts) != len(values) or not all(isinstance(v, float) and math.isfinite(v) for v in values):
        raise ConfigError(f"units {dict(facts)!r}: five finite numbers are needed")
    units = CommonUnits(**facts)
    if units.size < TINY or units.spread <= 0.0 or not units.low <= units.center <= units.high:
        raise ConfigError(f"units {dict(facts)!r} out of range")
    return units
