"""`auto`: find out what suits the panel, spend the time budget on it, and ensemble the best few."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from forecast.auto import candidates as entrants
from forecast.auto.candidates import Candidate
from forecast.auto.clock import Clock
from forecast.auto.finals import Finalist, run_finals
from forecast.auto.folds import Folds, cut_folds
from forecast.auto.race import Trial, race_baselines, race_nets
from forecast.auto.season import detected_season
from forecast.auto.weights import COMBINE, combine, common_weights, series_weights
from forecast.baselines.pool import available_workers
from forecast.ensemble import FittedEnsemble, Member, Weights, refuse_nested
from forecast.errors import ConfigError
from forecast.model import Task
from forecast.models import create
from forecast.nets.facts import needs_of
from forecast.panel.panel import Panel

if TYPE_CHECKING:
    from forecast.training.settings import Training

Float = npt.NDArray[np.float64]

DEFAULT_SECONDS = 300.0


@dataclass(frozen=True)
class Auto:
    """The best forecast that can be had in a given time, told nothing but horizon and frequency.

    Baselines and a few nets forecast the last rows of the series, which they have not seen; what is clearly worse
    leaves early. The nets that are worth it are trained for the rest of the time, in as many processes as there are
    cores, and combined with the baselines by weights that held-out rows decide, common ones tilted series by series.
    On the held-out rows the result is never worse than the best baseline. ``describe()`` and the report tell what was
    tried and why it was chosen.

    Args:
        max_time: seconds for everything up to the fitted model; ``None`` takes that of the training settings, or 300.
            With ``max_steps`` in the training settings and no time anywhere, every net trains that many steps and the
            result can be repeated exactly.
        models: names of the candidates; empty chooses them by the lengths of the series.

    Raises ``ConfigError`` for an unknown candidate, one that is an ensemble itself or forecasts by age, or a time that
    is not positive.
    """

    max_time: float | None = None
    models: tuple[str, ...] = ()

    def trained_by(self, training: Training, name: str) -> AutoModel:
        """The same as a model whose nets train by ``training``."""
        if self.max_time is not None and not self.max_time > 0:
            raise ConfigError(f"{name}: max_time={self.max_time!r} must be a positive number of seconds, or null.")
        refuse_nested(name, self.models)
        cold = [model for model in self.models if needs_of(create(model)).cold]
        if cold:
            raise ConfigError(f"{name}: {', '.join(cold)} forecasts by age and cannot be raced. Fit it by itself.")
        return AutoModel(self, training, name)


@dataclass(frozen=True)
class AutoModel:
    """`auto` with training settings: satisfies :class:`forecast.model.Model`."""

    spec: Auto
    training: Training
    name: str = "auto"

    @property
    def reads_static(self) -> bool:
        """Whether any candidate makes use of static features."""
        return not self.spec.models or any(needs_of(create(model)).static for model in self.spec.models)

    @property
    def reads_hist(self) -> bool:
        """Whether any candidate makes use of covariates known up to the cutoff."""
        return not self.spec.models or any(needs_of(create(model)).hist for model in self.spec.models)

    @property
    def reads_futr(self) -> bool:
        """Whether any candidate makes use of covariates known into the future."""
        return not self.spec.models or any(needs_of(create(model)).futr for model in self.spec.models)

    def fit(self, panel: Panel, task: Task) -> FittedEnsemble:
        """Race, train, ensemble. Raises ``DataError`` when no candidate can forecast the panel."""
        clock = Clock(self._seconds())
        asked, task = task, replace(task, season_length=detected_season(panel, task.season_length))
        baselines, nets = self._entrants(panel, task)
        folds = cut_folds(panel, asked)
        if folds is None:
            return self._untested(panel, task, baselines)
        trials = race_baselines(baselines, folds, task, self.training, clock)
        if trials and trials[0].entered:
            folds = folds.referred(trials[0].forecasts)
        trials += race_nets(nets, folds, task, self.training, clock, available_workers())
        entered = [trial for trial in trials if trial.entered]
        if not entered:
            return self._untested(panel, task, baselines)
        forecasts = np.stack([trial.forecasts for trial in entered])
        common = common_weights(folds, forecasts)
        final = run_finals(entered, common, folds, panel, task, self.training, clock)
        return self._assembled(panel, task, final.folds, final.finalists, trials, clock, folds)

    def _seconds(self) -> float | None:
        if self.spec.max_time is not None:
            return self.spec.max_time
        if self.training.max_time is not None or self.training.max_steps is not None:
            return self.training.max_time
        return DEFAULT_SECONDS

    def _entrants(self, panel: Panel, task: Task) -> tuple[list[Candidate], list[Candidate]]:
        if not self.spec.models:
            return entrants.baselines(panel, task), entrants.nets(panel, task)
        chosen = entrants.named(self.spec.models)
        return [c for c in chosen if not c.is_net], [c for c in chosen if c.is_net]

    def _untested(self, panel: Panel, task: Task, baselines: Sequence[Candidate]) -> FittedEnsemble:
        """Series too short to hold anything out: the baselines that need least, equally weighted."""
        chosen = [c for c in baselines if not c.costly][-2:] or list(baselines[:1])
        if not chosen:
            raise ConfigError(
                f"{self.name}: the series are too short to compare nets on held-out rows. Add a baseline to models, "
                "theta for example, or use a net directly."
            )
        members = tuple(Member(c.name, m := c.model(self.training), m.fit(panel, task)) for c in chosen)
        why = "No series is long enough to hold out a horizon, so nothing could be compared."
        return FittedEnsemble(members, Weights.equal(len(members)), COMBINE, {"kind": "Auto", "why": why, "tried": []})

    def _assembled(
        self,
        panel: Panel,
        task: Task,
        folds: Folds,
        finalists: Sequence[Finalist],
        trials: Sequence[Trial],
        clock: Clock,
        raced: Folds,
    ) -> FittedEnsemble:
        """Weights of the finalists, and the account of how they came about."""
        forecasts = np.stack([finalist.forecasts for finalist in finalists])
        common = common_weights(folds, forecasts)
        table, tilt = series_weights(folds, forecasts, common)
        common, table = _no_worse_than_a_baseline(folds, finalists, forecasts, common, table)
        loss = folds.loss(combine(forecasts, table))
        kept = np.flatnonzero((common > 0.0) | (table > 0.0).any(0))
        members = tuple(Member(f.name, f.model, f.fitted) for f in (finalists[int(number)] for number in kept))
        weights = Weights(common[kept], panel.ids[folds.chosen], table[:, kept])
        mase, smape = folds.score(combine(forecasts, table))
        history = {
            "kind": "Auto",
            "why": _why(finalists, common, loss, folds),
            "season_length": task.season_length,
            "folds": len(raced),
            "series_judged": len(raced.chosen),
            "validation": {"mase": mase, "smape": smape, "loss": loss},
            "tilt": tilt,
            "seconds": round(clock.elapsed(), 1),
            "training": self.training.recipe,
            "tried": [_account(trial, raced) for trial in trials],
        }
        return FittedEnsemble(members, weights, COMBINE, history)


def _no_worse_than_a_baseline(
    folds: Folds, finalists: Sequence[Finalist], forecasts: Float, common: Float, table: Float
) -> tuple[Float, Float]:
    """The weights given, the common ones for all series, or the best baseline alone: the first to keep the promise."""
    losses = [folds.loss(f) if not one.is_net else np.inf for one, f in zip(finalists, forecasts, strict=True)]
    best = int(np.argmin(losses))
    for candidate in (table, np.tile(common, (len(table), 1))):
        if folds.loss(combine(forecasts, candidate)) <= losses[best]:
            return common, candidate
    alone = np.eye(len(finalists))[best]
    return alone, np.tile(alone, (len(table), 1))


def _why(finalists: Sequence[Finalist], common: Float, loss: float, folds: Folds) -> str:
    order = [number for number in np.argsort(-common) if common[number] > 0.0]
    named = ", ".join(f"{finalists[number].name} {common[number]:.0%}" for number in order)
    singles = {f.name: folds.loss(f.forecasts) for f in finalists}
    best = min(singles, key=lambda name: singles[name])
    return (
        f"On {folds.pairs} held-out horizons the mixture ({named}) had a loss of {loss:.3f}, "
        f"the best single one ({best}) {singles[best]:.3f}; 1 is the first baseline's."
    )


def _account(trial: Trial, folds: Folds) -> dict[str, Any]:
    """One row of what was tried."""
    facts: dict[str, Any] = {"name": trial.candidate.name, "seconds": round(trial.seconds, 2)}
    if not trial.entered:
        return {**facts, "verdict": f"out: {trial.verdict}"}
    mase, smape = folds.score(trial.forecasts)
    return {
        **facts,
        "mase": mase,
        "smape": smape,
        "loss": folds.loss(trial.forecasts),
        "verdict": trial.verdict or "in",
    }
