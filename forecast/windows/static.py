"""Static features as nets read them: a vector for each series, kept small and written out a batch at a time."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import torch
from torch import Tensor

from forecast.errors import DataError, Fault, ForecastWarning, some
from forecast.panel.encoding import Encoding
from forecast.panel.panel import Panel
from forecast.panel.readings import Readings


@dataclass(frozen=True)
class StaticTable:
    """Encoded static features of every series of a store (see :class:`~forecast.panel.encoding.Encoded`).

    Attributes:
        numbers: (S, N) float32, the first N cells of each vector.
        places: (S, C) int64, the cells that are 1 for the labels of each series.
        unknown: (C,) int64, the cells that are 1 instead where a label is not known.
        width: cells of a vector.
    """

    numbers: Tensor
    places: Tensor
    unknown: Tensor
    width: int

    def of(self, series: Tensor) -> Tensor:
        """The vectors (B, width) of the series numbered ``series`` (B,)."""
        numbers = self.numbers[series]
        vectors = torch.zeros(len(series), self.width, device=numbers.device)
        vectors[:, : numbers.shape[1]] = numbers
        return vectors.scatter_(1, self.places[series], 1.0)

    def hide(self, vectors: Tensor, hidden: Tensor) -> Tensor:
        """``vectors`` (B, width) with the labels where ``hidden`` (B, C) is true passed off as unknown."""
        cells = torch.arange(self.width, device=vectors.device)
        column = torch.searchsorted(self.unknown, cells)  # of each cell; the cells of a column end with its unknown one
        covered = hidden[:, column] & (cells >= self.numbers.shape[1])
        return torch.where(covered, torch.isin(cells, self.unknown).to(vectors.dtype), vectors)

    def to(self, device: torch.device) -> StaticTable:
        """The same on ``device``."""
        return StaticTable(self.numbers.to(device), self.places.to(device), self.unknown.to(device), self.width)


def static_table(panel: Panel, encoding: Encoding) -> StaticTable:
    """The static features of ``panel`` in the ``encoding`` that was learned.

    Raises ``DataError`` when the panel has none.
    """
    if panel.static is None:
        problem = "the model was fitted with static features, the data have none"
        raise DataError(Fault("static_df", problem, "Give a row for each series."))
    encoded = encoding.encode(panel.static)
    numbers, places, unknown = (torch.from_numpy(a) for a in (encoded.numbers, encoded.places, encoded.unknown))
    return StaticTable(numbers, places, unknown, encoded.width)


def tell_strangers(panel: Panel, readings: Readings) -> None:
    """Warn about labels of covariates that were not there in training: they count as unknown."""
    found = readings.strangers(panel)
    if found:
        listed = "; ".join(f"{name}: {some(labels)}" for name, labels in found.items())
        warnings.warn(
            f"labels of covariates that were not there in training count as unknown ({listed}).",
            ForecastWarning,
            stacklevel=3,
        )
