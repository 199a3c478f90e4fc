"""Live accuracy: the scores of committed forecasts, brought up to date when actuals arrive or are corrected.

Only what can have changed is read and scored again. Of every stamp a digest of its actuals is kept, with the slot since
when it has been like that; a run is due when one of its stamps is newer than its last scoring, and then all its
forecasts for such stamps are scored again. So an actual that arrives late, one that is corrected, a run that is
backfilled and a watch that died half-way all come to the same sums. Two things are left as they are: a stamp whose rows
the source no longer has keeps its scores, and the scale of MASE is the one known when a cell was last scored.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd

from forecast.batch.points import reached
from forecast.batch.watch.actuals import (
    TARGET,
    Digests,
    digests,
    ids_like,
    join_actuals,
    newest_target,
    stamps_between,
    whole,
)
from forecast.batch.watch.scores import CELL, Tally, metrics, tally
from forecast.batch.watch.store import Store, digest_text
from forecast.panel.panel import Panel
from forecast.report.folds import grid_ordinals

Int = npt.NDArray[np.int64]
Bool = npt.NDArray[np.bool_]


class Reader(Protocol):
    """Gives the committed forecasts of one run, with ``between`` those for stamps within; a sink's ``read``."""

    def __call__(self, run: str, between: tuple[Any, Any] | None = None) -> pd.DataFrame: ...


@dataclass(frozen=True)
class Known:
    """What is known at a slot: ``at`` (whole microseconds), the rows, and the season for the scale of MASE."""

    at: int
    panel: Panel
    season_length: int


class Seen(NamedTuple):
    """A run that was looked at before, as :data:`forecast.batch.watch.store.WATCHED` says."""

    run: str
    slot: int
    cutoff: int
    first_target: int
    last_target: int
    scored_at: int


def update(
    store: Store, job: str, runs: Sequence[tuple[str, int]], known: Known, read: Reader, familiar: pd.Index | None
) -> list[str]:
    """Bring the scores of ``runs`` up to what is known now; returns those that were scored.

    Args:
        store: the watch's tables.
        job: its name.
        runs: the current run of each slot and the slot (whole microseconds), none later than ``known.at``.
        known: rows, and at which slot they are known.
        read: gives a run's forecasts.
        familiar: the series of the last run. The past of a series that comes new is no news for older runs, which did
            not forecast it; ``None`` counts all.
    """
    names = {run for run, _ in runs}
    seen = {row.run: Seen(*row) for row in store.watched(job).itertuples(index=False) if row.run in names}
    first = min((was.first_target for was in seen.values()), default=newest_target(known.panel))
    changed, since = _changed(store, job, known, first, familiar)
    reached("watch.joined")
    scored = []
    for run, slot in runs:
        was = seen.get(run)
        if was is not None and (was.scored_at > known.at or not _due(was, changed, since)):
            continue
        if was is None:
            _score_whole(store, job, run, slot, known, read(run))
        else:
            due = np.union1d(changed, since.index[since > was.scored_at].to_numpy(dtype=np.int64))
            _score_again(store, job, was, known, read, due)
        scored.append(run)
        reached("watch.scored")
    return scored


def _due(was: Seen, changed: Int, since: pd.Series[int]) -> bool:
    """Whether a run has stamps that changed now, or whose change it has not seen."""
    within = since[(since.index >= was.first_target) & (since.index <= was.last_target)]
    now = (changed >= was.first_target) & (changed <= was.last_target)
    return bool(now.any() or (within > was.scored_at).any())


def _changed(store: Store, job: str, known: Known, first: int, familiar: pd.Index | None) -> tuple[Int, pd.Series[int]]:
    """Stamps whose actuals are new or corrected, and of every stamp the slot since when it has been as it is.

    What is known is noted before any run is scored: a watch that dies then finds its runs older than their stamps.
    """
    now = digests(known.panel, first)
    stored = store.known(job).set_index(TARGET)
    later = stored.index[stored["since"] > known.at]  # a backfill knows less than what is noted, and leaves it
    mine = ~np.isin(now.target, later)
    now = Digests(now.target[mine], now.n[mine], now.digest[mine])
    fresh = ~np.isin(now.target, stored.index) | (_texts(now) != stored["digest"].reindex(now.target).to_numpy())
    changed = now.target[fresh]
    noted = np.full(changed.size, known.at)
    if familiar is not None and changed.size:
        old = _texts(digests(known.panel, first, ids_like(known.panel, familiar.dtype).isin(familiar)), changed)
        same = old == stored["digest"].reindex(changed).to_numpy()
        noted = np.where(same, stored["since"].reindex(changed).fillna(known.at).to_numpy(dtype=np.int64), known.at)
        changed = changed[~same]
    if fresh.any():
        rows = Digests(now.target[fresh], now.n[fresh], now.digest[fresh])
        store.note_known(job, rows, noted, first)
    since = stored["since"].copy()
    for target, at in zip(now.target[fresh].tolist(), noted.tolist(), strict=True):
        since.loc[target] = at
    return changed, since.astype(np.int64)


def _texts(found: Digests, targets: Int | None = None) -> npt.NDArray[Any]:
    """The digests as they are stored; of ``targets`` when given, "" where there is none."""
    texts = np.array([digest_text(digest) for digest in found.digest], dtype=object)
    if targets is None:
        return texts
    return pd.Series(texts, index=found.target, dtype=object).reindex(targets).fillna("").to_numpy()


def _score_whole(store: Store, job: str, run: str, slot: int, known: Known, frame: pd.DataFrame) -> None:
    """Look at a run for the first time."""
    if not len(frame):
        return
    target = whole(grid_ordinals(frame["ds"], known.panel.timeline), known.panel)
    cutoff = whole(grid_ordinals(frame["cutoff"], known.panel.timeline), known.panel)
    row = Seen(run, slot, int(cutoff.max()), int(target.min()), int(target.max()), known.at)
    sums = tally(join_actuals(frame, known.panel, known.season_length))
    store.replace_cells(job, row._asdict(), None, sums)


def _score_again(store: Store, job: str, was: Seen, known: Known, read: Reader, due: Int) -> None:
    """Score a run's forecasts for the stamps in ``due`` anew; only these are read."""
    due = due[(due >= was.first_target) & (due <= was.last_target)]
    frame = read(was.run, stamps_between(int(due[0]), int(due[-1]), known.panel))
    joined = join_actuals(frame, known.panel, known.season_length)
    sums = tally(joined[np.isin(joined[TARGET], due)])
    store.replace_cells(job, was._replace(scored_at=known.at)._asdict(), due.tolist(), sums)


def accuracy(
    store: Store, job: str, runs: Sequence[str], by: Sequence[str] = ("run", "step", "source")
) -> pd.DataFrame:
    """The live accuracy table of ``runs``: one row per run, step and source, or for any other ``by``.

    Columns: ``by`` (of ``run, slot, cutoff, step, model, source, target``), then those of
    :func:`forecast.batch.watch.scores.metrics`. Slots are aware, in UTC; cutoffs and targets as they are stored.
    """
    sums = store.cells(runs)
    about = store.watched(job).set_index("run")[["slot", "cutoff"]]
    about["slot"] = pd.to_datetime(about["slot"].astype("int64"), unit="us", utc=True)
    points = sums.points.join(about, on="run")
    keys = ["run", *CELL]
    levels, quantiles = (
        table.merge(points[[*keys, *about, "model"]], on=keys) for table in (sums.levels, sums.quantiles)
    )
    return metrics(Tally(points, levels, quantiles), by)
