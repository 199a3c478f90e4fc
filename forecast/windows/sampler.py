"""Which windows: samplers return start rows in the store, and nothing else."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from forecast.panel.spans import offsets_of
from forecast.windows.store import Store

Int = npt.NDArray[np.int64]


def content_order(store: Store) -> Int:
    """The series ordered by what they contain, so that training does not depend on row or series order."""
    weights = torch.linspace(1.0, 2.0, 997, dtype=torch.float64).numpy()
    z = store.values[:, 0].numpy()
    starts = np.minimum(store.offsets[:-1], max(len(z) - 1, 0))
    place = np.arange(len(z)) - np.repeat(store.offsets[:-1], store.lengths)
    key = np.add.reduceat(z * weights[place % 997], starts) if len(z) else np.zeros(0)
    return np.lexsort((key, store.lengths)).astype(np.int64)


@dataclass(frozen=True)
class Windows:
    """All windows of ``width`` rows of a store, numbered 0 … total - 1 without a table of them.

    Window ``i`` belongs to the series whose cumulative count is the first above ``i``: one ``searchsorted``. Every
    window is as likely as any other, unless ``chances`` or ``recency`` say otherwise.
    """

    cumulative: Tensor  # (S + 1,) windows before each series
    base: Tensor  # (S,) row of a series' first window, minus its cumulative count
    total: int
    chances: Tensor | None = None  # (S,) float64, running sum of the chances of the series, up to 1
    recency: float | None = None  # share of a series' windows over which the chance of a window halves, going back

    def start(self, number: Tensor) -> Tensor:
        """Start rows of the windows numbered ``number`` (any shape)."""
        series = torch.searchsorted(self.cumulative, number, right=True) - 1
        return self.base[series] + number

    def random(self, batch_size: int, seed: int, step: int) -> Tensor:
        """``batch_size`` start rows; a pure function of ``seed`` and ``step``."""
        generator = torch.Generator().manual_seed((seed * 1_000_003 + step) % (2**63))
        if self.chances is None:
            return self.start(torch.randint(self.total, (batch_size,), generator=generator))
        which, where = torch.rand(2, batch_size, dtype=torch.float64, generator=generator)
        series = torch.searchsorted(self.chances, which, right=True)
        count = self.cumulative[series + 1] - self.cumulative[series]
        if self.recency is not None:
            # The inverse of a truncated exponential distribution over the windows, latest first.
            decay = math.log(2.0) / self.recency
            where = -torch.log1p(where * math.expm1(-decay)) / decay
        back = torch.minimum((where * count).long(), count - 1)
        return self.base[series] + self.cumulative[series + 1] - 1 - back

    def in_turn(self, batch_size: int, seed: int, step: int) -> Tensor:
        """At most ``batch_size`` start rows, from as many different series as there are; a pure function of ``seed``
        and ``step``.

        Every series comes up equally often, whatever its length, with a random one of its windows. There are never
        more rows than windows: one series with one window makes a batch of one.
        """
        generator = torch.Generator().manual_seed((seed * 1_000_003 + step) % (2**63))
        counts = self.cumulative.diff()
        able = counts.nonzero()[:, 0]
        size = min(batch_size, self.total)
        order = [torch.randperm(len(able), generator=generator) for _ in range(-(-size // len(able)))]
        series = able[torch.cat(order)[:size]]
        place = (torch.rand(size, generator=generator, dtype=torch.float64) * counts[series]).long()
        return self.start(self.cumulative[series] + place)


def training_windows(
    store: Store, width: int, held_out: Int | int = 0, sampling: str = "windows", recency: float | None = None
) -> Windows:
    """Every window that ends before the last ``held_out`` rows of its series.

    ``sampling``: every one of the ``windows`` is as likely as any other, or every one of the ``series`` that has any.
    With ``recency`` the later windows of a series are drawn more often: that share of them back, half as often.
    """
    order = content_order(store)
    counts = np.maximum(store.lengths - held_out - width + 1, 0)[order]
    cumulative = offsets_of(counts)
    base = store.offsets[:-1][order] - cumulative[:-1]
    total = int(cumulative[-1])
    chances = None
    if total and (sampling == "series" or recency is not None):
        weight = np.cumsum(counts > 0 if sampling == "series" else counts)
        chances = torch.from_numpy(weight / weight[-1])
    return Windows(torch.from_numpy(cumulative), torch.from_numpy(base), total, chances, recency)


def last_windows(store: Store, width: int, back: int = 0) -> Tensor:
    """Start row of the window of each series that ends ``back`` rows before its end, shape (S,).

    The series must hold that many rows, padding included.
    """
    return torch.from_numpy(store.offsets[1:] - back - width)
