"""The finals: the nets that earned a weight train for the rest of the time, on all that is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from forecast.auto.candidates import Candidate
from forecast.auto.clock import Clock
from forecast.auto.folds import Folds
from forecast.auto.race import HOPELESS, Delivery, Order, Trial, carry_out_all
from forecast.baselines.pool import available_workers
from forecast.ensemble import reseeded
from forecast.model import Fitted, Model, Task
from forecast.panel.panel import Panel
from forecast.training.settings import Training

Float = npt.NDArray[np.float64]

MOST_MEMBERS = 8
CLAIM = 8.0  # a loss one eighth above the best one's makes a claim smaller by the factor e
SAFETY = 1.3  # seconds a training may take for one expected
LEAST_SECONDS = 1.0
LONG_ENOUGH = 90.0  # seconds after which another net helps more than as long again for the same one


@dataclass(frozen=True)
class Finalist:
    """A fitted model with the forecasts that decide its weight."""

    name: str
    model: Model
    fitted: Fitted
    forecasts: Float
    is_net: bool


@dataclass(frozen=True)
class Finals:
    """Everyone who is left, and the folds that their forecasts are of."""

    finalists: tuple[Finalist, ...]
    folds: Folds


@dataclass(frozen=True)
class Place:
    """One training in the finals, of a candidate whose name tells its seed."""

    trial: Trial
    candidate: Candidate
    training: Training
    task: Task


def run_finals(
    trials: Sequence[Trial], common: Float, folds: Folds, panel: Panel, task: Task, training: Training, clock: Clock
) -> Finals:
    """Train the nets with a weight and gather everyone who has one.

    A net that was still improving when its heat ended trains on, holding out the last horizon, on which all finalists
    are then weighed again. One that was best before trains exactly that far again, on everything. Without time left,
    or when no training succeeds, nets stay as their heats left them. Nets without a weight train on as well when the
    best of them is near the baselines and still improving: a heat on a busy machine is short, and time is left.
    """
    nets = [(t, w) for t, w in zip(trials, common, strict=True) if t.candidate.is_net]
    weighty = [pair for pair in nets if pair[1] > 0.0]
    workers = available_workers()
    leader = max(weighty, key=lambda pair: pair[1])[0] if weighty else _contender(trials, folds)
    going_on = clock.seconds is not None and leader is not None and leader.improving
    chosen = _promising(nets, folds) if going_on else weighty
    if clock.left() < LEAST_SECONDS:
        going_on, places = False, []
    else:
        places = _places(chosen, going_on, task, training, clock, workers)
    pasts = folds.latest().pasts if going_on else ()
    orders = [Order(p.candidate, p.training, panel, p.task, pasts) for p in places]
    deliveries = carry_out_all(orders, min(workers, max(1, len(orders))), "auto: finals", task.progress)
    latest = folds.latest() if going_on else folds
    finalists = [
        _baseline(trial, latest, panel, task, training)
        for trial, weight in zip(trials, common, strict=True)
        if not trial.candidate.is_net and (weight > 0.0 or going_on)
    ]
    finalists += [_net(place, made) for place, made in zip(places, deliveries, strict=True) if made.fitted is not None]
    if not any(one.is_net for one in finalists):
        finalists += [_as_it_was(trial, latest, training) for trial, _ in chosen]
    return Finals(tuple(finalists), latest)


def _contender(trials: Sequence[Trial], folds: Folds) -> Trial | None:
    """The best net, if it is not hopelessly behind the best of all."""
    losses = [folds.loss(trial.forecasts) for trial in trials]
    nets = [number for number, trial in enumerate(trials) if trial.candidate.is_net]
    best = min(nets, key=lambda number: losses[number], default=None)
    return trials[best] if best is not None and losses[best] <= HOPELESS * min(losses) else None


def _promising(nets: Sequence[tuple[Trial, float]], folds: Folds) -> list[tuple[Trial, float]]:
    """The nets that may still come out first after a long training, each with its claim to a place in it.

    A short heat says more about who is hopeless than about who will be best, so claims fall off gently.
    """
    losses = np.array([folds.loss(trial.forecasts) / trial.candidate.slow for trial, _ in nets])
    claims = np.exp(-CLAIM * (losses / losses.min() - 1.0))
    near = losses <= HOPELESS * losses.min()
    return [(trial, float(claim)) for (trial, _), claim, ok in zip(nets, claims, near, strict=True) if ok]


def _baseline(trial: Trial, folds: Folds, panel: Panel, task: Task, training: Training) -> Finalist:
    model = trial.candidate.model(training)
    return Finalist(trial.candidate.name, model, model.fit(panel, task), trial.forecasts[:, -len(folds) :], False)


def _net(place: Place, made: Delivery) -> Finalist:
    """A trained net. What saw everything cannot tell how wrong it is: its heat's forecasts and intervals stand in."""
    fitted, forecasts = made.fitted, made.forecasts
    if not forecasts.size:
        fitted, forecasts = replace(fitted, intervals=place.trial.fitted.intervals), place.trial.forecasts
    return Finalist(place.candidate.name, place.candidate.model(place.training), fitted, forecasts, True)


def _as_it_was(trial: Trial, folds: Folds, training: Training) -> Finalist:
    model = trial.candidate.model(training)
    return Finalist(trial.candidate.name, model, trial.fitted, trial.forecasts[:, -len(folds) :], True)


def _places(
    chosen: Sequence[tuple[Trial, float]], going_on: bool, task: Task, training: Training, clock: Clock, workers: int
) -> list[Place]:
    """Who trains, how long and from which seed: places shared out by weight (d'Hondt), seeds counted net by net."""
    if not chosen:
        return []
    if clock.seconds is None:
        return [Place(trial, trial.candidate, _again(trial, training), _all_of_it(task)) for trial, _ in chosen]
    left = clock.left()
    rounds = 2 if left >= 2 * LONG_ENOUGH else 1
    number = min(MOST_MEMBERS, rounds * workers) if going_on else MOST_MEMBERS
    places: list[Place] = []
    load = np.zeros(workers)
    counts = dict.fromkeys(range(len(chosen)), 0)
    while len(places) < number:
        winner = max(counts, key=lambda n: chosen[n][1] / (counts[n] + 1))
        trial = chosen[winner][0]
        seconds = left / rounds if going_on else SAFETY * trial.seconds * trial.share
        worker = int(load.argmin())
        if places and load[worker] + seconds > 1.001 * left:
            break
        load[worker] += seconds
        counts[winner] += 1
        name = trial.candidate.name if counts[winner] == 1 else f"{trial.candidate.name}#{counts[winner]}"
        candidate = replace(trial.candidate, name=name)
        mine = reseeded(task, counts[winner] - 1)
        if going_on:
            places.append(Place(trial, candidate, replace(training, max_time=seconds, max_steps=None), mine))
        else:
            places.append(Place(trial, candidate, _again(trial, replace(training, max_time=left)), _all_of_it(mine)))
    return places


def _again(trial: Trial, training: Training) -> Training:
    """Exactly the part of the heat that led to its best weights."""
    snapshots = min(training.snapshots, trial.cycles)
    return replace(training, max_steps=trial.best_step, cycles=trial.cycles, snapshots=snapshots)


def _all_of_it(task: Task) -> Task:
    return replace(task, val_size=0)
