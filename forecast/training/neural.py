"""A neural net as a model: an architecture and training settings in, a forecaster of panels out."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from torch import nn

from forecast.allocator import keep_freed_memory
from forecast.conformal import Conformal, calibrate
from forecast.errors import ConfigError, ForecastWarning
from forecast.model import REACH, Fitted, Prediction, Task, ascending
from forecast.nets.averaged import averaged, members_of
from forecast.nets.facts import Architecture, Facts, Needs, kind_forecast, likelihood_of, needs_of
from forecast.nets.heads import point_index
from forecast.nets.regression import whole_net
from forecast.nets.samples import paths_of
from forecast.nets.scaling import Scaled
from forecast.nets.summary import layer_table, parameter_count
from forecast.panel.fill import fill_unknown
from forecast.panel.panel import Panel
from forecast.panel.readings import UNREAD, Readings, fit_readings
from forecast.panel.units import CommonUnits
from forecast.training.calibration import calibration_starts, residuals
from forecast.training.history import history_of
from forecast.training.likelihoods import check_values, classes_of, coded, distributed
from forecast.training.measure import anchors, measure_of, told
from forecast.training.settings import Training
from forecast.training.source import Source, build_source, held_out_rows, least_past
from forecast.training.stream_source import StreamSource
from forecast.windows.gather import Batch, gather
from forecast.windows.sampler import last_windows
from forecast.windows.static import tell_strangers
from forecast.windows.store import Affine, anchored, build_store, has_unknown

if TYPE_CHECKING:
    from forecast.training.run import Outcome

Float = npt.NDArray[np.float64]

PREDICT_BATCH = 512


def trained_probs(quantiles: tuple[float, ...]) -> tuple[float, ...]:
    """The probabilities a net forecasts: those asked for and the median, ascending. Empty stays empty."""
    wrong = [q for q in quantiles if not 0.0 < q < 1.0]
    if wrong:
        raise ConfigError(f"quantiles {wrong} lie outside 0 … 1 (both excluded).")
    return tuple(sorted({*quantiles, 0.5})) if quantiles else ()


def derived_input_size(panel: Panel, task: Task, seasons: tuple[int, ...], needs: Needs) -> int:
    """Rows of past a window should hold: the longest season that the series support and the horizon, with room.

    Half of the series keep at least half of their training windows free of padding. A net that reads whole series
    gets the longest one instead, as far as it goes.
    """
    if needs.whole:
        return max(4, min(int(panel.lengths.max()), needs.whole))
    wanted = max([2 * task.h, 8, *(m if m > 40 else 3 * m for m in seasons)])
    room = int(np.median(panel.lengths)) - task.h
    return max(4, min(wanted, max(room // 2, task.h)))


def supported_seasons(panel: Panel, task: Task) -> tuple[int, ...]:
    """The season asked for and the grid's longer ones that fit three times into half of the series."""
    median = float(np.median(panel.lengths)) if len(panel) else 0.0
    longer = tuple(m for m in panel.timeline.seasons if m > task.season_length and 3 * m <= median)
    usual = (task.season_length,) if task.season_length > 1 else ()
    return usual + (longer if usual else ())


class Prepared(NamedTuple):
    """What a panel makes of an architecture: windows, facts, a new net, how covariates reach it, its units where they
    are common to all series."""

    source: Source | StreamSource
    facts: Facts
    net: nn.Module
    readings: Readings = UNREAD
    units: CommonUnits | None = None


