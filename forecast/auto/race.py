"""The race: every candidate forecasts the validation folds; what cannot win leaves early."""

from __future__ import annotations

import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from forecast.auto.candidates import Candidate
from forecast.auto.clock import START_SECONDS, Clock
from forecast.auto.folds import Folds
from forecast.baselines.pool import map_chunks
from forecast.errors import DataError, ForecastWarning, TrainingError
from forecast.model import Fitted, Task
from forecast.panel.panel import Panel
from forecast.progress import progress
from forecast.training.settings import Training

Float = npt.NDArray[np.float64]

GLANCE_SERIES = 40
HOPELESS = 1.25  # a loss this many times the best one's, at a glance
BASELINE_SHARE = 0.08  # of the time: what one costly baseline may take
NET_SHARE = 0.1  # of the time: what the first heat of the nets may take
LEAST_HEAT = 1.0


def nothing() -> Float:
    """Forecasts of nobody."""
    return np.empty((0, 0, 0))


IMPROVING = 0.95  # best weights found later than this share of a heat: it should train longer


@dataclass(frozen=True)
class Trial:
    """How one candidate did.

    Attributes:
        candidate: who.
        seconds: what it took.
        verdict: why it left, empty for one that is still in.
        forecasts: of the folds, shape (S, K, h); empty when it left before.
        fitted: of a net, as its heat left it.
    """

    candidate: Candidate
    seconds: float
    verdict: str = ""
    forecasts: Float = field(default_factory=nothing)
    fitted: Any = None

    @property
    def entered(self) -> bool:
        """Whether it has forecasts of the folds."""
        return not self.verdict

    @property
    def best_step(self) -> int:
        """Where a net's best weights were found."""
        return int(self.fitted.history["best_step"])

    @property
    def share(self) -> float:
        """The same as a share of its heat."""
        return self.best_step / max(1, int(self.fitted.history["steps"]))

    @property
    def cycles(self) -> int:
        """How many cycles of the learning rate that took."""
        curves = self.fitted.history["curves"]
        return 1 + next(int(point["cycle"]) for point in curves if point["step"] == self.best_step)

    @property
    def improving(self) -> bool:
        """Whether a net was still getting better when its heat ended."""
        return self.fitted is not None and self.share >= IMPROVING


def forecast_folds(fitted: Fitted, pasts: Sequence[Panel], h: int) -> Float:
    """Point forecasts from each of the K pasts, (S, K, h)."""
    return np.stack([fitted.predict(past, h).point for past in pasts], axis=1)


def race_baselines(
    candidates: Sequence[Candidate], folds: Folds, task: Task, training: Training, clock: Clock
) -> list[Trial]:
    """Let every baseline forecast the folds; a costly one is looked at on a few series first."""
    trials: list[Trial] = []
    with progress("auto: baselines", len(candidates), task.progress) as advance:
        for candidate in candidates:
            trials.append(_race_baseline(candidate, folds, replace(task, progress=False), training, clock, trials))
            advance(1)
    return trials


def _race_baseline(
    candidate: Candidate, folds: Folds, task: Task, training: Training, clock: Clock, before: Sequence[Trial]
) -> Trial:
    started = time.monotonic()
    model = candidate.model(training)
    if candidate.costly and len(folds.chosen) > GLANCE_SERIES:
        few = np.linspace(0, len(folds.chosen) - 1, GLANCE_SERIES).astype(np.int64)
        last = folds.pasts[-1].take(few)
        point = model.fit(last, task).predict(last, task.h).point
        seconds = time.monotonic() - started
        needed = candidate.costly * seconds * len(folds.chosen) / GLANCE_SERIES * (len(folds) + 1)
        if needed > clock.share(BASELINE_SHARE):
            return Trial(candidate, seconds, f"would take {needed:.0f} s")
        loss, best = folds.at(few).loss(point[:, None]), _best_at(before, folds, few)
        if loss > HOPELESS * best:
            return Trial(candidate, seconds, f"{loss / best:.2f} times the best baseline's loss at a glance")
    forecasts = forecast_folds(model.fit(folds.pasts[-1], task), folds.pasts, task.h)
    return Trial(candidate, time.monotonic() - started, "", forecasts)


def _best_at(trials: Sequence[Trial], folds: Folds, few: npt.NDArray[np.int64]) -> float:
    """The best loss so far on a few series of the last fold."""
    part = folds.at(few)
    losses = [part.loss(trial.forecasts[few, -1:]) for trial in trials if trial.entered]
    return min(losses, default=float("inf"))


@dataclass(frozen=True)
class Order:
    """One net to train, possibly in another process, and what to forecast with it."""

    candidate: Candidate
    training: Training
    panel: Panel
    task: Task
    pasts: tuple[Panel, ...] = ()


@dataclass(frozen=True)
class Delivery:
    """A trained net with its forecasts of the order's pasts (empty without any), or why there is none."""

    seconds: float
    problem: str = ""
    fitted: Any = None
    forecasts: Float = field(default_factory=nothing)


def carry_out(order: Order) -> Delivery:
    """Train one net. What this panel or these settings make impossible is reported, not raised."""
    started = time.monotonic()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ForecastWarning)
            fitted = order.candidate.model(order.training).fit(order.panel, replace(order.task, progress=False))
    except (DataError, TrainingError) as problem:
        return Delivery(time.monotonic() - started, str(problem).partition("\n")[0])
    forecasts = forecast_folds(fitted, order.pasts, order.task.h) if order.pasts else nothing()
    return Delivery(time.monotonic() - started, "", fitted, forecasts)


def carry_out_all(orders: Sequence[Order], workers: int, label: str, shown: bool) -> list[Delivery]:
    """Every order, ``workers`` at a time, in order."""
    with progress(label, len(orders), shown) as advance:
        done = partial(_tick, advance)
        return map_chunks(carry_out, orders, workers=workers, patience=0.0 if workers > 1 else None, finished=done)


def _tick(advance: Any, _: Delivery) -> None:
    advance(1)


def race_nets(
    candidates: Sequence[Candidate], folds: Folds, task: Task, training: Training, clock: Clock, workers: int
) -> list[Trial]:
    """A first heat: every net trains a short while on what was known at the first cutoff, and forecasts the folds.

    Of more candidates than there is time for, those named first take part.
    """
    if not candidates:
        return []
    if clock.seconds is None:
        running, heat = list(candidates), training
    else:
        room = max(0.0, clock.share(NET_SHARE) - START_SECONDS) * workers
        number = max(1, min(len(candidates), int(room / LEAST_HEAT)))
        running = list(candidates[:number])
        rounds = -(-number // workers)
        heat = replace(training, max_time=max(LEAST_HEAT, room / workers / rounds), max_steps=None)
    orders = [Order(candidate, heat, folds.pasts[0], task, folds.pasts) for candidate in running]
    deliveries = carry_out_all(orders, min(workers, len(orders)), "auto: nets", task.progress)
    trials = [_trial(candidate, made) for candidate, made in zip(running, deliveries, strict=True)]
    return trials + [Trial(candidate, 0.0, "no time left to try it") for candidate in candidates[len(running) :]]


def _trial(candidate: Candidate, made: Delivery) -> Trial:
    if made.fitted is None:
        return Trial(candidate, made.seconds, made.problem)
    return Trial(candidate, made.seconds, "", made.forecasts, made.fitted)
