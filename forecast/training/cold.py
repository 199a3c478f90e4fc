"""Nets that know nothing of a series but its static features: trained on how series begin, judged on held-out series.

Such a net gives the life of a series, ``input_size + h`` rows from the first one on. A series that has ``n`` rows is
forecast by what follows row ``n`` of it.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from forecast.conformal import calibrate
from forecast.errors import ConfigError, ForecastWarning
from forecast.model import Prediction, Task
from forecast.nets.facts import Facts, needs_of
from forecast.nets.heads import point_index
from forecast.panel.panel import Panel
from forecast.panel.readings import Readings, fit_readings
from forecast.panel.units import CommonUnits, fit_common
from forecast.training.calibration import calibration_starts, residuals
from forecast.training.history import history_of
from forecast.training.measure import Measure
from forecast.training.neural import (
    FittedNeural,
    Prepared,
    chunks,
    derived_input_size,
    supported_seasons,
    trained_probs,
)
from forecast.training.source import Source
from forecast.training.states import first_known
from forecast.windows.gather import Batch
from forecast.windows.sampler import Windows
from forecast.windows.static import static_table
from forecast.windows.store import Affine, Store, build_store

if TYPE_CHECKING:
    from forecast.training.neural import Neural
    from forecast.training.run import Outcome

Float = npt.NDArray[np.float64]
Int = npt.NDArray[np.int64]

HELD_OUT = 5  # one series in so many is kept for validation, none of fewer


def beginnings(panel: Panel, life: int) -> Float:
    """The first ``life`` rows of each series from its first known one on, (S, life); NaN where unknown or not there."""
    begun = panel.slice(first_known(panel), panel.lengths)
    begun = begun.slice(np.zeros_like(begun.lengths), np.minimum(begun.lengths, life))
    rows = np.full((len(panel), life), np.nan)
    rows[begun.series, begun.ordinals - begun.first[begun.series]] = begun.values
    return rows


def by_content(rows: Float) -> Int:
    """The series that have a known row, ordered by what they contain: neither names nor the order of rows matter."""
    known = np.isfinite(rows)
    largest = np.abs(rows[known]).max(initial=0.0)
    weights = np.linspace(1.0, 2.0, rows.shape[1])
    key = np.where(known, rows / (largest if largest > 0.0 else 1.0), 0.0) @ weights
    order = np.lexsort((key, known.sum(axis=1)))
    kept: Int = order[known.sum(axis=1)[order] > 0].astype(np.int64)
    return kept


def prepare(model: Neural, panel: Panel, task: Task) -> Prepared:
    """Everything up to training on the beginnings of the series of ``panel``; the net is new from ``task.seed``.

    Every fifth series is held out, unless ``task.val_size`` is 0. Raises ``ConfigError`` without static features.
    """
    if panel.static is None:
        raise ConfigError(f"{model.name} forecasts from static features alone: pass static_df, a row for each series.")
    probs = trained_probs(model.architecture.quantiles)
    if model.training.loss == "smape" and not probs:
        raise ConfigError(f"{model.name}: loss='smape' is for nets that know a series' own level. Use loss='mae'.")
    seasons = supported_seasons(panel, task)
    needs = needs_of(model.architecture)
    size = model.architecture.input_size or derived_input_size(panel, task, seasons, needs)
    rows = beginnings(panel, size + task.h)
    order = by_content(rows)
    held_out = order[HELD_OUT // 2 :: HELD_OUT] if len(order) >= HELD_OUT and task.val_size != 0 else order[:0]
    trained = order[~np.isin(order, held_out)]
    if not len(held_out) and task.val_size is None:
        warnings.warn(
            f"{model.name}: {len(order)} series are too few to hold any out; the last weights are kept and intervals "
            "rest on series that were trained on, so they may be too narrow.",
            ForecastWarning,
            stacklevel=5,
        )
    units, readings = fit_common(rows[trained]), fit_readings(panel.take(trained), static=True, hist=False, futr=False)
    store = _lay_out(panel, units.forward(rows), readings)
    facts = Facts(size, task.h, channels=2, probs=probs, static=readings.widths[0])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(task.seed)
        net = model.architecture.build(facts)
    return Prepared(_source(store, trained, held_out, size + task.h), facts, net, readings, units)


def _lay_out(panel: Panel, z: Float, readings: Readings) -> Store:
    """The beginnings ``z`` (S, life) as rows after a blank one each: the past of a series that has none."""
    count, life = z.shape
    offsets = np.arange(count + 1, dtype=np.int64) * life
    born = replace(panel, values=z.ravel(), offsets=offsets, first=np.zeros(count, dtype=np.int64))
    blank = np.ones(count, dtype=np.int64)
    return build_store(born, Affine(np.zeros(count), np.ones(count)), blank, indicator=True, readings=readings)


def _source(store: Store, trained: Int, held_out: Int, life: int) -> Source:
    """One window for each series: a blank row, then its life."""
    first = torch.from_numpy(store.offsets[:-1])
    number = torch.arange(len(trained) + 1)
    windows = Windows(number, first[trained] - number[:-1], len(trained))
    affine = Affine(np.zeros(len(first)), np.ones(len(first)))
    return Source(store, affine, windows, first[held_out], held_out, input_size=1, h=life, measure=Measure(common=True))


def finish(model: Neural, trained: Prepared, outcome: Outcome) -> FittedCold:
    """Calibrate the intervals of a net that was trained."""
    source, facts, net, readings, units = trained
    if not isinstance(source, Source) or units is None:
        raise TypeError("only what was prepared for a net of static features alone can be finished here")
    return FittedCold(
        model.architecture,
        facts,
        net,
        intervals=None if facts.probs else calibrate(residuals(net, source, calibration_starts(source))),
        history=history_of(outcome, model.training, source.windows.total, len(source.validation)),
        readings=readings,
        units=units,
    )


@dataclass(frozen=True)
class FittedCold(FittedNeural):
    """A trained net of static features alone, and the units that it forecasts in.

    Intervals are those of held-out series, step by step of their lives. A series without any row can be forecast.
    """

    units: CommonUnits = field(kw_only=True)
    takes_newborn: ClassVar[bool] = True

    def _forecast(self, panel: Panel, h: int, probs: tuple[float, ...]) -> Prediction:
        if self.readings.static is None:
            raise TypeError("a net of static features alone has an encoding of them")
        table = static_table(panel, self.readings.static)
        ages = np.clip(panel.lengths - first_known(panel), 0, self.facts.input_size)
        point, quantiles = np.empty((len(panel), h)), np.empty((len(panel), h, len(probs)))
        for rows in chunks(len(panel)):
            life = self._life(table.of(torch.arange(len(panel))[rows]))
            steps = ages[rows, None] + np.arange(h)
            middle = life[..., point_index(self.facts.probs)]
            point[rows] = np.take_along_axis(middle, steps, axis=1)
            if probs:
                quantiles[rows] = np.take_along_axis(self._quantiles(life, middle, probs), steps[..., None], axis=1)
        return Prediction(self.units.inverse(point), self.units.inverse(quantiles), probs)

    def _life(self, static: Tensor) -> Float:
        """The net's outputs for vectors (B, features): (B, input_size + h, outputs)."""
        with torch.inference_mode():
            life: Tensor = self.net(Batch(torch.zeros(len(static), 1), None, static=static))
        return life.numpy().astype(np.float64)

    def _quantiles(self, life: Float, middle: Float, probs: tuple[float, ...]) -> Float:
        if self.intervals is None:
            return self._interpolated(life, probs)
        return self.intervals.quantiles(middle, np.ones(len(middle)), probs)
