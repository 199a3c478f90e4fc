"""Permutation importance: how much worse forecasts get when a covariate tells nothing any more.

A column is put out of order (see :func:`~forecast.report.shuffle.shuffled`), the fitted model forecasts again from the
same cutoffs, and its error is compared with that of the forecasts from the true column. The rise is averaged over
several such draws, and their standard deviation tells how much of it is luck: Breiman, "Random Forests", Machine
Learning 45 (2001); Fisher, Rudin and Dominici, "All Models are Wrong, but Many are Useful", JMLR 20 (2019), whose model
reliance is the ratio of the two errors; :func:`sklearn.inspection.permutation_importance` computes the same of tables.

Columns that say the same stand in for each other, so that each may seem useless: the importance of a whole role, all
its columns put out of order together, tells. It is what *this* model makes of a column, not what the column is worth.
"""

from __future__ import annotations

import time
import warnings
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from forecast.bad_series import Bad, good_series
from forecast.checks import whole_number
from forecast.errors import ConfigError, ForecastWarning, some
from forecast.model import Fitted, Model
from forecast.panel.panel import Panel
from forecast.progress import progress as _progress
from forecast.report.evaluate import POINT_METRICS
from forecast.report.exams import Exam, affordable, exam_of, spread_evenly, windows_at
from forecast.report.shuffle import FIELDS, columns_of

Int = npt.NDArray[np.int64]
Float = npt.NDArray[np.float64]

METRICS = tuple(metric for metric in POINT_METRICS if metric != "owa")
MOST_SERIES, MOST_CUTOFFS = 500, 8  # more say little more, and cost time
ALL = ""  # the column of an effect that is that of its whole role


@dataclass(frozen=True)
class Effect:
    """What putting a column out of order does to a model.

    Attributes:
        model: the model.
        role: ``static``, ``hist``, ``futr`` or ``calendar``.
        column: the column; empty for all of the role together.
        score: the error with everything in order.
        rise: by how much the error rises, the mean over draws; below 0 it falls.
        spread: the standard deviation over draws.
        repeats: how many there were.
    """

    model: str
    role: str
    column: str
    score: float
    rise: float
    spread: float
    repeats: int


@dataclass(frozen=True)
class Importance:
    """The effects of all columns on all models that read them, and what they were measured on."""

    metric: str = METRICS[0]
    series: int = 0
    cutoffs: int = 0
    effects: tuple[Effect, ...] = ()
    notes: tuple[str, ...] = ()

    def frame(self) -> pd.DataFrame:
        """A row for each effect."""
        return pd.DataFrame([asdict(effect) for effect in self.effects], columns=list(Effect.__dataclass_fields__))

    def facts(self) -> dict[str, Any]:
        """The same as plain values, for :func:`importance_of`."""
        return asdict(self) | {"effects": [asdict(one) for one in self.effects], "notes": list(self.notes)}


def importance_of(facts: Mapping[str, Any] | None) -> Importance | None:
    """What :meth:`Importance.facts` wrote; ``None`` for nothing."""
    if not facts:
        return None
    effects = tuple(Effect(**effect) for effect in facts["effects"])
    return Importance(**{**facts, "effects": effects, "notes": tuple(facts["notes"])})


def roles_read(models: Mapping[str, Model], panel: Panel) -> dict[str, tuple[str, ...]]:
    """The roles of covariates that ``panel`` has and each model says it reads; models that read none are left out."""
    found = {}
    for name, model in models.items():
        roles = [role for role, held in FIELDS.items() if getattr(model, f"reads_{held}", None)]
        had = tuple(role for role in roles if columns_of(panel, role))
        if had:
            found[name] = had
    return found


@dataclass
class Clock:
    """Time that may be spent: ``seconds`` from now on, no end for ``None``."""

    seconds: float | None
    started: float = field(default_factory=time.monotonic)

    def over(self) -> bool:
        """Whether it is."""
        return self.seconds is not None and time.monotonic() - self.started > self.seconds


