"""From a model of one array to forecasts of a panel: filling, scaling, the process pool, and what to do on failure."""

from __future__ import annotations

import warnings
from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from forecast.baselines.local import Ask, LocalModel, is_whole, normal_quantiles
from forecast.baselines.naive import SeasonalNaive
from forecast.baselines.pool import available_workers, map_chunks
from forecast.errors import ConfigError
from forecast.model import Prediction
from forecast.panel.fill import fill_unknown
from forecast.panel.panel import Panel
from forecast.progress import progress

Float = npt.NDArray[np.float64]

CHUNKS_PER_WORKER = 32
LARGEST_CHUNK = 64
FAILURES = (ValueError, ArithmeticError, IndexError, np.linalg.LinAlgError)
WIDEST = 1e6  # a forecast beyond so many times the mean size of a series has exploded
FLAT = 1e-4  # below this spread, relative to its size, a series is centred before it is modelled


class Unfit(ValueError):
    """A series that a model cannot forecast; the message says why."""


class Estimate(NamedTuple):
    """One series' forecast."""

    point: Float  # (h,)
    quantiles: Float  # (h, Q)
    note: str = ""  # what was done differently from what was asked, if anything

    @classmethod
    def normal(cls, point: Float, deviation: Float, ask: Ask, note: str = "") -> Estimate:
        """A forecast with normal errors of standard deviation ``deviation`` (h,)."""
        return cls(point, normal_quantiles(point, deviation, ask.probs), note)


