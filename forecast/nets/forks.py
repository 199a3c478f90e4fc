"""Forking sequences: one pass over a window trains forecasts made at several of its rows (Wen et al. 2017, "A
Multi-Horizon Quantile Recurrent Forecaster", arXiv 1711.11053)."""

from __future__ import annotations

from typing import NamedTuple, Protocol, runtime_checkable

import torch
from torch import Tensor

from forecast.windows.gather import Batch


class Forks(NamedTuple):
    """Forecasts made at F rows (forks) of each window and the values that followed, in window units."""

    output: Tensor  # (B, F, h, outputs)
    future: Tensor  # (B, F, h), 0 where unknown
    weight: Tensor  # (B, F, h), 1.0 for the cells that count


@runtime_checkable
class Forking(Protocol):
    """A net that in training is judged at several rows of each window; at prediction it forecasts from the last."""

    def forked(self, batch: Batch) -> Forks:
        """Forecasts at several rows, each from the rows up to it alone; the last row of the past is one of them."""
        ...


def fork_rows(first: int, rows: int, count: int, device: torch.device) -> Tensor:
    """``count`` rows to forecast from, ascending, shape (F,): the last of ``rows``, the others drawn at random from
    ``first`` on, without repetition (all of them when there are fewer)."""
    earlier = torch.randperm(max(0, rows - 1 - first), device=device)[: count - 1] + first
    return torch.cat([earlier.sort().values, torch.tensor([rows - 1], device=device)])


def followers(past: Tensor, future: Tensor, rows: Tensor) -> Tensor:
    """What follows each of ``rows`` (F,) of the past: from (B, input_size) and (B, h) to (B, F, h)."""
    h = future.shape[1]
    return torch.cat([past, future], dim=1).unfold(1, h, 1)[:, rows + 1]


def last_known(batch: Batch) -> Tensor:
    """The last known value up to and including each row of the past, (B, input_size); 0 before the first."""
    if batch.observed is None:
        return batch.past
    steps = torch.arange(batch.past.shape[1], device=batch.past.device, dtype=batch.past.dtype)
    latest = (batch.observed * steps).cummax(dim=1).values
    return batch.past.gather(1, latest.long())