def permutation_importance(
    fitted: Mapping[str, Fitted],
    roles: Mapping[str, Sequence[str]],
    panel: Panel,
    cutoffs: Int,
    h: int,
    season_length: int,
    *,
    metric: str = "mase",
    repeats: int = 5,
    seed: int = 0,
    max_time: float | None = 60.0,
    bad: Bad = MappingProxyType({}),
    progress: bool = False,
) -> Importance:
    """How much each covariate is worth to each model, from the cutoffs (ordinals, shape (K, S)) of a backtest.

    Args:
        fitted: models as they were at these cutoffs, none of which lies before what they were fitted on ended.
        roles: the roles that each of them reads, see :func:`roles_read`; other models are left out.
        panel: the series, and what time tells of them, as in the backtest. It is not changed.
        h: steps to forecast.
        season_length: the season in steps, for the scale of MASE.
        metric: one of ``mase``, ``rmsse``, ``mae``, ``mse``, ``rmse``, ``smape``, ``mape``. Where ``mase`` is not
            defined for any series, ``mae`` stands in. Events and classes are judged by the Brier score.
        repeats: draws for each column.
        seed: decides the draws, and which series are looked at where there are more than 500 (of the cutoffs it is
            at most 8, evenly spaced).
        max_time: seconds after which no draw is begun. What was measured by then is what there is: each column of
            every model comes once before any comes twice, whole roles first.
        bad: series that get naive forecasts, which are left out.
        progress: whether a progress bar or lines may be shown.

    Raises ``ConfigError`` for an unknown metric or role.
    """
    if metric not in METRICS:
        raise ConfigError(f"metric={metric!r} is not one of {', '.join(METRICS)}.")
    repeats = whole_number("repeats", repeats)
    clock = Clock(max_time)
    chosen = _sample(panel, bad, seed)
    part, given = panel.take(chosen), len(cutoffs)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ForecastWarning)  # the backtest has told them
        windows = windows_at(part, cutoffs[spread_evenly(given, MOST_CUTOFFS)][:, chosen], h, season_length)
        windows = affordable(windows, fitted, roles, h, max_time)
        exams = [exam_of(part, windows, name, fitted[name], h, season_length) for name in roles if windows]
        true = {exam.name: exam.score_true(metric) for exam in exams}
        if not np.isfinite(list(true.values())).all():
            metric = "mae"
            true = {exam.name: exam.score_true(metric) for exam in exams}
        items, notes = _items(exams, roles)
        with _progress("importance", repeats * len(items), progress) as advance:
            effects = _effects(items, true, metric, repeats, seed, clock, advance)
    measured = {(effect.model, effect.role, effect.column) for effect in effects}
    lost = [item.says for item in items if item.key not in measured]
    if lost:
        notes.append(f"No time was left for {some(lost)}.")
    if len(windows) < given:
        notes.insert(0, f"Of {given:,} cutoffs {len(windows):,} were looked at.")
    if len(chosen) < len(panel):
        notes.insert(0, f"Of {len(panel):,} series {len(chosen):,} were looked at.")
    return Importance(metric, len(chosen), len(windows), tuple(effects), tuple(notes))


def _sample(panel: Panel, bad: Bad, seed: int) -> Int:
    """The series looked at, in their order."""
    good = panel.ids.get_indexer(good_series(panel, bad).ids).astype(np.int64)
    if len(good) <= MOST_SERIES:
        return good
    return np.sort(np.random.default_rng(seed).choice(good, MOST_SERIES, replace=False))


@dataclass(frozen=True)
class Item:
    """Columns of a role to put out of order together; ``column`` is empty where that is the whole role."""

    exam: Exam
    role: str
    column: str
    names: tuple[str, ...]

    @property
    def key(self) -> tuple[str, str, str]:
        """Tells it from the others."""
        return self.exam.name, self.role, self.column

    @property
    def says(self) -> str:
        """It in words."""
        return self.column or f"all of {self.role}"


def _items(exams: Sequence[Exam], roles: Mapping[str, Sequence[str]]) -> tuple[list[Item], list[str]]:
    """What is to be put out of order, whole roles first because they say most, and what cannot be."""
    items: list[Item] = []
    notes: dict[str, None] = {}
    for exam in exams:
        panel = exam.windows[0].panel
        for role in roles[exam.name]:
            names = columns_of(panel, role)
            if role == "static" and len(panel) < 2:
                notes["Static features of a single series cannot be put out of order."] = None
                continue
            items += [Item(exam, role, ALL, names)] if len(names) > 1 else []
            items += [Item(exam, role, name, (name,)) for name in names]
    return sorted(items, key=lambda item: item.column != ALL), list(notes)


def _effects(
    items: Sequence[Item],
    true: Mapping[str, float],
    metric: str,
    repeats: int,
    seed: int,
    clock: Clock,
    advance: Callable[[int], None],
) -> list[Effect]:
    """The effects of all items that there was time for."""
    rises: list[list[float]] = [[] for _ in items]
    for number in range(repeats):
        for item, own in zip(items, rises, strict=True):
            if clock.over():
                break
            # The same draw whatever else is measured, and however fast.
            rng = np.random.default_rng([seed, number, zlib.crc32(f"{item.role}/{item.column}".encode())])
            exam = item.exam
            own.append(exam.score_shuffled(item.role, item.names, metric, rng) - true[exam.name])
            advance(1)
    return [
        Effect(*item.key, true[item.exam.name], float(np.mean(own)), float(np.std(own)), len(own))
        for item, own in zip(items, rises, strict=True)
        if own
    ]
