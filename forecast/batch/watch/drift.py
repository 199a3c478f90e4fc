"""Whether forecasts have become worse: in accuracy, in bias, in what their intervals promise.

Time runs in *periods*: one from each run's cutoff to the next. To a period belong all forecasts whose actual came in
it, from one step ahead to ``h``, so that every period has the same mixture of easy and hard steps; what is left of
differences (a job that did not run for some days) is taken out by holding each step against itself.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from forecast.batch.watch.actuals import TARGET
from forecast.batch.watch.alerts import Alert
from forecast.batch.watch.scores import Tally
from forecast.batch.watch.settings import WatchSettings
from forecast.batch.watch.signals import cautious_spread, cusum, effective_size, mean_bounds, share_bounds
from forecast.report.wording import metric_value, number, percent

Float = npt.NDArray[np.float64]
Int = npt.NDArray[np.int64]

PERIOD = "period"
FEWEST = 8  # periods below which nothing is said
SEVERE = 2.0  # times the usual error
SMALLEST_LOSS = 1e-9
Named = Callable[[int], str]


def with_periods(sums: Tally, cutoffs: Int) -> Tally:
    """The cells with a column ``period``: the number of the run whose cutoff came last before the cell's target.

    ``cutoffs`` are those of all runs, as the targets are written. A target before the first of them, of a series that
    was behind the others, is in no period and left out.
    """
    marks = np.unique(cutoffs)
    tables = []
    for table in (sums.points, sums.levels, sums.quantiles):
        period = np.searchsorted(marks, table[TARGET].to_numpy(dtype=np.int64)) - 1
        tables.append(table.assign(**{PERIOD: period})[period >= 0])
    return Tally(*tables)


def drift(sums: Tally, settings: WatchSettings, named: Named = str) -> list[Alert]:
    """The alerts about accuracy, bias and coverage; ``named`` turns a target into the text of its stamp."""
    periods = np.unique(sums.points[PERIOD]) if len(sums.points) else np.zeros(0, dtype=np.int64)
    if periods.size < FEWEST:
        return []
    windows = Windows(periods[-settings.recent :], periods[: -settings.recent][-settings.reference :], named)
    checks = [accuracy_drift(sums.points, windows, settings), bias_drift(sums.points, windows, settings)]
    return [alert for alert in checks if alert] + coverage_drift(sums, windows, settings)


@dataclass(frozen=True)
class Windows:
    """The periods that count as now and as usual, both ascending, and how a target is written."""

    recent: Int
    reference: Int
    named: Named = str


def accuracy_drift(points: pd.DataFrame, windows: Windows, settings: WatchSettings) -> Alert | None:
    """A control chart of the errors: Page's cumulative sum of the logarithm of each period's scaled error.

    Each step's error is divided by that step's mean over the reference; deviations are from the reference's mean, in
    its (cautious, autocorrelation-proof) standard deviations. An alert needs the chart above ``cusum_limit`` and the
    error since the rise began at least ``accuracy_ratio`` times the usual one: what is certain but small is no news.
    """
    if windows.reference.size < FEWEST:
        return None
    losses = relative_losses(points, windows.reference)
    usual = np.log(losses.reindex(windows.reference).dropna().clip(lower=SMALLEST_LOSS).to_numpy())
    now = losses.reindex(windows.recent).dropna()
    if usual.size < FEWEST or now.empty:
        return None
    logs = np.log(now.clip(lower=SMALLEST_LOSS).to_numpy())
    # Where the usual mean lies is known to its own standard error only: that much is given away.
    deviations = (logs - usual.mean()) / cautious_spread(usual) - usual.size**-0.5
    chart = cusum(deviations, settings.cusum_slack)
    ratio = float(np.exp(logs[chart.start :].mean() - usual.mean()))
    if chart.height <= settings.cusum_limit or ratio < settings.accuracy_ratio:
        return None
    start = int(points.loc[points[PERIOD] == now.index[chart.start], TARGET].min())
    after = _mase(points, now.index[chart.start :].to_numpy())
    message = (
        f"errors are {ratio:.2f} times their usual since {windows.named(start)}: MASE {number(after)} instead of about "
        f"{number(after / ratio)}. Look at what changed in the data, and retrain the model or roll it back."
    )
    return Alert("accuracy", "critical" if ratio >= SEVERE else "warning", message, "", ratio, settings.accuracy_ratio)


def relative_losses(points: pd.DataFrame, reference: Int) -> pd.Series[float]:
    """Mean scaled error of each period over what is usual at the same steps; steps without a usual one are left out."""
    usual = points[np.isin(points[PERIOD], reference)].groupby("step")[["scaled", "n_scaled"]].sum()
    per_step = (usual["scaled"] / usual["n_scaled"]).where(usual["n_scaled"] > 0)
    held = points["step"].map(per_step.where(per_step > 0))
    kept = points[held.notna() & (points["n_scaled"] > 0)]
    sums = pd.DataFrame(
        {PERIOD: kept[PERIOD], "loss": kept["scaled"] / held[kept.index], "n": kept["n_scaled"]}
    ).groupby(PERIOD)
    return sums["loss"].sum() / sums["n"].sum()


def _mase(points: pd.DataFrame, periods: Int) -> float:
    chosen = points[np.isin(points[PERIOD], periods)]
    n = float(chosen["n_scaled"].sum())
    return float(chosen["scaled"].sum()) / n if n else np.nan


def bias_drift(points: pd.DataFrame, windows: Windows, settings: WatchSettings) -> Alert | None:
    """Trigg's tracking signal over the recent periods: net over absolute error, -1 to 1.

    Trigg (1964), "Monitoring a forecasting system", Operational Research Quarterly 15. An alert needs it beyond
    ``bias_limit`` and the mean error's confidence interval (Student's t) clear of zero.
    """
    by_period = points.groupby(PERIOD)[["signed_scaled", "scaled", "n_scaled"]].sum()
    by_period = by_period[by_period["n_scaled"] > 0]
    recent = by_period.reindex(windows.recent).dropna()
    reference = by_period.reindex(windows.reference).dropna()
    if not recent["scaled"].sum() > 0 or len(recent) + len(reference) < FEWEST:
        return None
    signal = float(recent["signed_scaled"].sum() / recent["scaled"].sum())
    means = [(part["signed_scaled"] / part["n_scaled"]).to_numpy(dtype=np.float64) for part in (recent, reference)]
    half = mean_bounds(means[0], means[1], settings.confidence)
    if abs(signal) < settings.bias_limit or abs(float(means[0].mean())) <= half:
        return None
    direction = "high" if signal > 0 else "low"
    message = (
        f"forecasts are too {direction}: over the last {len(recent)} periods {percent(abs(signal))} of their error is "
        "in one direction. Retrain on recent rows, or look for a change of level in the data."
    )
    return Alert("bias", "warning", message, "", signal, settings.bias_limit)


def coverage_drift(sums: Tally, windows: Windows, settings: WatchSettings) -> list[Alert]:
    """For each level, whether the recent coverage can be what it promises, by bounds for its effective sample size.

    Observations are (series, stamp) pairs, not forecasts: an actual that 28 runs forecast is one. Their effective
    number follows from how coverage differs from period to period. Too little is a warning, too much good to know.
    """
    alerts = []
    every = np.concatenate([windows.reference, windows.recent])
    for level in sorted(sums.levels["level"].unique(), key=float):
        cells = sums.levels[(sums.levels["level"] == level) & np.isin(sums.levels[PERIOD], every)]
        by_period = cells.groupby(PERIOD)[["n", "covered"]].sum().astype(np.float64)
        by_period = by_period[by_period["n"] > 0]
        is_recent = np.isin(by_period.index, windows.recent)
        if len(by_period) < FEWEST or not is_recent.any():
            continue
        recent = by_period[is_recent]
        share = float(recent["covered"].sum() / recent["n"].sum())
        shares = (by_period["covered"] / by_period["n"]).to_numpy(dtype=np.float64)
        n = effective_size(shares, is_recent.astype(np.int64), _distinct(cells, windows))
        bounds = share_bounds(share * n, n, settings.confidence)
        promised = float(level) / 100
        if abs(share - promised) < settings.coverage_tolerance or bounds.lower <= promised <= bounds.upper:
            continue
        little = share < promised
        message = (
            f"the {level} % interval holds {_percent(share)} of the actuals of the last {len(recent)} periods (between "
            f"{_percent(bounds.lower)} and {_percent(bounds.upper)} with {100 * settings.confidence:g} % confidence). "
            + ("Retrain or recalibrate: it promises too much." if little else "It is wider than it need be.")
        )
        alerts.append(Alert("coverage", "warning" if little else "info", message, f"level {level}", share, promised))
    return alerts


def _percent(share: float) -> str:
    return metric_value("coverage-", share)


def _distinct(cells: pd.DataFrame, windows: Windows) -> float:
    """How many different actuals the recent forecasts were held against: as many as the step that has most."""
    recent = cells[np.isin(cells[PERIOD], windows.recent)]
    return float(recent.groupby([TARGET, "step"])["n"].sum().groupby(TARGET).max().sum())
