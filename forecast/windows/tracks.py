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
from forecast.panel.panel import Panel
from forecast.panel.spans import ranges
from forecast.windows.encoded import EncodedTable
from forecast.windows.views import stretches

Int = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Track(EncodedTable):
    """Encoded covariates beside the rows of a store, and perhaps beyond.

    Attributes:
        shift: (S,) what to add to a row of the store to have that of the track.
        ahead: rows that windows have beyond the past.
        relative: (K,) int64, cells of numbers that windows have relative to the last row of their past.
    """

    shift: Tensor
    ahead: int
    relative: Tensor

    def windows(self, starts: Tensor, series: Tensor, input_size: int) -> Tensor:
        """Cells (B, input_size + ahead, width) of the windows that begin at rows ``starts`` (B,) of the store, which
        belong to ``series`` (B,)."""
        rows, length = starts + self.shift[series], input_size + self.ahead
        numbers = stretches(self.numbers, rows, length)
        if len(self.relative):
            own = numbers[..., self.relative]
            away = (own - own[:, input_size - 1 : input_size]).clamp(-FARTHEST, FARTHEST)
            numbers = numbers.index_copy(2, self.relative, away.nan_to_num(0.0))
        return self.written(numbers, stretches(self.places, rows, length))


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
    relative = torch.tensor(encoding.relative, dtype=torch.int64)
    return Track.encoded(covariates, encoding, shift=torch.from_numpy(shift), ahead=ahead, relative=relative)


def _absent(role: str) -> Fault:
    return Fault(role, "the model was fitted with such covariates, the data have none", "Give their columns.")
