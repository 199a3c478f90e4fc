"""What intervals are asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from forecast.checks import whole_number
from forecast.errors import ConfigError, printable
from forecast.models import build, check_types, plain

METHODS = ("split", "cross", "adaptive")
MOST_WINDOWS = 10_000
MOST_FOLDS = 50
MOST_TRACKED = 20


@dataclass(frozen=True)
class Intervals:
    """Conformal intervals: as wide as a model's errors were on rows that it had not learned from.

    Errors are divided by the local scale of their series (:class:`forecast.intervals.scale.LocalScale`), so that calm
    and lively series share one table of widths, which has a row for each step of the horizon.

    Args:
        method: ``split``: the model is fitted on the rows before the calibration windows, judged on these, and fitted
            once more on all rows (Lei et al. 2018, arXiv 1604.04173). ``cross``: the windows are blocks of time, each
            judged by a model of its own that was fitted on the rows before it, in the spirit of CV+ (Barber et al.
            2021, arXiv 1905.02928): more windows, and one training more for each block. ``adaptive``: ``split``, and
            then widths that follow the misses of each series, step by step of the horizon, as its rows come in
            (Gibbs and Candes 2022, arXiv 2208.08401): through :meth:`forecast.Forecaster.update`, along a backtest,
            from run to run of a job.
        windows: calibration windows at the end of each series; by default as many as make 600 of all series, 3 to 100,
            within the last quarter (``cross``: half) of the median series.
        folds: blocks of ``cross``.
        levels: interval levels, in percent, whose widths ``adaptive`` follows one by one; others lie between. Each
            costs 28 bytes a series and step with three step sizes.
        step_sizes: how far ``adaptive`` moves the logarithm of a width at a miss; the sizes compete, series by series.

    Raises ``ConfigError`` for what cannot be used.
    """

    method: str = "split"
    windows: int | None = None
    folds: int = 3
    levels: tuple[float, ...] = (50, 80, 90, 95)
    step_sizes: tuple[float, ...] = (0.03, 0.1, 0.3)

    def __post_init__(self) -> None:
        for name in ("levels", "step_sizes"):
            object.__setattr__(self, name, plain(getattr(self, name)))
        check_types(Intervals, {key: getattr(self, key) for key in self.__dataclass_fields__})
        if self.method not in METHODS:
            raise ConfigError(f"intervals: method={printable(self.method)} is not one of {', '.join(METHODS)}.")
        if self.windows is not None:
            whole_number("intervals: windows", self.windows, 1, MOST_WINDOWS)
        whole_number("intervals: folds", self.folds, 2, MOST_FOLDS)
        _check_numbers("levels", self.levels, 0.0, 99.9, "percentages above 0 and up to 99.9")
        _check_numbers("step_sizes", self.step_sizes, 0.0, 2.0, "numbers above 0 and up to 2")


def _check_numbers(name: str, values: Any, least: float, most: float, rule: str) -> None:
    numbers = isinstance(values, tuple) and all(
        isinstance(v, (int, float)) and not isinstance(v, bool) and least < v <= most for v in values
    )
    if not numbers or not 1 <= len(values) <= MOST_TRACKED or list(values) != sorted(set(values)):
        raise ConfigError(f"intervals: {name}={printable(values)} must be 1 to {MOST_TRACKED} rising {rule}.")


def as_intervals(given: Any) -> Intervals | None:
    """Intervals from a method's name, a mapping with the arguments of :class:`Intervals`, or such an object.

    ``None`` stays ``None``. Raises ``ConfigError`` for anything else.
    """
    if given is None or isinstance(given, Intervals):
        return given
    if isinstance(given, str):
        return Intervals(given)
    if isinstance(given, Mapping):
        made: Intervals = build(Intervals, {str(key): plain(value) for key, value in given.items()})
        return made
    raise ConfigError(
        f"intervals={printable(given)} is neither one of {', '.join(METHODS)}, nor a forecast.Intervals object."
    )
