"""Where training windows come from: the store, the sampler and the held-out tail."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from forecast.errors import ConfigError, DataError, Fault, some
from forecast.nets.facts import Needs
from forecast.panel.panel import Panel
from forecast.windows.gather import Batch, gather
from forecast.windows.sampler import Windows, training_windows
from forecast.windows.store import Affine, Store, build_store, fit_affine, fit_ratio, has_unknown

Int = npt.NDArray[np.int64]

FEW_SERIES = 20
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


@dataclass(frozen=True)
class Source:
    """Training and validation windows of one panel.

    Attributes:
        store: all rows, scaled by what came before the held-out tail.
        affine: that scaling.
        windows: every training window.
        validation: start rows of the validation windows, shape (V,); V may be 0.
        validation_series: the series of each validation window, shape (V,).
        levels: whether windows keep level and sign.
    """

    store: Store
    affine: Affine
    windows: Windows
    validation: Tensor
    validation_series: Int
    input_size: int
    h: int
    levels: bool = False

    def batch(self, batch_size: int, seed: int, step: int, progress: float) -> Batch:
        """The training batch of ``step``: a pure function of its arguments."""
        starts = self.windows.random(batch_size, seed, step).to(self.store.values.device)
        return gather(self.store, starts, self.input_size, self.h, progress)

    def at(self, starts: Tensor) -> Batch:
        """The windows that begin at rows ``starts`` (B,), as they are at prediction, with their future beside."""
        return gather(self.store, starts.to(self.store.values.device), self.input_size, self.h)


def build_source(
    panel: Panel, input_size: int, h: int, season_length: int, val_size: int | None, needs: Needs = PLAIN
) -> Source:
    """Cut ``panel`` into training and validation windows, as the architecture ``needs`` them.

    Raises ``DataError`` when no series is long enough for a single training window.
    """
    least = least_past(input_size, season_length)
    held_out = held_out_rows(panel, least, h, val_size)
    padding = padding_rows(panel.lengths - held_out, input_size, h, least)
    affine = (fit_ratio if needs.levels else fit_affine)(panel.head(panel.lengths - held_out))
    indicator = bool(padding.any()) or has_unknown(panel)
    trained_as = np.arange(len(panel), dtype=np.int64) if needs.series else None
    store = build_store(panel, affine, padding, indicator=indicator, trained_as=trained_as)
    windows = training_windows(store, input_size + h, held_out)
    if windows.total == 0:
        raise DataError(_too_short(panel, least, h))
    starts, series = _validation_starts(store, held_out, input_size, h)
    return Source(store, affine, windows, torch.from_numpy(starts), series, input_size, h, needs.levels)


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


def _too_short(panel: Panel, least: int, h: int) -> Fault:
    longest = int(panel.lengths.argmax())
    return Fault(
        column=panel.schema.target_col,
        problem=(
            f"every series is too short to train on: h={h} needs at least {least + h} rows, the longest "
            f"({some([panel.ids[longest]])}) has {int(panel.lengths[longest])}"
        ),
        remedy="Give more history, a smaller h, or use a baseline such as 'naive' or 'theta'.",
    )
