"""Ranks: the values of each series made normal by where they stand among its own."""

from __future__ import annotations

from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import Any, ClassVar, Self

import numpy as np

from forecast.checks import whole_number
from forecast.panel.panel import Panel
from forecast.panel.segments import known_rows
from forecast.panel.transforms.base import Fitted, Float, Int, Transform, finite

FEWEST, MOST = 2, 1000


def normal_scores(knots: int) -> Float:
    """The normal quantiles at the middles of ``knots`` equal shares, shape (knots,)."""
    return np.array([NormalDist().inv_cdf((number + 0.5) / knots) for number in range(knots)])


@dataclass(frozen=True)
class Quantile(Transform):
    """A bent line through ``knots`` quantiles of each series, which makes its values roughly normal.

    Beyond the quantiles the line goes straight on with its mean slope, so that a forecast may leave the range that was
    seen and every value has its way back; values of which there are many take the middle of their ranks.
    """

    name: ClassVar[str] = "quantile"

    knots: int = 33

    def __post_init__(self) -> None:
        object.__setattr__(self, "knots", whole_number("quantile: knots", self.knots, FEWEST, MOST))

    def fit(self, panel: Panel) -> FittedQuantile:
        """The quantiles of each series; a constant one is moved to 0 and left in its unit."""
        rows = known_rows(panel.values, panel.offsets).ascending()
        scores = normal_scores(self.knots)
        table = np.maximum.accumulate(rows.quantiles((np.arange(self.knots) + 0.5) / self.knots), axis=1)
        slope = finite(table[:, -1] - table[:, 0]) / (scores[-1] - scores[0])
        return FittedQuantile(table, np.where(slope > 0.0, slope, np.where(np.isnan(slope), np.nan, 1.0)))


@dataclass(frozen=True)
class FittedQuantile(Fitted):
    """Quantiles (S, knots), ascending, and the slope beyond them (S,) in units of y for each unit of z."""

    table: Float
    slope: Float

    def settled(self) -> Self:
        """The line of a series that taught nothing is straight: z is y."""
        scores = normal_scores(self.table.shape[1])
        table = np.where(np.isnan(self.table), scores, self.table)
        return replace(self, table=table, slope=np.where(np.isnan(self.slope), 1.0, self.slope))

    def forward(self, panel: Panel) -> Panel:
        """Normal scores."""
        series = panel.series
        left, right = _around(panel.values, series, self.table)
        scores = normal_scores(self.table.shape[1])
        z = _on_line(panel.values, (self.table[series, left], self.table[series, right]), (scores[left], scores[right]))
        low, high = self.table[series, 0], self.table[series, -1]
        return replace(
            panel, values=_straight(panel.values, z, low, high, scores[0], scores[-1], 1.0 / self.slope[series])
        )

    def inverse(self, values: Float, panel: Panel) -> Float:
        """From normal scores."""
        z = values.ravel()
        series = np.repeat(np.arange(len(values), dtype=np.int64), int(np.prod(values.shape[1:])))
        scores = normal_scores(self.table.shape[1])
        left, right = _around(z, np.zeros_like(series), scores[None])
        y = _on_line(z, (scores[left], scores[right]), (self.table[series, left], self.table[series, right]))
        low, high = self.table[series, 0], self.table[series, -1]
        return _straight(z, y, scores[0], scores[-1], low, high, self.slope[series]).reshape(values.shape)

    def sound(self) -> bool:
        """Quantiles ascend, slopes are positive."""
        return super().sound() and not bool((np.diff(self.table, axis=1) < 0).any() or (self.slope <= 0.0).any())


def _on_line(x: Float, xs: tuple[Float, Float], ys: tuple[Float, Float]) -> Float:
    """``x`` (N,) between ``xs`` taken along to between ``ys``: to their middle where ``xs`` are equal."""
    width = xs[1] - xs[0]
    with np.errstate(over="ignore", invalid="ignore"):
        share = np.where(width > 0.0, (x - xs[0]) / np.where(width > 0.0, width, 1.0), 0.5)
        return ys[0] + share * (ys[1] - ys[0])


def _straight(x: Float, inside: Float, low: Any, high: Any, first: Any, last: Any, slope: Float) -> Float:
    """``inside`` where ``x`` (N,) is from ``low`` to ``high``, else the straight line from ``first`` or ``last`` on."""
    with np.errstate(over="ignore", invalid="ignore"):
        result = np.where(x < low, first + (x - low) * slope, np.where(x > high, last + (x - high) * slope, inside))
    return finite(np.where(np.isnan(x), np.nan, result))


def _around(x: Float, row: Int, table: Float) -> tuple[Int, Int]:
    """The knots of row ``row`` (N,) of ``table`` (R, K), ascending, on both sides of each of ``x`` (N,); the first and
    the last one of those that it equals. Beyond the ends, the end."""
    last = table.shape[1] - 1
    right = np.minimum(_count(x, row, table, equal=False), last)
    knot = table[row, right] if len(table) > 1 else table[0, right]
    tied = np.flatnonzero(knot == x)
    left = np.where(x <= knot, np.maximum(right - 1, 0), right)
    left[tied] = right[tied]
    right[tied] = _count(x[tied], row[tied], table, equal=True) - 1
    return left, right


def _count(x: Float, row: Int, table: Float, *, equal: bool) -> Int:
    """How many knots of row ``row`` lie below ``x``, or with ``equal`` not above it: one binary search for all."""
    if len(table) == 1:
        return np.searchsorted(table[0], x, "right" if equal else "left").astype(np.int64)
    knots = table.shape[1]
    low, high = np.zeros(len(x), dtype=np.int64), np.full(len(x), knots, dtype=np.int64)
    for _ in range(knots.bit_length()):
        middle = (low + high) // 2
        knot = table[row, np.minimum(middle, knots - 1)]
        further = (middle < high) & ((knot <= x) if equal else (knot < x))
        low, high = np.where(further, middle + 1, low), np.where(further, high, middle)
    return low
