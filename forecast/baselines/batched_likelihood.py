"""Fit one form of exponential smoothing to many series by maximum likelihood, given their initial states."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from forecast.baselines.batched import Block
from forecast.baselines.batched_recursion import States, parameter_names, smooth
from forecast.baselines.ets import Form
from forecast.baselines.least_squares import Slopes, minimise

Float = npt.NDArray[np.float64]
Int = npt.NDArray[np.int64]

BOUNDS = {"alpha": (1e-4, 0.9999), "beta": (1e-4, 0.9999), "phi": (0.8, 0.98), "gamma": (1e-4, 0.9999)}
GRID = {"alpha": (0.02, 0.1, 0.3, 0.6, 0.95), "beta": (0.01, 0.1, 0.5), "phi": (0.85, 0.97), "gamma": (0.02, 0.2, 0.7)}
ITERATIONS = 20
NUDGE = 1e-6  # of a parameter, to see which way the errors go
LOG_EVERY = 16  # rows whose forecasts are multiplied before a logarithm is taken: it costs as much as the other steps
FLOOR = 1e-20  # a smaller mean squared error, of a series whose values are near 1, is rounding
AT_ONCE = 1 << 14  # columns of one pass over the grid: they stay in the cache ...
LARGEST = 1 << 22  # ... and so many numbers of their seasonal states, where the season is long, in memory


class Tally:
    """Running sums over the rows: squared errors, and the logarithms of the forecasts for multiplicative errors.

    Attributes:
        squares: sum of squared (relative) errors, infinite where a forecast was not positive, shape (C, N).
        logs: sum of the logarithms of the forecasts; 0 for additive errors, shape (C, N).
    """

    def __init__(self, relative: bool, shape: tuple[int, ...]) -> None:
        self.relative = relative
        self.squares, self.logs = np.zeros(shape), np.zeros(shape)
        self._product, self._least = np.ones(shape), np.full(shape, np.inf)
        self._rows = 0

    def __call__(self, error: Float, fitted: Float) -> None:
        """Take in one row, whose arrays (C, n) cover the first ``n`` series."""
        error = self.scaled(error, fitted)
        self.squares[..., : error.shape[-1]] += error * error

    def scaled(self, error: Float, fitted: Float) -> Float:
        """The error whose squares count; of multiplicative errors, the forecasts are noted."""
        if not self.relative:
            return error
        width = error.shape[-1]
        self._product[..., :width] *= fitted
        least = self._least[..., :width]
        np.minimum(least, fitted, out=least)
        self._rows += 1
        if self._rows % LOG_EVERY == 0:
            self._take_logs()
        return np.asarray(error / fitted)

    def close(self) -> None:
        """After the last row."""
        if self.relative:
            self._take_logs()
            self.squares[~(self._least > 0.0)] = np.inf

    def _take_logs(self) -> None:
        self.logs += np.log(self._product)
        self._product[:] = 1.0


class SlopeTally(Tally):
    """Sums over the rows of the errors of candidate 0 and of the changes to it in the others, times one another.

    Attributes:
        products: row and column 0 stand for the error itself, the others for the changes, shape (C, C, N).
    """

    def __init__(self, relative: bool, shape: tuple[int, ...]) -> None:
        super().__init__(relative, shape)
        self.products = np.zeros((shape[0], *shape))
        self._changes, self._outer = np.empty(shape), np.empty_like(self.products)

    def __call__(self, error: Float, fitted: Float) -> None:
        """Take in one row."""
        error = self.scaled(error, fitted)
        width = error.shape[-1]
        changes, outer = self._changes[:, :width], self._outer[..., :width]
        changes[0] = error[0]
        np.subtract(error[1:], error[:1], out=changes[1:])
        np.multiply(changes[:, None], changes, out=outer)
        products = self.products[..., :width]
        np.add(products, outer, out=products)

    def close(self) -> None:
        """After the last row."""
        super().close()
        self.squares[0] += self.products[0, 0]


@dataclass(frozen=True)
class FormFit:
    """One form, fitted to the series of a block.

    Attributes:
        x: smoothing parameters, see :func:`~forecast.baselines.batched_recursion.rates`, shape (p, N).
        deviance: minus twice the log-likelihood up to a constant of the series, infinite where the form fails, (N,).
        states: after the last row.
        variance: of the one-step errors, relative ones for multiplicative errors, shape (N,).
    """

    form: Form
    x: Float
    deviance: Float
    states: States
    variance: Float


def fit_form(form: Form, block: Block, start: States) -> FormFit:
    """Maximise the Gaussian likelihood of the smoothing parameters: a coarse grid, then Levenberg-Marquardt steps."""
    names = parameter_names(form)
    low, high = (np.array([[BOUNDS[name][side]] for name in names]) for side in (0, 1))
    x = _best_of_grid(form, block, start, names)
    x, value = minimise(partial(_slopes, form, block, start, high), x, low, high, ITERATIONS)
    tally = Tally(form.error == "mul", (1, len(block.lengths)))
    states = smooth(form, x[:, None], start, block, tally)
    tally.close()
    free = np.maximum(block.lengths - len(names), 1)
    final = States(states.level[0], states.trend[0], states.season[:, 0])
    return FormFit(form, x, block.lengths * value, final, tally.squares[0] / free)


def _best_of_grid(form: Form, block: Block, start: States, names: tuple[str, ...]) -> Float:
    """The best point of the grid for each series, shape (p, N)."""
    grid = np.array(list(itertools.product(*(GRID[name] for name in names))))
    count, least = len(block.lengths), np.full(len(block.lengths), np.inf)
    best = np.repeat(grid[:1].T, count, axis=1)
    size = max(1, min(AT_ONCE, LARGEST // max(len(start.season), 1)) // count)
    for first in range(0, len(grid), size):
        part = grid[first : first + size]
        tally = Tally(form.error == "mul", (len(part), count))
        smooth(form, np.repeat(part.T[..., None], count, axis=2), start, block, tally)
        tally.close()
        value = _value(tally, block.lengths)
        winner = value.argmin(axis=0)
        found = value[winner, np.arange(count)]
        best = np.where(found < least, part[winner].T, best)
        least = np.minimum(least, found)
    return best


def _value(tally: Tally, lengths: Int) -> Float:
    """Minus twice the log-likelihood per row, up to a constant, shape (C, N)."""
    value = np.log(np.maximum(tally.squares / lengths, FLOOR)) + 2.0 * tally.logs / lengths
    return np.where(np.isfinite(value), value, np.inf)


def _slopes(form: Form, block: Block, start: States, high: Float, x: Float, chosen: Int) -> Slopes:
    """Value and half its gradient and Gauss-Newton curvature at ``x`` (p, n), from the errors at nudged parameters."""
    part, start = block.take(chosen), start.take(chosen)
    nudge = np.where(x + NUDGE > high, -NUDGE, NUDGE)
    count = len(x)
    near = np.repeat(x[:, None], count + 1, axis=1)
    for i in range(count):
        near[i, i + 1] += nudge[i]
    tally = SlopeTally(form.error == "mul", near.shape[1:])
    smooth(form, near, start, part, tally)
    tally.close()
    squares = np.maximum(tally.squares[0], FLOOR * part.lengths)
    gradient = tally.products[0, 1:] / nudge
    curvature = tally.products[1:, 1:] / nudge / nudge[:, None]
    if form.error == "mul":
        # The likelihood is that of errors times the geometric mean of the forecasts.
        scale = (tally.logs[1:] - tally.logs[0]) / nudge / part.lengths
        curvature += gradient[:, None] * scale + scale[:, None] * gradient + scale[:, None] * scale * squares
        gradient = gradient + scale * squares
    return Slopes(_value(tally, part.lengths)[0], gradient / squares, curvature / squares)