@dataclass(frozen=True)
class Neural:
    """An architecture with its training settings: satisfies :class:`forecast.model.Model`.

    ``start`` is a model whose weights training begins with, see :meth:`continued`; ``None`` begins anew.
    """

    architecture: Architecture
    training: Training = field(default_factory=Training)
    name: str = "net"
    start: Fitted | None = field(default=None, repr=False, compare=False)

    @property
    def reads_static(self) -> bool:
        """Whether the architecture makes use of static features."""
        return needs_of(self.architecture).static and not self.training.stateful

    @property
    def reads_hist(self) -> bool:
        """Whether the architecture makes use of covariates known up to the cutoff."""
        return needs_of(self.architecture).hist and not self.training.stateful

    @property
    def reads_futr(self) -> bool:
        """Whether the architecture makes use of covariates known into the future."""
        # They move a forecast up or down, which a class cannot.
        moved = self.kind != "class"
        return needs_of(self.architecture).futr and moved and not self.training.stateful

    @property
    def kind(self) -> str:
        """The kind of values that it forecasts: that of its likelihood."""
        return kind_forecast(self.architecture)

    @property
    def needs_static(self) -> bool:
        """Whether the architecture has nothing but static features to go by."""
        return needs_of(self.architecture).cold

    def continued(self, fitted: Fitted) -> Neural:
        """The same model, its training begun with the weights of ``fitted``, a model trained before.

        Where they do not fit the net that the panel asks for, training begins anew. ``start`` in the history of what
        :meth:`fit` returns tells which: ``warm``, or ``cold: `` and the reason.
        """
        return replace(self, start=fitted)

    def prepare(self, panel: Panel, task: Task) -> Prepared:
        """Everything up to training; the net is new from ``task.seed``.

        Raises ``DataError`` when no series is long enough.
        """
        if self.training.stateful:
            from forecast.training.stateful import prepare

            return prepare(self, panel, task)
        if self.needs_static:
            from forecast.training.cold import prepare as prepare_cold

            return prepare_cold(self, panel, task)
        seasons = supported_seasons(panel, task)
        needs = needs_of(self.architecture)
        name = likelihood_of(self.architecture)
        if name:
            check_values(panel, name)
        input_size = self.architecture.input_size or derived_input_size(panel, task, seasons, needs)
        draw = (self.training.sampling, self.training.recency)
        held_out = held_out_rows(panel, least_past(input_size, task.season_length), task.h, task.val_size)
        roles = {"static": needs.static, "hist": needs.hist, "futr": self.reads_futr}
        taught = panel.head(panel.lengths - held_out)
        readings = fit_readings(taught, **roles)
        classes = classes_of(taught) if name == "categorical" else ()
        panel = coded(panel, classes)
        source = build_source(
            panel,
            input_size,
            task.h,
            task.season_length,
            task.val_size,
            needs,
            *draw,
            readings,
            measure_of(self.architecture),
            held_out,
        )
        if not len(source.validation) and task.val_size is None:
            warnings.warn(
                f"{self.name}: no series is long enough to hold out {task.h} rows; the last weights are kept and "
                "intervals rest on windows that were trained on, so they may be too narrow.",
                ForecastWarning,
                stacklevel=4,
            )
        static, hist, futr = readings.widths
        facts = Facts(
            input_size=input_size,
            h=task.h,
            channels=2 if source.store.masked else 1,
            seasons=tuple(m for m in seasons if m <= input_size),
            probs=trained_probs(self.architecture.quantiles),
            series=len(panel) if needs.series else 0,
            positive=needs.levels and bool(np.nanmin(panel.values, initial=np.inf) > 0.0),
            static=static,
            hist=hist,
            futr=futr,
            likelihood=name,
            classes=classes,
        )
        if source.measure.flat:
            source = source.with_zeros()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(task.seed)
            net = whole_net(self.architecture, self.training.revin)(facts)
        return Prepared(source, facts, net, readings)

    def fit(self, panel: Panel, task: Task) -> FittedNeural:
        """Train on ``panel``. Raises ``DataError`` when no series is long enough, ``TrainingError`` on divergence."""
        from forecast.training.run import Job, train  # Lightning is imported by those who train
        from forecast.training.warm import WARM, start_from, weights_digest

        prepared = self.prepare(panel, task)
        begun = "" if self.start is None else start_from(prepared, panel.ids, self.start)
        weights = weights_digest(prepared.net) if begun == WARM else ""
        job = Job(self.architecture, prepared.facts, self.training, task.seed, self.name, task.progress, weights)
        outcome = train(prepared.net, prepared.source, job)
        averages = prepared._replace(net=averaged(prepared.net, list(outcome.kept.values())))
        fitted = self._finished(panel, averages, outcome)
        return replace(fitted, history=fitted.history | {"start": begun}) if begun else fitted

    def _finished(self, panel: Panel, prepared: Prepared, outcome: Outcome) -> FittedNeural:
        """Calibrate the intervals of a net that was trained."""
        source, facts, net, readings, _ = prepared
        if isinstance(source, StreamSource):
            from forecast.training.stateful import finish

            return finish(self, panel, prepared, outcome)
        if self.needs_static:
            from forecast.training.cold import finish as finish_cold

            return finish_cold(self, prepared, outcome)
        return FittedNeural(
            self.architecture,
            facts,
            net,
            intervals=None if facts.spread_out else calibrate(residuals(net, source, calibration_starts(source))),
            history=history_of(outcome, self.training, source.windows.total, len(source.validation)),
            ids=panel.ids if facts.series else None,
            readings=readings,
        )


