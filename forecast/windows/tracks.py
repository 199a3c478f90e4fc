"""Covariates as windows read them: rows beside those of a store, and perhaps beyond each series' last one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from forecast.errors import DataError, Fault
from forecast.panel.covariates import Covariates
from forecast.panel.encoding import FARTHEST, Encoding
from forecast.panel.panel import Panel, ranges

Int = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Track:
    """Encoded covariates (see :class:`~forecast.panel.encoding.Encoded`), kept small and written out a batch at a time.

    Attributes:
        numbers: (R, N) float32, the first N cells of each row.
        places: (R, C) int64, the cells that are 1 for the labels of each row.
        unknown: (C,) int64, the cells that are 1 instead where a label is not known.
        width: cells of a row.
        shift: (S,) what to add to a row of the store to have that of the track.
        ahead: rows that windows have beyond the past.
        relative: (K,) int64, cells of numbers that windows have relative to the last row of their past.
    """

    numbers: Tensor
    places: Tensor
    unknown: Tensor
    width: int
    shift: Tensor
    ahead: int
    relative: Tensor

    def windows(self, starts: Tensor, series: Tensor, input_size: int) -> Tensor:
        """Cells (B, input_size + ahead, width) of the windows that begin at rows ``starts`` (B,) of the store, which
        belong to ``series`` (B,)."""
        rows, length = starts + self.shift[series], input_size + self.ahead
        numbers = _runs(self.numbers, rows, length)
        if len(self.relative):
            own = numbers[..., self.relative]
            away = (own - own[:, input_size - 1 : input_size]).clamp(-FARTHEST, FARTHEST)
            numbers = numbers.index_copy(2, self.relative, away.nan_to_num(0.0))
        if not self.places.shape[1]:
            return numbers
        places = _runs(self.places, rows, length)
        cells = torch.zeros(*places.shape[:2], self.width, device=numbers.device)
        cells[..., : numbers.shape[2]] = numbers
        return cells.scatter_(2, places, 1.0)

    def hide(self, cells: Tensor, hidden: Tensor) -> Tensor:
        """``cells`` (B, T, width) with the labels of columns where ``hidden`` (B, C) is true passed off as unknown."""
        place = torch.arange(self.width, device=cells.device)
        column = torch.searchsorted(self.unknown, place)  # the cells of a column end with its unknown one
        covered = hidden[:, column.clamp(max=hidden.shape[1] - 1)] & (place >= self.numbers.shape[1])
        return torch.where(covered.unsqueeze(1), torch.isin(place, self.unknown).to(cells.dtype), cells)

    def to(self, device: torch.device) -> Track:
        """The same on ``device``."""
        tensors = (self.numbers, self.places, self.unknown, self.shift, self.relative)
        numbers, places, unknown, shift, relative = (part.to(device) for part in tensors)
        return Track(numbers, places, unknown, self.width, shift, self.ahead, relative)


def _runs(table: Tensor, rows: Tensor, length: int) -> Tensor:
    """``length`` rows of ``table`` (R, C) from each of ``rows`` (B,) on: (B, length, C), one strided selection."""
    total, columns = table.shape
    if not columns:
        return table.new_empty(len(rows), length, 0)
    view = table.view(-1).as_strided((total - length + 1, length * columns), (columns, 1))
    return torch.index_select(view, 0, rows).view(len(rows), length, columns)


def hist_track(panel: Panel, encoding: Encoding, offsets: Int, padding: Int) -> Track:
    """What was known up to the cutoff, a row for each row of a store with ``offsets`` (S + 1,), its ``padding`` rows
    missing. Raises ``DataError`` when the panel has none."""
    if panel.hist is None:
        raise DataError(_absent("hist_exog"))
    place = np.full(int(offsets[-1]), -1, dtype=np.int64)
    place[ranges(offsets[:-1] + padding, panel.lengths)] = np.arange(len(panel.values), dtype=np.int64)
    return _track(panel.hist.at(place), encoding, np.zeros(len(panel), dtype=np.int64))


def futr_track(panel: Panel, encoding: Encoding, offsets: Int, padding: Int, ahead: int) -> Track:
    """What is known into the future: the rows of a store and ``ahead`` more after each series.

    Raises ``DataError`` when the panel has none.
    """
    if panel.futr is None:
        raise DataError(_absent("futr_exog"))
    known = panel.futr.between(panel.first - padding, panel.lengths + padding + ahead)
    return _track(known.covariates, encoding, known.offsets[:-1] - offsets[:-1], ahead)


def _track(covariates: Covariates, encoding: Encoding, shift: Int, ahead: int = 0) -> Track:
    encoded = encoding.encode(covariates)
    numbers, places, unknown = (torch.from_numpy(a) for a in (encoded.numbers, encoded.places, encoded.unknown))
    relative = torch.tensor(encoding.relative, dtype=torch.int64)
    return Track(numbers, places, unknown, encoded.width, torch.from_numpy(shift), ahead, relative)


def _absent(role: str) -> Fault:
    return Fault(role, "the model was fitted with such covariates, the data have none", "Give their columns.")
