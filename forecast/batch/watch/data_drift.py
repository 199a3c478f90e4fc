"""Whether the rows that a job reads have changed: late, full of holes, out of range, of another distribution."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import numpy.typing as npt
import pandas as pd

from forecast.batch.watch.actuals import ids_like
from forecast.batch.watch.alerts import Alert, Severity
from forecast.batch.watch.facts import RunFacts
from forecast.batch.watch.settings import WatchSettings
from forecast.batch.watch.signals import autocorrelation, inflation, population_stability, stability_limit
from forecast.errors import some
from forecast.panel.panel import Panel
from forecast.report.folds import grid_ordinals
from forecast.report.wording import count, percent

Float = npt.NDArray[np.float64]
Int = npt.NDArray[np.int64]
Bool = npt.NDArray[np.bool_]

FEWEST_RUNS = 3  # that say what is usual
SHORTEST, LONGEST = 14, 200  # rows that count as recent
TIMES = 3  # as many rows count as usual
SAMPLE = 20_000  # series, evenly spread, that the distribution is looked at for
EARLIER = 2  # windows before, whose own shifts say what is usual
BINS = 10
HALF = 0.5
FEWEST_ROWS = 20  # that a range is worth anything


@dataclass(frozen=True)
class Profile:
    """What the rows of a run look like, kept so that later runs know what is usual.

    Attributes:
        series: how many.
        lag: steps from the newest row to the slot; ``None`` for integer times.
        stale: share of the series whose own newest row is further back than the newest of all.
        missing: share of unknown values among each series' latest rows.
    """

    series: int
    lag: int | None
    stale: float
    missing: float


def profile(panel: Panel, slot: datetime, season_length: int, stale_steps: int) -> Profile:
    """The profile of ``panel`` as known at ``slot``."""
    if not len(panel) or not np.isfinite(panel.values).any():
        return Profile(len(panel), None, 0.0, 0.0)
    behind = _behind(panel)
    recent = _tails(panel, _rows(season_length))
    inside = np.arange(recent.shape[1]) >= recent.shape[1] - panel.lengths[_sampled(panel)][:, None]
    missing = float(np.isnan(recent)[inside].mean()) if inside.any() else 0.0
    return Profile(len(panel), _lag(panel, slot), float((behind > stale_steps).mean()), missing)


def data_drift(
    facts: RunFacts, now: Profile, before: Sequence[Profile], previous: pd.DataFrame | None, settings: WatchSettings
) -> list[Alert]:
    """The alerts about the rows of a run.

    Args:
        facts: the run; without a panel there is nothing to look at.
        now, before: profiles of this run and of those before it, in any order.
        previous: the forecasts of the run before, to know which series it had.
        settings: the limits.
    """
    panel = facts.panel
    if panel is None:
        return []
    checks = [_late(now, before, settings), _stale(panel, now, before, settings), _missing(now, before, settings)]
    if len(panel) and panel.values.size:
        checks += [_range(panel, previous, settings), _shift(panel, facts.season_length, settings)]
    return [alert for alert in checks if alert] + _ids(panel, previous, settings) + _fallbacks(facts, settings)


def _lag(panel: Panel, slot: datetime) -> int | None:
    timeline = panel.timeline
    if timeline.kind == "step":
        return None
    at = pd.Series([pd.Timestamp(slot).tz_convert(timeline.tz or "UTC")])
    return int(grid_ordinals(at, timeline)[0]) - int(_newest(panel).max())


def _newest(panel: Panel) -> Int:
    """The ordinal of each series' last known value; one before its first row where it has none."""
    known = np.where(np.isfinite(panel.values), panel.ordinals, np.iinfo(np.int64).min)
    padded = np.append(known, np.iinfo(np.int64).min)
    latest = np.maximum.reduceat(padded, panel.offsets[:-1]) if len(panel) else padded[:0]
    return np.where(panel.lengths > 0, np.maximum(latest, panel.first - 1), panel.first - 1)


def _behind(panel: Panel) -> Int:
    newest = _newest(panel)
    return np.asarray(newest.max() - newest, dtype=np.int64)