@dataclass(frozen=True)
class FittedNeural:
    """A trained net: satisfies :class:`forecast.model.Fitted`. Holds weights and sizes, no history.

    ``ids`` are the series trained on, in the order of the net's own parameters for each; ``None`` where it has none.
    ``readings`` is how covariates reach the net.
    """

    architecture: Architecture
    facts: Facts
    net: nn.Module
    intervals: Conformal | None
    history: dict[str, Any]
    ids: pd.Index | None = None
    readings: Readings = UNREAD

    @property
    def input_size(self) -> int | None:
        """Rows of its window: a shorter series is padded; ``None`` where whole series are read, however short."""
        return None if needs_of(self.architecture).whole else self.facts.input_size

    @property
    def reach(self) -> tuple[float, float]:
        """The probabilities between which it has quantiles."""
        probs = self.facts.probs
        return (probs[0], probs[-1]) if probs else REACH

    @property
    def kind(self) -> str:
        """The kind of values that it forecasts: that of its likelihood."""
        return kind_forecast(self.architecture)

    @property
    def discrete(self) -> bool:
        """Whether its quantiles are whole numbers."""
        likelihood = self.facts.distribution
        return likelihood is not None and likelihood.discrete

    def sample(self, panel: Panel, h: int, samples: int, seed: int | None = None) -> Float | None:
        """See :class:`forecast.model.Sampling`; of nets that sample, the others give ``None``."""
        if not needs_of(self.architecture).samples:
            return None
        tell_strangers(panel, self.readings)
        affine, windows = self.windows(panel)
        paths = np.empty((len(panel), samples, h))
        with torch.inference_mode():
            for rows, scaled in windows:
                drawn = paths_of(self.net, scaled.batch, samples, seed)[..., :h]
                paths[rows] = scaled.restore(drawn.transpose(1, 2)).numpy().transpose(0, 2, 1)
        return affine.inverse(paths)

    def predict(self, panel: Panel, h: int, probs: tuple[float, ...] = ()) -> Prediction:
        """Forecast ``h`` steps (at most the trained horizon) after the last row of each series.

        Series shorter than the window are padded on the left. Raises ``ConfigError`` for a longer horizon, or for
        probabilities outside those a quantile net was trained on.
        """
        if h > self.facts.h:
            raise ConfigError(f"h={h} is beyond the trained horizon of {self.facts.h}. Fit again with a larger h.")
        keep_freed_memory()
        tell_strangers(panel, self.readings)
        return self._forecast(panel, h, probs)

    def _forecast(self, panel: Panel, h: int, probs: tuple[float, ...]) -> Prediction:
        if self.facts.likelihood:
            return distributed(self, panel, h, probs)
        output, spread = self._outputs(panel)
        output = output[:, :h]
        point = output[..., point_index(self.facts.probs)]
        if not probs:
            return Prediction(point, np.empty((*point.shape, 0)))
        if self.intervals is not None:
            return Prediction(point, self.intervals.quantiles(point, spread, probs), probs)
        return Prediction(point, self._interpolated(output, probs), probs)

    def _outputs(self, panel: Panel) -> tuple[Float, Float]:
        """The net's outputs (S, h, outputs) and each window's spread (S,), in original units."""
        affine, windows = self.windows(panel)
        outputs = np.empty((len(panel), self.facts.h, self.facts.outputs))
        spread = np.empty(len(panel))
        with torch.inference_mode():
            for rows, scaled in windows:
                outputs[rows] = scaled.restore(self.net(scaled.batch)).numpy()
                spread[rows] = scaled.scale[:, 0].numpy()
        return affine.inverse(outputs), spread * affine.spread

    def windows(self, panel: Panel) -> tuple[Affine, Iterator[tuple[slice, Scaled]]]:
        """The units of each series, and the last windows of some series at a time, as the net reads them."""
        size = self.facts.input_size
        tail = panel.tail(size)
        measure = measure_of(self.architecture)
        if self.facts.channels == 1 and has_unknown(tail):
            tail = fill_unknown(tail, "ffill" if measure.common else "interpolate")
        # What is divided by the window's spread may come in any units; the rest, and windows that have none, need those
        # they were trained in.
        own = (measure.spread or measure.levels) and not measure.flat
        units = measure.affine(tail if own else panel)
        affine = units if measure.common else anchored(units, tail, panel)
        trained_as = None if self.ids is None else self.ids.get_indexer(panel.ids).astype(np.int64)
        masked = self.facts.channels == 2
        padding, ahead = size - tail.lengths, self.facts.h
        store = build_store(
            tail, affine, padding, indicator=masked, trained_as=trained_as, readings=self.readings, ahead=ahead
        )
        starts, places = last_windows(store, size), anchors(affine) if measure.flat else None

        def scaled(rows: slice) -> Scaled:
            batch = gather(store, starts[rows], size)
            return measure.scaled(batch if places is None else told(batch, places[rows]))

        return affine, ((rows, scaled(rows)) for rows in chunks(len(panel)))

    def _interpolated(self, output: Float, probs: tuple[float, ...]) -> Float:
        """Quantiles between the trained ones, linearly in probability."""
        known = np.array(self.facts.probs)
        beyond = [p for p in probs if p < known[0] - 1e-9 or p > known[-1] + 1e-9]
        if beyond:
            raise ConfigError(
                f"quantiles {beyond} lie outside the trained {known[0]:g} … {known[-1]:g}. "
                f"Fit with quantiles=(…, {', '.join(f'{p:g}' for p in beyond)})."
            )
        place = np.interp(probs, known, np.arange(len(known)))
        low = np.floor(place).astype(int)
        share = place - low
        if not share.any():  # trained ones alone
            return ascending(output if np.array_equal(low, np.arange(output.shape[-1])) else output[..., low])
        high = np.minimum(low + 1, len(known) - 1)
        return ascending(output[..., low] * (1.0 - share) + output[..., high] * share)

    def describe(self) -> dict[str, Any]:
        """Sizes, layers (of one net where several are averaged; ``parameters`` are those of all), learning curves."""
        example = torch.zeros(2, self.facts.input_size)
        observed = torch.ones_like(example) if self.facts.channels == 2 else None
        static = torch.zeros(2, self.facts.static) if self.facts.static else None
        hist = torch.zeros(2, self.facts.input_size, self.facts.hist) if self.facts.hist else None
        futr = torch.zeros(2, self.facts.input_size + self.facts.h, self.facts.futr) if self.facts.futr else None
        batch = Batch(example, observed, static=static, hist=hist, futr=futr)
        return {
            "kind": type(self.architecture).__name__,
            "hyper_parameters": asdict(self.architecture),  # type: ignore[call-overload]
            "input_size": self.facts.input_size,
            "h": self.facts.h,
            "seasons": list(self.facts.seasons),
            "parameters": parameter_count(self.net),
            "layers": layer_table(members_of(self.net)[0], batch),
            **self.history,
        }


def chunks(count: int) -> Iterator[slice]:
    """Series to forecast at a time."""
    for start in range(0, count, PREDICT_BATCH):
        yield slice(start, min(start + PREDICT_BATCH, count))
