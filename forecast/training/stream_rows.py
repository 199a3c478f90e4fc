"""Every row of a panel as stateful training needs it: what a net reads there, and what lies ahead."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from forecast.nets.facts import Facts
from forecast.nets.running import Running, running_mean, width
from forecast.panel.panel import Panel
from forecast.training.losses import LEAST_SEASONAL_ERROR
from forecast.training.states import pieces
from forecast.windows.sampler import content_order
from forecast.windows.store import Affine, Store
from forecast.windows.views import stretches

Int = npt.NDArray[np.int64]
Float = npt.NDArray[np.float64]


class Spots(NamedTuple):
    """N rows to forecast from."""

    row: Tensor  # (N,) where in the store
    place: Tensor  # (N,) which row of its series
    stop: Tensor  # (N,) the row of the series from which on nothing is looked at
    series: Tensor  # (N,)


class Ahead(NamedTuple):
    """What lies ahead of N rows, in the units that forecasts made there have."""

    coming: Tensor  # (N, h, seasons) seasonal naive forecasts
    future: Tensor  # (N, h) what came, 0 where unknown
    weight: Tensor  # (N, h) 1.0 for the cells that count
    error: Tensor  # (N, 1) running mean absolute error of the seasonal naive forecast
    zero: Tensor  # (N, 1) where zero of the original values lies


@dataclass(frozen=True)
class RowStore:
    """N rows of S series, and room before and after them so that every stretch of rows is there.

    Attributes:
        store: (N', features) what the net reads; series ``s`` has the rows from ``store.offsets[s]`` on.
        values: (N', 2) last known value in z units, and 1 where it is the row's own.
        scale: (N',) running spread in z units.
        error: (N',) running error of the seasonal naive forecast, in running spreads.
        able: (N',) 1 where enough rows are known by then for a forecast to be judged.
        zero: (S,) where zero of each series' original values lies in z units.
        order: (S,) the series ordered by what they contain.
    """

    store: Store
    values: Tensor
    scale: Tensor
    error: Tensor
    able: Tensor
    zero: Tensor
    order: Int

    def to(self, device: torch.device) -> RowStore:
        """The same on ``device``."""
        moved = {f.name: getattr(self, f.name).to(device) for f in fields(self) if f.name != "order"}
        return replace(self, **moved)

    def stretch(self, first: Tensor, rows: int) -> Tensor:
        """``rows`` rows from ``first`` (B,) on, (B, rows, features); they run on into the next series."""
        return stretches(self.store.values, first, rows)

    def ahead(self, spots: Spots, facts: Facts) -> Ahead:
        """What lies ahead of ``spots``."""
        rows, place, stop, series = spots
        last = self.values[rows, :1]
        spread = self.scale[rows].unsqueeze(1)
        divisor = torch.where(spread > 0, spread, torch.ones_like(spread))
        steps = torch.arange(1, facts.h + 1, device=rows.device)
        cells = stretches(self.values, rows + 1, facts.h)
        counts = cells[..., 1] * (place.unsqueeze(1) + steps < stop.unsqueeze(1))
        coming = [self._naive(rows, place, season, facts.h) for season in facts.seasons]
        return Ahead(
            torch.stack([(value - last) * known / divisor for value, known in coming], dim=-1)
            if coming
            else last.new_zeros(len(rows), facts.h, 0),
            (cells[..., 0] - last) * counts / divisor,
            counts * self.able[rows].unsqueeze(1),
            self.error[rows].unsqueeze(1),
            (self.zero[series].unsqueeze(1) - last) / divisor,
        )

    def _naive(self, rows: Tensor, place: Tensor, season: int, h: int) -> tuple[Tensor, Tensor]:
        """Values (N, h) that the seasonal naive method forecasts after ``rows``, and 1 where they are known."""
        back = torch.arange(h, device=rows.device) % season + 1 - season
        cells = stretches(self.values, rows + 1 - season, season)
        chosen = cells.index_select(1, back + season - 1)
        return chosen[..., 0], chosen[..., 1] * (place.unsqueeze(1) + back >= 0)


def build_rows(panel: Panel, affine: Affine, facts: Facts, season: int, least: int, room: int) -> RowStore:
    """Lay out a panel whose series begin with a known row, with ``room`` rows before and after.

    ``season`` is that of the error in :class:`Ahead`; rows with fewer than ``least`` known ones by then are not able.
    """
    features, last, scale = _read(panel, facts)
    center, spread = (np.repeat(part, panel.lengths) for part in (affine.center, affine.spread))
    z, scale_z = (last - center) / spread, scale / spread
    known = np.isfinite(panel.values)
    error = _running_error(panel, season, facts.input_size) / np.where(scale > 0, scale, 1.0)
    # Where float32 cannot tell the values around a row apart, there is nothing to learn.
    able = (_counts(known, panel.offsets) >= least) & (scale_z > 1e-6 * np.abs(z) + 1e-30)
    none = np.zeros(len(panel), dtype=np.int64)
    store = Store(torch.from_numpy(features), panel.offsets, none, facts.channels == 2)
    return RowStore(
        store=replace(store, values=_with_room(features, room), offsets=panel.offsets + room),
        values=_with_room(np.stack([z, known], axis=-1), room),
        scale=_with_room(scale_z, room),
        error=_with_room(np.where(np.isfinite(error), np.maximum(error, LEAST_SEASONAL_ERROR), 1.0), room, 1.0),
        able=_with_room(able, room),
        zero=torch.from_numpy((-affine.center / affine.spread).astype(np.float32)),
        order=content_order(store),
    )


def _read(panel: Panel, facts: Facts) -> tuple[npt.NDArray[np.float32], Float, Float]:
    """Features (N, features), last known value and spread (N,) of every row, in original units."""
    total = len(panel.values)
    features = np.zeros((total, width(facts)), dtype=np.float32)
    last, scale = np.zeros(total), np.zeros(total)
    running = Running.start(len(panel), facts)
    for which, row, size in pieces(panel.lengths):
        at = (panel.offsets[which] + row)[:, None] + np.arange(size)
        after, rows = running.take(which).read(panel.values[at], panel.first[which] + row, facts)
        running.put(which, after)
        features[at], last[at], scale[at] = rows
    return features, last, scale


def _running_error(panel: Panel, season: int, span: int) -> Float:
    """Running mean absolute error of the seasonal naive forecast of one step by each row (N,); NaN before the first."""
    place = np.arange(len(panel.values)) - np.repeat(panel.offsets[:-1], panel.lengths)
    before = np.full(len(place), np.nan)
    before[season:] = panel.values[: max(0, len(place) - season)]
    errors = np.where(place >= season, np.abs(panel.values - before), np.nan)
    known = np.isfinite(errors)
    errors[~known] = 0.0
    count = _counts(known, panel.offsets).astype(np.float64)
    mean = np.zeros(len(panel))
    for which, row, size in pieces(panel.lengths):
        at = (panel.offsets[which] + row)[:, None] + np.arange(size)
        errors[at] = running_mean(errors[at], known[at], count[at], mean[which], span)
        mean[which] = errors[at[:, -1]]
    return np.where(count > 0, errors, np.nan)


def _counts(known: npt.NDArray[np.bool_], offsets: Int) -> Int:
    """How many rows of a series are known by each row, (N,)."""
    total = np.concatenate([[0], known.cumsum()])
    counts: Int = total[1:] - np.repeat(total[offsets[:-1]], np.diff(offsets))
    return counts


def _with_room(values: npt.NDArray[np.generic], room: int, filler: float = 0.0) -> Tensor:
    """``values`` (N, …) as float32 with ``room`` rows of ``filler`` before and after."""
    padded = np.full((len(values) + 2 * room, *values.shape[1:]), filler, dtype=np.float32)
    padded[room : room + len(values)] = values
    return torch.from_numpy(padded)
