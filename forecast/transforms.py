"""Every transform of the target, and the ways to name one: ``log1p``, ``{"name": "boxcox", "shift": 1.0}``, an object.

``from forecast.transforms import BoxCox, SeasonalDifference`` gives the classes, for :class:`forecast.Transformed`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from forecast.errors import ConfigError, printable
from forecast.models import build, plain
from forecast.panel.transforms.affine import MeanAbsolute, MinMax, Robust, Standard
from forecast.panel.transforms.base import Transform
from forecast.panel.transforms.lagged import Difference, SeasonalDifference
from forecast.panel.transforms.logs import Asinh, Log1p
from forecast.panel.transforms.powers import BoxCox, YeoJohnson
from forecast.panel.transforms.quantile import Quantile

__all__ = [
    "Asinh",
    "BoxCox",
    "Difference",
    "Log1p",
    "MeanAbsolute",
    "MinMax",
    "Quantile",
    "Robust",
    "SeasonalDifference",
    "Standard",
    "TRANSFORMS",
    "Transform",
    "YeoJohnson",
    "as_transforms",
]

CLASSES: tuple[type[Transform], ...] = (
    *(Log1p, Asinh, BoxCox, YeoJohnson),
    *(Difference, SeasonalDifference),
    *(Standard, Robust, MeanAbsolute, MinMax, Quantile),
)
TRANSFORMS = {cls.name: cls for cls in CLASSES}
MOST_TRANSFORMS = 20


def as_transforms(specs: Any) -> tuple[Transform, ...]:
    """Transforms from their names, mappings with a ``name`` and settings, or objects.

    >>> as_transforms(["log1p", {"name": "seasonal_difference", "season": 7}])
    (Log1p(), SeasonalDifference(season=7))

    Raises ``ConfigError`` naming what is unknown.
    """
    if isinstance(specs, (str, Mapping, Transform)):
        specs = (specs,)
    if not isinstance(specs, Sequence) or len(specs) > MOST_TRANSFORMS:
        raise ConfigError(f"transforms={printable(specs)} must be a list of at most {MOST_TRANSFORMS} transforms.")
    return tuple(_as_transform(spec) for spec in specs)


def _as_transform(spec: Any) -> Transform:
    if isinstance(spec, Transform):
        return spec
    values = dict(spec) if isinstance(spec, Mapping) else {"name": spec}
    name = values.pop("name", None)
    if not isinstance(name, str) or name not in TRANSFORMS:
        near = get_close_matches(str(name), list(TRANSFORMS), n=1, cutoff=0.5)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        example = "log1p, or {name: seasonal_difference, season: 24}"
        raise ConfigError(
            f"transforms: no transform {printable(name)}.{hint} Known: {', '.join(TRANSFORMS)}; written as {example}."
        )
    transform: Transform = build(TRANSFORMS[name], {str(key): plain(value) for key, value in values.items()})
    return transform
