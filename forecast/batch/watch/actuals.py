"""What came true: actuals that arrived later, joined to the forecasts made before."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from forecast.panel.clock import as_index
from forecast.panel.panel import Panel
from forecast.report.folds import grid_ordinals
from forecast.report.scale import insample_scales

Float = npt.NDArray[np.float64]
Int = npt.NDArray[np.int64]
Bool = npt.NDArray[np.bool_]
Hashes = npt.NDArray[np.uint64]
SPREAD = np.uint64(0x9E3779B97F4A7C15)  # an odd number with bits all over: ids and values must not cancel out
TARGET = "target"
BLOCK = 1_000_000  # rows


def join_actuals(forecasts: pd.DataFrame, panel: Panel, season_length: int) -> pd.DataFrame:
    """``forecasts`` with what became of them, by series and stamp.

    Args:
        forecasts: of one or several runs, see :class:`forecast.batch.form.Form`.
        panel: the latest version of every row known now.
        season_length: the season in steps.

    Returns:
        The same rows with ``y`` (NaN where not known yet), ``scale`` (of MASE, from the rows up to the forecast's own
        cutoff, NaN where it has none, see :func:`forecast.report.metrics.seasonal_scale`) and ``target`` (the stamp
        as a whole number, see :func:`whole`).
    """
    series = positions(forecasts["unique_id"], panel)
    ordinals = grid_ordinals(forecasts["ds"], panel.timeline)
    cutoffs = grid_ordinals(forecasts["cutoff"], panel.timeline)
    target = whole(ordinals, panel)
    return forecasts.assign(
        y=_values(panel, series, ordinals), scale=_scales(panel, series, cutoffs, season_length), **{TARGET: target}
    )


def positions(ids: pd.Series[Any], panel: Panel) -> Int:
    """Where each series is in the panel, -1 for one that is not."""
    codes, names = pd.factorize(ids)
    return ids_like(panel, ids.dtype).get_indexer(pd.Index(names))[codes].astype(np.int64)


def ids_like(panel: Panel, dtype: Any) -> pd.Index:
    """The panel's ids as forecasts have them: whole numbers or text, see :class:`forecast.batch.form.Form`."""
    return panel.ids if pd.api.types.is_integer_dtype(dtype) else panel.ids.astype("str")


def whole(ordinals: Int, panel: Panel) -> Int:
    """Stamps as whole numbers that stay what they are when a job's grid changes: microseconds, or integer steps."""
    codes, distinct = pd.factorize(ordinals)
    numbers: Int = panel.timeline.stamps(np.asarray(distinct, dtype=np.int64)).astype(np.int64)
    return numbers[codes]


def _values(panel: Panel, series: Int, ordinals: Int) -> Float:
    """The value of each (series, ordinal), NaN outside the panel."""
    if not len(panel) or not panel.values.size:
        return np.full(series.size, np.nan)
    place = ordinals - panel.first[series]
    inside = (series >= 0) & (place >= 0) & (place < panel.lengths[series])
    rows = np.where(inside, panel.offsets[:-1][series] + place, 0)
    return np.where(inside & np.isfinite(panel.values[rows]), panel.values[rows], np.nan)