def _late(now: Profile, before: Sequence[Profile], settings: WatchSettings) -> Alert | None:
    lags = [one.lag for one in before if one.lag is not None]
    if now.lag is None or len(lags) < FEWEST_RUNS or now.lag - float(np.median(lags)) <= settings.stale_steps:
        return None
    usual = float(np.median(lags))
    message = (
        f"the newest row is {count(now.lag, 'step')} old, usual are {usual:g}: no new data have arrived. Look at what "
        "feeds the source; forecasts start from the last row there is."
    )
    severity: Severity = "critical" if now.lag - usual > 1 + 2 * settings.stale_steps else "warning"
    return Alert("stale", severity, message, "", float(now.lag), usual + settings.stale_steps)


def _stale(panel: Panel, now: Profile, before: Sequence[Profile], settings: WatchSettings) -> Alert | None:
    usual = _usual([one.stale for one in before])
    if usual is None or now.stale - usual <= settings.share:
        return None
    behind = _behind(panel)
    late = np.flatnonzero(behind > settings.stale_steps)
    late = late[np.argsort(behind[late], kind="stable")]  # those that fell behind last come first
    message = (
        f"{count(late.size, 'series', 'series')} ({percent(now.stale)}, usual are {percent(usual)}) have no new rows: "
        f"{some(panel.ids[late])}. Look at what feeds them."
    )
    return Alert("stale", "warning", message, "", now.stale, usual + settings.share)


def _missing(now: Profile, before: Sequence[Profile], settings: WatchSettings) -> Alert | None:
    usual = _usual([one.missing for one in before])
    if usual is None or now.missing - usual <= settings.share:
        return None
    message = (
        f"{percent(now.missing)} of the latest values are missing, usual are {percent(usual)}. Look at the source."
    )
    return Alert("missing", "warning", message, "", now.missing, usual + settings.share)


def _usual(values: Sequence[float]) -> float | None:
    return float(np.median(values)) if len(values) >= FEWEST_RUNS else None


def _range(panel: Panel, previous: pd.DataFrame | None, settings: WatchSettings) -> Alert | None:
    """New values further outside a series' range so far than that range is wide."""
    new = 1
    if previous is not None and len(previous):
        last = int(grid_ordinals(previous["cutoff"], panel.timeline).max())
        new = int(np.clip(panel.last.max() - last, 1, LONGEST))
    cut = np.clip(panel.last.max() - new - panel.first + 1, 0, panel.lengths)
    enough = (cut >= FEWEST_ROWS) & (cut < panel.lengths)
    edges = np.stack([panel.offsets[:-1], panel.offsets[:-1] + cut], axis=1).ravel()
    padded = np.append(panel.values, np.nan)
    low = np.fmin.reduceat(padded, edges).reshape(-1, 2)
    high = np.fmax.reduceat(padded, edges).reshape(-1, 2)
    spread = high[:, 0] - low[:, 0]
    with np.errstate(invalid="ignore"):
        beyond = np.fmax(high[:, 1] - high[:, 0], low[:, 0] - low[:, 1]) / np.where(spread > 0, spread, np.nan)
        far = np.flatnonzero(enough & (beyond > 1))
    if not far.size:
        return None
    far = far[np.argsort(-beyond[far], kind="stable")]
    share = far.size / len(panel)
    message = (
        f"{count(far.size, 'series', 'series')} ({percent(share)}) have new values far outside what they ever were: "
        f"{some(panel.ids[far])}. Check units and decimal points at the source."
    )
    severity: Severity = "warning" if share > settings.range_share else "info"
    return Alert("range", severity, message, "", share, settings.range_share)


def _shift(panel: Panel, season_length: int, settings: WatchSettings) -> Alert | None:
    """Stability index of recent against earlier values; windows are whole seasons.

    The limit is the highest of the setting, of what chance gives for so many values that correlate so much in time,
    and of twice what the same comparison gave before: a series with a trend leaves its past behind all the time.
    """
    rows = _rows(season_length)
    values = _tails(panel, (1 + TIMES + EARLIER) * rows)
    found = [_index(values[:, values.shape[1] - (1 + TIMES + back) * rows :][:, : (1 + TIMES) * rows], rows, settings)
             for back in range(EARLIER + 1)]  # fmt: skip
    if any(one is None for one in found):
        return None
    (index, chance), *usual = [one for one in found if one is not None]
    limit = max(settings.psi, chance, 2 * max(one for one, _ in usual))
    if index <= limit:
        return None
    message = (
        f"the values of the last {count(rows, 'step')} are distributed unlike those before (stability index "
        f"{index:.2f}, limit {limit:.2f}). Check for a change of level, units or meaning; retrain if it stays."
    )
    return Alert("shift", "warning", message, "", index, limit)


