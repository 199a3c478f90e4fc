"""Where training windows come from: the store, the sampler and the held-out tail."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from forecast.errors import ConfigError, DataError, Fault, some
from forecast.nets.facts import Needs
from forecast.nets.scaling import Scaled
from forecast.panel.panel import Panel
from forecast.panel.readings import UNREAD, Readings
from forecast.training.measure import Measure, anchors, told
from forecast.windows.gather import Batch, gather
from forecast.windows.sampler import Windows, training_windows
from forecast.windows.store import Affine, Store, build_store, has_unknown

Int = npt.NDArray[np.int64]

FEW_SERIES = 20
# A whole series teaches at each of its rows; in a batch it takes the place of so many windows.
WINDOWS_A_SERIES = 8
HIDDEN_LABELS = 0.1  # share of the labels of a training batch
PLAIN = Needs()


def least_past(input_size: int, season_length: int) -> int:
    """Known rows a training window of a short series needs at least: a season, or three rows."""
    return min(input_size, max(3, season_length))


def held_out_rows(panel: Panel, least: int, h: int, val_size: int | None) -> Int:
    """Rows at the end of each series kept for validation, shape (S,).

    By default ``h``; with few series up to a sixth of each, so that validation and intervals rest on more than one
    window. Series too short to train without those rows keep them all (0 held out). Raises ``ConfigError`` for a
    ``val_size`` between 0 and ``h``.
    """
    lengths = panel.lengths
    if val_size is not None and 0 < val_size < h:
        raise ConfigError(f"val_size={val_size} is less than the horizon {h}: no validation window fits.")
    if val_size is not None:
        wanted = np.full(len(panel), val_size)
    elif len(panel) < FEW_SERIES:
        wanted = np.clip(lengths // 6, h, 10 * h)
    else:
        wanted = np.full(len(panel), h)
    return np.where(lengths >= least + h + wanted, wanted, 0).astype(np.int64)


def padding_rows(training_rows: Int, input_size: int, h: int, least: int) -> Int:
    """Unknown rows put before each series with fewer training rows than two windows: its early cutoffs train too."""
    return np.where(training_rows < 2 * (input_size + h), input_size - least, 0).astype(np.int64)


def one_window(training_rows: Int, input_size: int, h: int, least: int) -> Int:
    """Unknown rows put before each series that is shorter than a window: it then has one, with all of its rows.

    That is for nets that learn from every row of a window, so that earlier cutoffs would teach nothing new.
    """
    return np.clip(input_size + h - training_rows, 0, input_size - least).astype(np.int64)


@dataclass(frozen=True)
class Source:
    """Training and validation windows of one panel.

    Attributes:
        store: all rows, scaled by what came before the held-out tail.
        affine: that scaling.
        windows: every training window.
        validation: start rows of the validation windows, shape (V,); V may be 0.
        validation_series: the series of each validation window, shape (V,).
        measure: the units that windows are told in.
        anchors: where zero and one of each series' original values lie in the store's units, shape (S, 2), for losses
            that ask.
        whole: whether windows are whole series as far as possible; batches then take the series in turn.
    """

    store: Store
    affine: Affine
    windows: Windows
    validation: Tensor
    validation_series: Int
    input_size: int
    h: int
    measure: Measure = Measure()
    anchors: Tensor | None = None
    whole: bool = False

    def scaled(self, batch: Batch) -> Scaled:
        """``batch`` in the units that the net works in."""
        return self.measure.scaled(batch)

    def batch(self, batch_size: int, seed: int, step: int, progress: float) -> Batch:
        """The training batch of ``step``: a pure function of its arguments."""
        if self.whole:
            starts = self.windows.in_turn(-(-batch_size // WINDOWS_A_SERIES), seed, step)
        else:
            starts = self.windows.random(batch_size, seed, step)
        return self._forgetting(self.at(starts, progress), seed, step)

    def at(self, starts: Tensor, progress: float = 1.0) -> Batch:
        """The windows that begin at rows ``starts`` (B,), as they are at prediction, with their future beside."""
        device = self.store.values.device
        batch = gather(self.store, starts.to(device), self.input_size, self.h, progress)
        if self.anchors is None:
            return batch
        series = torch.searchsorted(torch.from_numpy(self.store.offsets), starts, right=True) - 1
        return told(batch, self.anchors[series].to(device))

    def _forgetting(self, batch: Batch, seed: int, step: int) -> Batch:
        """Some labels passed off as unknown, so that the net learns what to do about labels that it has never met."""
        who = self.store.identity
        if who is None:
            return batch
        generator = torch.Generator().manual_seed((seed * 1_000_003 + step) % (2**63))
        forgotten: dict[str, Any] = {}
        for role, table in (("static", who.static), ("hist", who.hist), ("futr", who.futr)):
            if table is not None and len(table.unknown):
                cells = getattr(batch, role)
                hidden = torch.rand(len(cells), len(table.unknown), generator=generator) < HIDDEN_LABELS
                forgotten[role] = table.hide(cells, hidden.to(cells.device))
        return batch._replace(**forgotten)

    def to(self, device: torch.device) -> Source:
        """The same with its rows on ``device``."""
        return replace(self, store=self.store.to(device))

    def content(self) -> Iterator[bytes]:
        """What tells its data from others."""
        yield self.store.values.numpy().tobytes()
        yield self.store.offsets.tobytes()
        who = self.store.identity
        for table in () if who is None else (who.static, who.hist, who.futr):
            if table is not None:
                yield table.numbers.numpy().tobytes()
                yield table.places.numpy().tobytes()

    def with_zeros(self) -> Source:
        """The same, whose batches tell where zero and one are: scaling hides them, and relative errors and likelihoods
        of original values need them."""
        return replace(self, anchors=anchors(self.affine))


def build_source(
    panel: Panel,
    input_size: int,
    h: int,
    season_length: int,
    val_size: int | None,
    needs: Needs = PLAIN,
    sampling: str = "windows",
    recency: float | None = None,
    readings: Readings = UNREAD,
    measure: Measure | None = None,
    held_out: Int | None = None,
) -> Source:
    """Cut ``panel`` into training and validation windows, as the architecture ``needs`` them.

    ``sampling`` and ``recency`` say how training windows are drawn, as for
    :func:`~forecast.windows.sampler.training_windows`. With ``readings`` batches carry covariates.
    ``measure`` is in what units windows are told; by default as ``needs`` says. ``held_out`` (S,) is what
    :func:`held_out_rows` says of the panel, where that has been asked already.

    Raises ``DataError`` when no series is long enough for a single training window.
    """
    least = least_past(input_size, season_length)
    held_out = held_out_rows(panel, least, h, val_size) if held_out is None else held_out
    rows_before = one_window if needs.whole else padding_rows
    padding = rows_before(panel.lengths - held_out, input_size, h, least)
    measure = measure or Measure(needs.levels, needs.spread)
    affine = measure.affine(panel.head(panel.lengths - held_out))
    indicator = bool(padding.any()) or has_unknown(panel)
    trained_as = np.arange(len(panel), dtype=np.int64) if needs.series else None
    store = build_store(panel, affine, padding, indicator=indicator, trained_as=trained_as, readings=readings, ahead=h)
    windows = training_windows(store, input_size + h, held_out, sampling, recency)
    if windows.total == 0:
        raise DataError(too_short(panel, least, h))
    starts, series = _validation_starts(store, held_out, input_size, h)
    kept = torch.from_numpy(starts)
    return Source(
        store,
        affine,
        windows,
        kept,
        series,
        input_size,
        h,
        measure=measure,
        whole=needs.whole > 0,
    )


def _validation_starts(store: Store, held_out: Int, input_size: int, h: int) -> tuple[Int, Int]:
    """Windows whose future lies wholly in the held-out tail, a quarter horizon apart, latest first."""
    stride = max(1, h // 4)
    counts = np.where(held_out >= h, (held_out - h) // stride + 1, 0)
    series = np.repeat(np.arange(len(counts), dtype=np.int64), counts)
    nth = np.arange(counts.sum(), dtype=np.int64) - np.repeat(np.cumsum(counts) - counts, counts)
    starts = store.offsets[1:][series] - nth * stride - (input_size + h)
    # A validation window may need more past than the series has.
    inside = starts >= store.offsets[:-1][series]
    return starts[inside], series[inside]


def too_short(panel: Panel, least: int, h: int) -> Fault:
    """What is wrong with a panel that gives nothing to train on."""
    longest = int(panel.lengths.argmax())
    return Fault(
        column=panel.schema.target_col,
        problem=(
            f"every series is too short to train on: h={h} needs at least {least + h} rows, the longest "
            f"({some([panel.ids[longest]])}) has {int(panel.lengths[longest])}"
        ),
        remedy="Give more history, a smaller h, or use a baseline such as 'naive' or 'theta'.",
    )
