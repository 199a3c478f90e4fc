"""Where stateful training reads: chunks of whole series in order, and held-out rows to forecast from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple, Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from forecast.errors import DataError
from forecast.nets.facts import Facts
from forecast.nets.stream import StreamNet
from forecast.panel.panel import Panel
from forecast.training.lanes import Lanes
from forecast.training.source import held_out_rows, least_past, too_short
from forecast.training.states import first_known, pieces
from forecast.training.stream_rows import Ahead, RowStore, Spots, build_rows
from forecast.windows.store import Store, fit_affine

Int = npt.NDArray[np.int64]

# Rows of a chunk that forecasts are made at, drawn anew each step: neighbours teach nearly the same.
JUDGED = 16
# What a validation reads at most, in all and of a series: it has to cost little beside training.
MOST_ROWS, MOST_OF_A_SERIES = 500_000, 2_000
ENOUGH_FORECASTS = 1_000


class Stretch(NamedTuple):
    """A chunk of rows of L lanes, and what lies ahead of R of them in each."""

    rows: Tensor  # (L, T, features)
    fresh: Tensor  # (L,) 1.0 where a series begins
    columns: Tensor  # (R,) which of the T rows forecasts are made at
    ahead: Ahead  # of N = L * R rows


class Judged(NamedTuple):
    """Forecasts and what they are judged on."""

    output: Tensor  # (N, h, outputs)
    ahead: Ahead


class Carried(nn.Module):
    """A net in training with the state of every lane, which is saved and restored with its weights."""

    carry: Tensor

    def __init__(self, net: StreamNet, lanes: int) -> None:
        super().__init__()
        self.net = net
        self.register_buffer("carry", net.start(lanes))

    def forward(self, stretch: Stretch) -> Judged:
        """Read on where the step before ended, and forecast at the rows to be judged."""
        begin = self.carry * (1.0 - stretch.fresh).view(-1, 1, 1, 1)
        hidden, end = self.net.read(stretch.rows, begin)
        self.carry = end.detach()
        judged = hidden.index_select(1, stretch.columns).flatten(0, 1)
        return Judged(self.net.forecast(judged, stretch.ahead.coming), stretch.ahead)


@dataclass(frozen=True)
class Origins:
    """Rows to forecast from, of V series: ``series`` (V,) is read from row ``begin`` (V,), and every ``stride``-th row
    from ``last`` (V,) back to ``first`` (V,) is forecast from."""

    series: Int
    begin: Int
    first: Int
    last: Int
    stride: int

    def __len__(self) -> int:
        return len(self.series)

    def __getitem__(self, chosen: slice) -> Self:
        columns = {name: getattr(self, name)[chosen] for name in ("series", "begin", "first", "last")}
        return replace(self, **columns)


@dataclass(frozen=True)
class StreamSource:
    """The rows of one panel, and who reads them when.

    Attributes:
        rows: every row from the first known one of its series on.
        lengths: rows of each series, shape (S,).
        training: rows of each series that training may look at, shape (S,).
        lanes: who reads what in training.
        validation: rows to judge the net at, all of their future held out; there may be none.
    """

    rows: RowStore
    lengths: Int
    training: Int
    lanes: Lanes
    validation: Origins
    facts: Facts

    @property
    def store(self) -> Store:
        """What the net reads."""
        return self.rows.store

    @property
    def levels(self) -> bool:
        """Rows are relative to their series so far."""
        return False

    def with_zeros(self) -> Self:
        """The same: what lies ahead of a row tells where zero is."""
        return self

    def content(self) -> Iterator[bytes]:
        """What tells its data from others."""
        for part in (self.store.values, self.rows.values, self.rows.scale):
            yield part.numpy().tobytes()
        for numbers in (self.store.offsets, self.training):
            yield numbers.tobytes()

    def to(self, device: torch.device) -> Self:
        """The same on ``device``."""
        return replace(self, rows=self.rows.to(device))

    def batch(self, batch_size: int, seed: int, step: int, progress: float) -> Stretch:
        """What the lanes, made for ``batch_size`` and ``seed``, read at ``step``: depends on nothing else."""
        places = self.lanes.at(step)
        generator = torch.Generator().manual_seed((self.lanes.seed * 1_000_003 + step) % (2**63))
        chunk = self.lanes.chunk
        columns = torch.randperm(chunk, generator=generator)[:JUDGED].sort().values
        series = self.rows.order[places.series]
        first = self.store.offsets[series] + places.row
        each = np.stack([first, places.row, self.training[series], series]).repeat(len(columns), axis=1)
        spots = torch.from_numpy(each)
        spots[:2] += columns.repeat(self.lanes.count)
        device = self.store.values.device
        return Stretch(
            self.rows.stretch(torch.from_numpy(first).to(device), chunk),
            torch.from_numpy(places.fresh.astype(np.float32)).to(device),
            columns.to(device),
            self.rows.ahead(Spots(*spots.to(device).unbind()), self.facts),
        )

    def judge(self, carried: nn.Module, origins: Origins) -> Judged:
        """Forecasts of a :class:`Carried` net from ``origins``; what the net carries in training is left alone."""
        if not isinstance(carried, Carried):
            raise TypeError(f"expected a net that carries its state, got {type(carried).__name__}")
        net = carried.net
        device = self.store.values.device
        carry = net.start(len(origins))
        hidden: list[Tensor] = []
        found: list[Int] = []
        for which, row, size in pieces(origins.last + 1 - origins.begin):
            start = origins.begin[which] + row
            first = self.store.offsets[origins.series[which]] + start
            chosen = torch.from_numpy(which).to(device)
            states, ends = net.read(self.rows.stretch(torch.from_numpy(first).to(device), size), carry[chosen])
            carry[chosen] = ends
            places = start[:, None] + np.arange(size)
            back = origins.last[which][:, None] - places
            wanted = (places >= origins.first[which][:, None]) & (back % origins.stride == 0)
            hidden.append(states[torch.from_numpy(wanted).to(device)])
            lane, column = np.nonzero(wanted)
            series = origins.series[which][lane]
            found.append(np.stack([first[lane] + column, places[wanted], self.lengths[series], series]))
        spots = Spots(*torch.from_numpy(np.concatenate(found, axis=1)).to(device).unbind())
        ahead = self.rows.ahead(spots, self.facts)
        return Judged(net.forecast(torch.cat(hidden), ahead.coming), ahead)

    def trained(self) -> Origins:
        """A spread of rows with a whole future that were trained on, for want of held-out ones."""
        last = self.training - self.facts.h - 1
        series = self.rows.order[last[self.rows.order] >= 0]
        stride = max(1, int((last[series] + 1).sum()) // ENOUGH_FORECASTS)
        return _affordable(series, np.zeros_like(series), last[series], stride)


def build_stream_source(
    panel: Panel, facts: Facts, season_length: int, val_size: int | None, batch_size: int, chunk: int, seed: int
) -> StreamSource:
    """Lay out ``panel`` for training with ``batch_size`` lanes at most that read ``chunk`` rows a step.

    Raises ``DataError`` when no series is long enough to forecast ``h`` rows after its first few.
    """
    begun = panel.slice(first_known(panel), panel.lengths)
    begun = begun.take(np.flatnonzero(begun.lengths > 0))
    least = least_past(facts.input_size, season_length)
    held_out = held_out_rows(begun, least, facts.h, val_size)
    training = begun.lengths - held_out
    if not (training >= least + facts.h).any():
        raise DataError(too_short(panel, least, facts.h))
    chunk = int(min(chunk, training.max()))
    affine = fit_affine(begun.head(training))
    # A chunk may begin at the last row of the last series, and every row of it looks h rows ahead.
    room = max(chunk + facts.h + 1, *facts.seasons, JUDGED)
    season = facts.seasons[0] if facts.seasons else 1
    rows = build_rows(begun, affine, facts, season, least, room)
    stride = max(1, facts.h // 4)
    series = rows.order[held_out[rows.order] >= facts.h]
    last = begun.lengths[series] - facts.h - 1
    first = np.maximum(begun.lengths[series] - held_out[series] - 1, 0)
    lanes = Lanes((training - 1)[rows.order], batch_size, chunk, seed)
    return StreamSource(rows, begun.lengths, training, lanes, _affordable(series, first, last, stride), facts)


def _affordable(series: Int, first: Int, last: Int, stride: int) -> Origins:
    """As many of the series, evenly chosen, as can be read in the time that a validation may take."""
    begin = np.maximum(first - MOST_OF_A_SERIES, 0)
    cost = np.cumsum(last + 1 - begin)
    total = int(cost[-1]) if len(cost) else 0
    share = max(1.0, total / MOST_ROWS)
    chosen = (
        np.unique((np.arange(int(len(series) / share)) * share).astype(np.int64)) if total else np.zeros(0, np.int64)
    )
    chosen = chosen if len(chosen) or not total else np.zeros(1, np.int64)
    return Origins(series[chosen], begin[chosen], first[chosen], last[chosen], stride)