def _index(values: Float, rows: int, settings: WatchSettings) -> tuple[float, float] | None:
    """The index of the last ``rows`` columns against the others, and what chance alone reaches; ``None`` for too few.

    Each series counts in its own mean and standard deviation, taken from both windows together, so that without a
    shift neither is special.
    """
    values = values[np.isfinite(values[:, :-rows]).mean(axis=1) > HALF]
    values = values[np.isfinite(values[:, -rows:]).mean(axis=1) > HALF]
    if not values.size:
        return None
    centred = values - np.nanmean(values, axis=1, keepdims=True)
    spread = np.sqrt(np.nanmean(centred**2, axis=1, keepdims=True))
    moving = spread[:, 0] > 0
    scores = centred[moving] / spread[moving]
    recent, earlier = scores[:, -rows:], scores[:, :-rows]
    recent, earlier = recent[np.isfinite(recent)], earlier[np.isfinite(earlier)]
    if recent.size < BINS or earlier.size < BINS:
        return None
    edges = np.unique(np.quantile(earlier, np.arange(1, BINS) / BINS))
    index = population_stability(_histogram(earlier, edges), _histogram(recent, edges))
    worth = 1 / inflation(autocorrelation(np.nan_to_num(scores.ravel())))
    chance = stability_limit(worth * earlier.size, worth * recent.size, edges.size + 1, settings.confidence)
    return index, chance


def _histogram(values: Float, edges: Float) -> Int:
    return np.bincount(np.searchsorted(edges, values), minlength=edges.size + 1).astype(np.int64)


def _rows(season_length: int) -> int:
    """Rows that count as recent: whole seasons, two weeks' worth at least."""
    seasons = -(-SHORTEST // season_length)
    return min(seasons * season_length, max(LONGEST, season_length))


def _sampled(panel: Panel) -> Int:
    step = max(1, -(-len(panel) // SAMPLE))
    return np.arange(0, len(panel), step, dtype=np.int64)


def _tails(panel: Panel, rows: int) -> Float:
    """The last ``rows`` values of some series, NaN before their first, shape (series, rows)."""
    chosen = _sampled(panel)
    place = panel.lengths[chosen][:, None] - rows + np.arange(rows)
    row = np.clip(panel.offsets[:-1][chosen][:, None] + place, 0, max(panel.values.size - 1, 0))
    return np.where(place >= 0, panel.values[row], np.nan)


def _ids(panel: Panel, previous: pd.DataFrame | None, settings: WatchSettings) -> list[Alert]:
    if previous is None or previous.empty:
        return []
    before = pd.Index(previous["unique_id"].unique())
    ids = ids_like(panel, before.dtype)
    vanished, new = before.difference(ids), ids.difference(before)
    alerts = []
    if len(vanished):
        share = len(vanished) / len(before)
        severity: Severity = "warning" if share > settings.vanished_share else "info"
        message = (
            f"{count(len(vanished), 'series', 'series')} of the last run ({percent(share)}) are gone from the data: "
            f"{some(vanished)}. If that is meant, there is nothing to do."
        )
        alerts.append(Alert("ids", severity, message, "", share, settings.vanished_share))
    if len(new):
        message = f"{count(len(new), 'series', 'series')} were not in the last run: {some(new)}."
        alerts.append(Alert("ids", "info", message, "", len(new) / len(before)))
    return alerts


def _fallbacks(facts: RunFacts, settings: WatchSettings) -> list[Alert]:
    frame = facts.frame
    if frame is None or frame.empty:
        return []
    first = frame["step"].to_numpy() == frame["step"].min()
    other = first & (frame["source"].astype(object).to_numpy() != frame["model"].astype(object).to_numpy())
    share = float(other.sum()) / max(int(first.sum()), 1)
    if share <= settings.fallback_share:
        return []
    reasons = frame["reason"][other].value_counts()
    message = (
        f"{percent(share)} of the series were forecast by a fallback, most of them because: {some(reasons.index, 1)}."
    )
    return [Alert("fallback", "warning", message, "", share, settings.fallback_share)]
