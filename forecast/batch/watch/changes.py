"""What changed since the last run: by how much, in which series, and because of what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pandas as pd

from forecast.batch.watch.facts import Part
from forecast.batch.watch.scores import POINT

Float = npt.NDArray[np.float64]

PARTS: tuple[Part, ...] = ("data", "model", "settings")
KEYS = ["unique_id", "ds"]


@dataclass(frozen=True)
class Change:
    """How two sets of forecasts differ where both have one for the same series and stamp.

    Attributes:
        n: forecasts in common.
        absolute: mean absolute difference, in the units of the target.
        share: the same over the mean size of the forecasts.
        scaled: the same in each series' own scale (that of MASE), mean over the series that have one.
    """

    n: int
    absolute: float
    share: float
    scaled: float


@dataclass(frozen=True)
class Changes:
    """What changed since the last run.

    Attributes:
        previous: the last run; ``None`` where this is the first.
        which: which of the data, the model and the settings are not those of the last run.
        total: of all together.
        parts: of each that changed alone, the other two held as they are; ``None`` where that is not known. What they
            add up to need not be the total.
        series: the series in the order of how much they changed, each with its mean absolute ``change``, and that in
            its own scale (``scaled``); the largest first.
    """

    previous: str | None = None
    which: tuple[Part, ...] = ()
    total: Change | None = None
    parts: Mapping[Part, Change | None] = field(default_factory=dict)
    series: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=["unique_id", "change", "scaled"]))


def changes(
    previous: str | None,
    before: pd.DataFrame | None,
    now: pd.DataFrame | None,
    which: tuple[Part, ...],
    held: Mapping[Part, pd.DataFrame],
    scales: pd.Series[float],
) -> Changes:
    """Compare a run's forecasts with those of the run before.

    Args:
        previous: the id of the run before.
        before, now: the forecasts of both.
        which: what differs between the two runs.
        held: forecasts as now but with one part as before. Where only one part differs, ``before`` itself is that;
            where two do, one of them is enough to tell both.
        scales: series -> scale.
    """
    if before is None or now is None or before.empty or now.empty:
        return Changes(previous, which)
    pairs = _pairs(before, now)
    alone = {which[0]: before} if len(which) == 1 else {part: frame for part, frame in held.items() if len(frame)}
    parts = {part: _alone(part, which, alone, before, now, scales) for part in which}
    return Changes(previous, which, _change(pairs, scales), parts, _by_series(pairs, scales))


def _alone(
    part: Part,
    which: tuple[Part, ...],
    held: Mapping[Part, pd.DataFrame],
    before: pd.DataFrame,
    now: pd.DataFrame,
    scales: pd.Series[float],
) -> Change | None:
    """The change that ``part`` makes by itself; ``None`` where there is nothing to tell it from."""
    if part in held:
        return _change(_pairs(held[part], now), scales)
    others = [other for other in which if other != part]
    if len(others) == 1 and others[0] in held:  # as before but for this part
        return _change(_pairs(before, held[others[0]]), scales)
    return None


def _pairs(before: pd.DataFrame, now: pd.DataFrame) -> pd.DataFrame:
    """``unique_id``, the ``size`` of a forecast and its ``change``, where both have a finite one."""
    # Whole numbers for (series, stamp): an index of them is found in a fraction of the time of a merge on text.
    keys = np.zeros(len(before) + len(now), dtype=np.int64)
    for name in KEYS:
        codes, distinct = pd.factorize(pd.concat([before[name], now[name]], ignore_index=True))
        keys = keys * max(len(distinct), 1) + codes
    place = pd.Index(keys[: len(before)]).get_indexer(pd.Index(keys[len(before) :]))
    old = before[POINT].to_numpy(dtype=np.float64)[place]
    new = now[POINT].to_numpy(dtype=np.float64)
    with np.errstate(invalid="ignore", over="ignore"):
        table = pd.DataFrame({"unique_id": now["unique_id"], "size": np.abs(new), "change": np.abs(new - old)})
    known: pd.DataFrame = table[(place >= 0) & np.isfinite(table["change"].to_numpy())]
    return known


def _change(pairs: pd.DataFrame, scales: pd.Series[float]) -> Change | None:
    if pairs.empty:
        return None
    size, absolute = float(pairs["size"].mean()), float(pairs["change"].mean())
    scaled = _by_series(pairs, scales)["scaled"]
    return Change(len(pairs), absolute, absolute / size if size > 0 else np.nan, float(scaled.mean()))


def _by_series(pairs: pd.DataFrame, scales: pd.Series[float]) -> pd.DataFrame:
    """Each series' mean change, largest in its own scale first; those without a scale last."""
    table = pairs.groupby("unique_id", sort=False)["change"].mean().reset_index()
    scale = scales.reindex(pd.Index(table["unique_id"])).to_numpy(dtype=np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        table["scaled"] = np.where(scale > 0, table["change"].to_numpy() / scale, np.nan)
    return table.sort_values(
        ["scaled", "change"], ascending=False, kind="stable", na_position="last", ignore_index=True
    )
