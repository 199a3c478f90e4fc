"""Functions of time that users bring along, checked: what they give must depend on each time alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from forecast.errors import ConfigError, printable, some
from forecast.panel.calendar_features import PREFIX
from forecast.panel.clock import as_index
from forecast.panel.covariates import Column, Labels, Numbers
from forecast.timeline import Timeline

Int = npt.NDArray[np.int64]
TimeFunction = Callable[[Any], Any]
SAMPLE = 1000  # steps that a function is asked for twice
ARGUMENT = "time_features"


def checked_functions(functions: Any) -> dict[str, TimeFunction]:
    """``functions``, perhaps nothing, by name. Raises ``ConfigError`` for anything else."""
    given = {} if functions is None else functions
    if not isinstance(given, Mapping) or not all(isinstance(name, str) and name for name in given):
        raise ConfigError(f"{ARGUMENT}={printable(given)} must be a mapping from name to function of time.")
    uncallable = [name for name, function in given.items() if not callable(function)]
    if uncallable:
        kind = type(given[uncallable[0]]).__name__
        raise ConfigError(f"{ARGUMENT}[{uncallable[0]!r}] must be a function of a DatetimeIndex, got {kind}.")
    return dict(given)


def check_functions(functions: Mapping[str, TimeFunction] | None, names: Sequence[str]) -> dict[str, TimeFunction]:
    """The functions called ``names``, in that order.

    A saved model holds their names and no code, so they are given again when it is loaded. Raises ``ConfigError`` where
    one is missing, one is too many or one cannot be called.
    """
    given = checked_functions(functions)
    missing = [name for name in names if name not in given]
    if missing:
        listed = ", ".join(f"{name!r}: function" for name in missing)
        raise ConfigError(
            f"the model was fitted with functions of time that are not saved with it: {some(missing)}. "
            f"Give them again: {ARGUMENT}={{{listed}}}."
        )
    extra = [name for name in given if name not in names]
    if extra:
        raise ConfigError(f"{ARGUMENT}: the model was fitted without {some(extra)}. Leave it out, or fit again.")
    return {name: given[name] for name in names}


def function_features(timeline: Timeline, ordinals: Int, functions: Mapping[str, TimeFunction]) -> tuple[Column, ...]:
    """A column ``calendar.NAME`` for each function at grid ``ordinals`` (U,), asked for times as the frames show them:
    a ``DatetimeIndex`` (with its zone, if it has one), an integer index for integer time.

    Numbers and truth values become numbers, text becomes labels. Raises ``ConfigError`` naming function and time when
    it gives another length, anything else, unknown numbers, or another answer when it is asked for fewer times.
    """
    times = as_index(timeline, timeline.stamps(ordinals))
    columns = []
    for name, function in functions.items():
        column = _asked(name, function, times)
        _check_alone(name, function, times, column)
        columns.append(column)
    return tuple(columns)


def _asked(name: str, function: TimeFunction, times: pd.Index) -> Column:
    """What ``function`` says of ``times``."""
    values = function(times)
    if isinstance(values, (str, bytes, Mapping)) or not hasattr(values, "__len__"):
        raise ConfigError(f"{ARGUMENT}[{name!r}] gave {printable(values)} for {len(times)} times: one value for each.")
    if np.ndim(values) != 1 or len(values) != len(times):
        shape = "×".join(map(str, np.shape(values)))
        raise ConfigError(f"{ARGUMENT}[{name!r}] gave {shape} values for {len(times)} times: one value for each.")
    column = pd.Series(values).reset_index(drop=True)
    if column.dtype.kind in "biuf" and not isinstance(column.dtype, pd.CategoricalDtype):
        return _numbers(name, column, times)
    return _labels(name, column, times)


def _numbers(name: str, column: pd.Series[Any], times: pd.Index) -> Numbers:
    values = column.to_numpy(dtype=np.float64, na_value=np.nan)
    bad = np.flatnonzero(~np.isfinite(values))
    if bad.size:
        raise ConfigError(
            f"{ARGUMENT}[{name!r}] gave {values[bad[0]]} at {some(map(str, times[bad]), 3)}. Give a finite number."
        )
    return Numbers(PREFIX + name, values)


def _labels(name: str, column: pd.Series[Any], times: pd.Index) -> Labels:
    codes, uniques = pd.factorize(column)
    bad = np.flatnonzero(
        np.isin(codes, [at for at, cell in enumerate(uniques) if not isinstance(cell, str) or not cell])
    )
    bad = np.sort(np.concatenate([bad, np.flatnonzero(codes < 0)]))
    if bad.size:
        raise ConfigError(
            f"{ARGUMENT}[{name!r}] gave {printable(column.iloc[bad[0]])} at {some(map(str, times[bad]), 3)}. "
            "Give finite numbers throughout, or text throughout ('none', say, where there is nothing to tell)."
        )
    return Labels(PREFIX + name, codes.astype(np.int64), tuple(str(cell) for cell in uniques))


def _check_alone(name: str, function: TimeFunction, times: pd.Index, column: Column) -> None:
    """Ask again for the first of the times, in the opposite order: each answer must be what it was among all."""
    if not len(times):
        return
    rows = np.arange(min(SAMPLE, (len(times) + 1) // 2))[::-1]
    again = _asked(name, function, times[rows])
    if isinstance(column, Numbers) and isinstance(again, Numbers):
        differs = ~np.isclose(again.values, column.values[rows], rtol=1e-6, atol=1e-9)
    elif isinstance(column, Labels) and isinstance(again, Labels):
        differs = again.codes_in(column.labels) != column.codes[rows]
    else:
        raise ConfigError(f"{ARGUMENT}[{name!r}] gave numbers for some times and text for others. Give one kind.")
    if differs.any():
        at = times[rows[int(np.flatnonzero(differs)[-1])]]
        raise ConfigError(
            f"{ARGUMENT}[{name!r}] gives another answer for {at} when it is asked for other times beside it. It must "
            "be a function of each time alone: what it says of the past must not depend on the future."
        )