def _scales(panel: Panel, series: Int, cutoffs: Int, season_length: int) -> Float:
    """The scale at each row's cutoff; worked out once per series and cutoff."""
    if not len(panel) or not series.size:
        return np.full(series.size, np.nan)
    lowest = int(cutoffs.min())
    span = int(cutoffs.max()) - lowest + 1
    codes, pairs = pd.factorize(series * span + (cutoffs - lowest))
    pairs = np.asarray(pairs, dtype=np.int64)
    order = np.argsort(pairs, kind="stable")
    order = order[np.searchsorted(pairs[order], 0) :]  # an unknown series is -1, and every pair with it negative
    scales = np.full(pairs.size, np.nan)
    for part, first, last in _blocks(panel):
        chosen = order[slice(*np.searchsorted(pairs[order], [first * span, last * span]))]
        if chosen.size:
            at = insample_scales(part, pairs[chosen] // span - first, pairs[chosen] % span + lowest, season_length)
            scales[chosen] = at.absolute
    return scales[codes]


def _blocks(panel: Panel) -> Iterator[tuple[Panel, int, int]]:
    """Views of the panel that a processor's cache can hold, each with its first series and the one after its last."""
    marks = np.searchsorted(panel.offsets, np.arange(0, panel.values.size, BLOCK))
    edges = np.unique(np.append(marks, len(panel))).tolist()
    for first, last in pairwise(edges):
        start, stop = panel.offsets[[first, last]].tolist()
        offsets = panel.offsets[first : last + 1] - start
        yield (
            replace(
                panel, ids=panel.ids[first:last], values=panel.values[start:stop], offsets=offsets,
                first=panel.first[first:last], static=None, hist=None, futr=None,
            ),
            first, last,
        )  # fmt: skip


@dataclass(frozen=True)
class Digests:
    """What is known of every stamp, short enough to tell tomorrow whether anything has changed.

    Attributes:
        target: the stamps, see :func:`whole`, ascending, shape (K,).
        n: values known, shape (K,).
        digest: a sum over them that hardly stays the same when one changes, shape (K,), uint64. It can be taken
            apart: that of some series plus that of the others is that of all.
    """

    target: Int
    n: Int
    digest: Hashes


def digests(panel: Panel, since: int, among: Bool | None = None) -> Digests:
    """The digests of stamps from ``since`` on; ``among`` says which series count, shape (S,)."""
    ordinals = panel.ordinals
    kept = np.isfinite(panel.values) & (ordinals >= _ordinal_from(panel, since))
    if among is not None:
        kept &= among[panel.series]
    rows = np.flatnonzero(kept)
    codes, distinct = pd.factorize(ordinals[rows], sort=True)
    names = pd.util.hash_array(panel.ids.to_numpy(), categorize=False)[panel.series[rows]]
    mixed = _mixed(names, panel.values[rows])
    total = np.zeros(len(distinct), dtype=np.uint64)
    np.add.at(total, codes, mixed)
    target = whole(np.asarray(distinct, dtype=np.int64), panel)
    return Digests(target, np.bincount(codes, minlength=len(distinct)).astype(np.int64), total)


def stamps_between(first: int, last: int, panel: Panel) -> tuple[Any, Any]:
    """Two stamps as forecasts have them, from whole numbers; aware ones in UTC."""
    if panel.timeline.kind == "step":
        return first, last
    stamps = as_index(panel.timeline, np.array([first, last], dtype="datetime64[us]"))
    if panel.timeline.tz is not None:
        stamps = pd.DatetimeIndex(stamps).tz_convert("UTC")
    return stamps[0], stamps[1]


def newest_target(panel: Panel) -> int:
    """The last stamp of the panel; the least whole number for an empty one."""
    if not len(panel):
        return int(np.iinfo(np.int64).min)
    return int(whole(np.array([panel.last.max()], dtype=np.int64), panel)[0])


def _ordinal_from(panel: Panel, since: int) -> int:
    """The first ordinal of the panel whose stamp is not before ``since``; one past its last where there is none."""
    if not len(panel):
        return 0
    grid = np.arange(int(panel.first.min()), int(panel.last.max()) + 1, dtype=np.int64)
    stamps: Int = panel.timeline.stamps(grid).astype(np.int64)
    return int(panel.first.min()) + int(np.searchsorted(stamps, since))


def _mixed(names: Hashes, values: Float) -> Hashes:
    """One number for each (series, value), wrapping around."""
    bits = (values + 0.0).view(np.uint64)  # -0.0 is 0.0
    mixed = (names ^ (bits * SPREAD)) * SPREAD
    return np.asarray(mixed ^ (mixed >> np.uint64(29)), dtype=np.uint64)
