"""Every transform by name."""

from __future__ import annotations

from forecast.panel.transforms.affine import MeanAbsolute, MinMax, Robust, Standard
from forecast.panel.transforms.base import Transform
from forecast.panel.transforms.lagged import Difference, SeasonalDifference
from forecast.panel.transforms.logs import Asinh, Log1p
from forecast.panel.transforms.powers import BoxCox, YeoJohnson
from forecast.panel.transforms.quantile import Quantile

CLASSES: tuple[type[Transform], ...] = (
    Log1p,
    Asinh,
    BoxCox,
    YeoJohnson,
    Difference,
    SeasonalDifference,
    Standard,
    Robust,
    MeanAbsolute,
    MinMax,
    Quantile,
)
TRANSFORMS = {cls.name: cls for cls in CLASSES}
