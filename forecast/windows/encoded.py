"""Encoded covariates as nets read them, kept small and written out a batch at a time."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any, Self

import torch
from torch import Tensor

from forecast.panel.covariates import Covariates
from forecast.panel.encoding import Encoding


@dataclass(frozen=True)
class EncodedTable:
    """Rows of covariates as :class:`~forecast.panel.encoding.Encoded` has them.

    Attributes:
        numbers: (R, N) float32, the first N cells of each row.
        places: (R, C) int64, the cells that are 1 for the labels of each row.
        unknown: (C,) int64, the cells that are 1 instead where a label is not known.
        width: cells of a row.
    """

    numbers: Tensor
    places: Tensor
    unknown: Tensor
    width: int

    @classmethod
    def encoded(cls, covariates: Covariates, encoding: Encoding, **more: Any) -> Self:
        """The rows of ``covariates`` in the ``encoding`` that was learned; ``more`` is what else the table has."""
        found = encoding.encode(covariates)
        numbers, places, unknown = (torch.from_numpy(part) for part in (found.numbers, found.places, found.unknown))
        return cls(numbers, places, unknown, found.width, **more)

    def of(self, rows: Tensor) -> Tensor:
        """The cells (B, width) of the rows numbered ``rows`` (B,)."""
        return self.written(self.numbers[rows], self.places[rows])

    def written(self, numbers: Tensor, places: Tensor) -> Tensor:
        """Rows cell by cell, (…, width), from their ``numbers`` (…, N) and ``places`` (…, C)."""
        if not places.shape[-1]:
            return numbers
        cells = torch.zeros(*places.shape[:-1], self.width, device=numbers.device)
        cells[..., : numbers.shape[-1]] = numbers
        return cells.scatter_(-1, places, 1.0)

    def hide(self, cells: Tensor, hidden: Tensor) -> Tensor:
        """``cells`` (B, …, width) with the labels of columns where ``hidden`` (B, C) is true passed off as unknown."""
        place = torch.arange(self.width, device=cells.device)
        column = torch.searchsorted(self.unknown, place)  # of each cell; the cells of a column end with its unknown one
        covered = hidden[:, column] & (place >= self.numbers.shape[1])
        covered = covered.view(len(cells), *(1 for _ in range(cells.ndim - 2)), self.width)
        return torch.where(covered, torch.isin(place, self.unknown).to(cells.dtype), cells)

    def to(self, device: torch.device) -> Self:
        """The same on ``device``."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        moved: dict[str, Any] = {name: part.to(device) for name, part in values.items() if isinstance(part, Tensor)}
        return replace(self, **moved)