class SeriesModel(LocalModel):
    """A model that fits one complete array at a time, in several processes when there are many.

    Before a series reaches :meth:`fit_series`, unknown values are filled by a line between their neighbours and, at the
    end, by the last known value; only the last ``max_length`` rows are kept; and it is divided by its mean absolute
    value, so that the unit of measurement makes no difference (a series that hardly varies around its level is also
    centred). A constant series is forecast by its constant.

    A series with fewer than two known values, or whose fit fails, does not converge or explodes, is forecast by
    :class:`~forecast.baselines.naive.SeasonalNaive`, which itself falls back to the naive model; the prediction's
    ``reasons`` name the cause.
    """

    max_length: int

    @abstractmethod
    def fit_series(self, y: Float, ask: Ask) -> Estimate:
        """Forecast one scaled series (n,), n >= 2, not constant; raise one of ``FAILURES`` when that is impossible."""

    def forecast(self, panel: Panel, ask: Ask) -> Prediction:
        """See :class:`~forecast.baselines.local.LocalModel`."""
        name = type(self).__name__
        workers = available_workers()
        known = [int(np.count_nonzero(~np.isnan(values))) for values in panel.each()]
        series = fill_unknown(panel, "interpolate").each()
        size = self.chunk_size(len(series), workers)
        items = list(zip(series, known, strict=True))
        chunks = [items[start : start + size] for start in range(0, len(items), size)]
        with progress(name, len(items), ask.progress) as advance:
            parts = map_chunks(
                partial(_forecast_chunk, self, ask), chunks, workers=workers, finished=lambda part: advance(len(part))
            )
        outcomes = [outcome for part in parts for outcome in part]
        return _assemble(panel, ask, outcomes, name)

    def fit_all(self, ys: list[Float], ask: Ask) -> list[Outcome]:
        """Forecast scaled series like :meth:`fit_series`, one after the other; a string is the cause of a failure."""
        with quiet():
            return [_attempt(self, y, ask) for y in ys]

    def chunk_size(self, series: int, workers: int) -> int:
        """How many of so many series to hand over at once: few, so that the work spreads and progress shows."""
        return max(1, min(LARGEST_CHUNK, series // (workers * CHUNKS_PER_WORKER)))

    def recent(self, y: Float, season: int = 1) -> Float:
        """The last ``max_length`` rows, or four seasons where that is more."""
        return y[-max(self.max_length, 4 * season) :]


def season_of(y: Float, ask: Ask, wanted: bool = True, fewest: int = 2) -> tuple[int, str]:
    """The season to model (1 for none), and why it is not the one asked for: ``y`` has not ``fewest`` seasons."""
    if ask.season_length == 1 or not wanted:
        return 1, ""
    if len(y) < fewest * ask.season_length:
        few = {2: "two", 3: "three"}[fewest]
        return 1, f"{len(y)} rows are less than {few} seasons of {ask.season_length}: the form without a season"
    return ask.season_length, ""


def check_length(max_length: int) -> None:
    """Raise ``ConfigError`` for a number of rows that no model can do with."""
    if not is_whole(max_length, 10):
        raise ConfigError(f"max_length={max_length!r} must be a whole number of rows, at least 10.")


Item = tuple[Float, int]  # a filled series and how many of its values were known
Outcome = Estimate | str  # a string is the cause of a failure


class Scaled(NamedTuple):
    """A series ready to be fitted, and what brings its forecast back to the unit of measurement."""

    y: Float  # (n,)
    centre: float
    scale: float


def _forecast_chunk(model: SeriesModel, ask: Ask, chunk: list[Item]) -> list[Outcome]:
    with np.errstate(all="ignore"):
        ready = [_prepare(model, ask, values, known) for values, known in chunk]
        fitted = iter(model.fit_all([item.y for item in ready if isinstance(item, Scaled)], ask))
        return [_finish(item, next(fitted)) if isinstance(item, Scaled) else item for item in ready]


def _prepare(model: SeriesModel, ask: Ask, values: Float, known: int) -> Scaled | Outcome:
    """The scaled latest rows of a series, or the outcome where there is nothing to fit."""
    if known < 2:
        return f"{known} known value{'s' if known != 1 else ''}"
    if values.min() == values.max():
        constant = np.full(ask.h, values[0])
        return Estimate.normal(constant, np.zeros(ask.h), ask)
    y = model.recent(values, ask.season_length)
    if y.min() == y.max():
        constant = np.full(ask.h, y[0])
        return Estimate.normal(constant, np.zeros(ask.h), ask)
    centre, scale = _centre_and_scale(y)
    return Scaled((y - centre) / scale, centre, scale)


def _attempt(model: SeriesModel, y: Float, ask: Ask) -> Outcome:
    try:
        return model.fit_series(y, ask)
    except FAILURES as problem:
        cause = str(problem).partition("\n")[0][:200]
        return cause if isinstance(problem, Unfit) else f"{type(problem).__name__}: {cause}"


def _finish(item: Scaled, outcome: Outcome) -> Outcome:
    """An estimate in the unit of measurement, unless it is of no use."""
    if isinstance(outcome, str):
        return outcome
    point = outcome.point * item.scale + item.centre
    quantiles = np.maximum.accumulate(outcome.quantiles * item.scale + item.centre, axis=-1)
    if not (np.isfinite(point).all() and np.isfinite(quantiles).all()):
        return "the forecast is not finite"
    if np.abs(outcome.point).max() > WIDEST:
        return f"the forecast exceeds {WIDEST:.0e} times the size of the series"
    return Estimate(point, quantiles, outcome.note)


def _centre_and_scale(y: Float) -> tuple[float, float]:
    """What to subtract from a series, and what to divide by, to bring it near 1."""
    largest = float(np.abs(y).max())
    size = float(np.abs(y / largest).mean()) * largest  # the sum of huge values would overflow
    spread = float(y.max() / largest - y.min() / largest) * largest
    if spread >= FLAT * size:
        return 0.0, size
    centre = float(np.median(y))
    return centre, float(np.abs(y - centre).max())


def _assemble(panel: Panel, ask: Ask, outcomes: list[Outcome], name: str) -> Prediction:
    point = np.full((len(panel), ask.h), np.nan)
    quantiles = np.full((len(panel), ask.h, len(ask.probs)), np.nan)
    reasons: dict[int, str] = {}
    failed: dict[int, str] = {}
    for position, outcome in enumerate(outcomes):
        if isinstance(outcome, str):
            failed[position] = outcome
            continue
        point[position], quantiles[position] = outcome.point, outcome.quantiles
        if outcome.note:
            reasons[position] = f"{name}: {outcome.note}"
    if failed:
        chosen = np.array(list(failed), np.int64)
        spare = SeasonalNaive().forecast(panel.take(chosen), ask)
        point[chosen], quantiles[chosen] = spare.point, spare.quantiles
        used = "naive" if ask.season_length == 1 else "seasonal_naive"
        for order, (position, cause) in enumerate(failed.items()):
            reasons[position] = f"{name}: {cause}; {spare.reasons.get(order, f'{used} instead')}"
    return Prediction(point, quantiles, ask.probs, dict(sorted(reasons.items())))


@contextmanager
def quiet() -> Iterator[None]:
    """Silence what statsmodels and numpy say about a single fit: a failure is recorded as a reason instead."""
    from statsmodels.tools.sm_exceptions import ModelWarning

    with warnings.catch_warnings(), np.errstate(all="ignore"):
        for category in (ModelWarning, RuntimeWarning, UserWarning):
            warnings.simplefilter("ignore", category)
        yield
