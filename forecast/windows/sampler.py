"""Which windows: samplers return start rows in the store, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

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

    Window ``i`` belongs to the series whose cumulative count is the first above ``i``: one ``searchsorted``.
    """

    cumulative: Tensor  # (S + 1,) windows before each series
    base: Tensor  # (S,) row of a series' first window, minus its cumulative count
    total: int

    def start(self, number: Tensor) -> Tensor:
        """Start rows of the windows numbered ``number`` (any shape)."""
        series = torch.searchsorted(self.cumulative, number, right=True) - 1
        return self.base[series] + number

    def random(self, batch_size: int, seed: int, step: int) -> Tensor:
        """``batch_size`` start rows, uniform over windows; a pure function of ``seed`` and ``step``."""
        generator = torch.Generator().manual_seed((seed * 1_000_003 + step) % (2**63))
        return self.start(torch.randint(self.total, (batch_size,), generator=generator))


def training_windows(store: Store, width: int, held_out: Int | int = 0) -> Windows:
    """Every window that ends before the last ``held_out`` rows of its series."""
    order = content_order(store)
    counts = np.maximum(store.lengths - held_out - width + 1, 0)[order]
    cumulative = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    base = store.offsets[:-1][order] - cumulative[:-1]
    return Windows(torch.from_numpy(cumulative), torch.from_numpy(base), int(cumulative[-1]))


def last_windows(store: Store, width: int, back: int = 0) -> Tensor:
    """Start row of the window of each series that ends ``back`` rows before its end, shape (S,).

    The series must hold that many rows, padding included.
    """
    return torch.from_numpy(store.offsets[1:] - back - width)
