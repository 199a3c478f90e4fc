"""From covariates to numbers that a net can read, learned from the rows trained on and from no others."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from forecast.panel.clock import distinct
from forecast.panel.covariates import Covariates, Labels, Numbers
from forecast.panel.observations import trust
from forecast.panel.segments import sums

Float = npt.NDArray[np.float64]
Int = npt.NDArray[np.int64]

FARTHEST = 10.0  # standard deviations: what lies beyond says no more than "far out", and must not overflow
MOST_LABELS = 1000
SILENT = float(np.finfo(np.float64).max)  # a spread so large that every number reads as 0


@dataclass(frozen=True)
class NumberCode:
    """A numeric column as standard deviations from the mean of the rows trained on, within ±10; 0 where missing.

    A flag, a column of two values over time, is 0 for the lesser and 1 for the greater one instead: in standard
    deviations the rarest flags would speak loudest, and theirs are the effects of which least is known.

    ``indicator`` adds a cell, 1 where the value is missing: there is one when some row trained on had none. ``within``
    adds another, the last: the distance from the mean in units of how far values lie from the mean of their own series,
    for windows to take relative to where they end. Prices that differ tenfold between series and by a hundredth within
    them would tell nothing of time otherwise. It is as large as need be, and missing where the value is.

    Both are the smaller, the fewer observations there were of the column over time
    (:func:`~forecast.panel.observations.trust`). A column that was constant, or never known, reads as 0 for good: what
    it does when it moves was never seen.
    """

    name: str
    center: float
    spread: float
    indicator: bool
    within: float | None = None

    @property
    def width(self) -> int:
        """Cells of the encoded row."""
        return 1 + self.indicator + (self.within is not None)


@dataclass(frozen=True)
class LabelCode:
    """A categorical column as one cell for each label and a last one for labels not among them, and missing ones."""

    name: str
    labels: tuple[str, ...]

    @property
    def width(self) -> int:
        """Cells of the encoded row."""
        return len(self.labels) + 1


class Encoded(NamedTuple):
    """Encoded rows, kept small: the cells of the numbers, then which cells of the rest are 1."""

    numbers: npt.NDArray[np.float32]  # (R, N)
    places: Int  # (R, C), cells of the encoded row, each at least N
    unknown: Int  # (C,), the cell of each categorical column that stands for no label known
    width: int


@dataclass(frozen=True)
class Encoding:
    """How each column is encoded, numbers first."""

    numbers: tuple[NumberCode, ...] = ()
    labels: tuple[LabelCode, ...] = ()

    @property
    def width(self) -> int:
        """Cells of an encoded row."""
        return sum(code.width for code in self.numbers) + sum(code.width for code in self.labels)

    @property
    def relative(self) -> tuple[int, ...]:
        """The cells that windows take relative to where they end."""
        ends = np.cumsum([code.width for code in self.numbers]).tolist()
        return tuple(end - 1 for end, code in zip(ends, self.numbers, strict=True) if code.within is not None)

    def encode(self, covariates: Covariates) -> Encoded:
        """The rows of ``covariates``, which has a column for every code, by name and of its kind."""
        rows = len(covariates)
        cells = [_number_cells(code, covariates) for code in self.numbers]
        numbers = np.concatenate([np.empty((rows, 0)), *cells], axis=1)
        places, unknown, first = np.empty((rows, len(self.labels)), dtype=np.int64), [], numbers.shape[1]
        for number, code in enumerate(self.labels):
            codes = labels_of(covariates, code.name).codes_in(code.labels)
            unknown.append(first + len(code.labels))
            places[:, number] = np.where(codes >= 0, first + codes, unknown[-1])
            first += code.width
        return Encoded(numbers.astype(np.float32), places, np.array(unknown, dtype=np.int64), first)

    def strangers(self, covariates: Covariates) -> dict[str, tuple[str, ...]]:
        """Labels of ``covariates`` that are in use there and have no cell of their own, by column."""
        found = {}
        for code in self.labels:
            met = set(code.labels)
            new = tuple(label for label in labels_in_use(labels_of(covariates, code.name)) if label not in met)
            if new:
                found[code.name] = new
        return found


def labels_of(covariates: Covariates, name: str) -> Labels:
    """The categorical column called ``name``. Raises ``TypeError`` when that one holds numbers."""
    column = covariates.column(name)
    if not isinstance(column, Labels):
        raise TypeError(f"{name} holds numbers, labels were expected")
    return column


def labels_in_use(column: Labels) -> tuple[str, ...]:
    """The labels that some row has, in alphabetical order."""
    return tuple(sorted(column.labels[code] for code in np.unique(column.codes[column.codes >= 0]).tolist()))


def fit_encoding(
    covariates: Covariates, most: int = MOST_LABELS, offsets: Int | None = None, first: Int | None = None
) -> Encoding:
    """Learn from ``covariates``: means, standard deviations, labels. The order of its rows plays no part.

    Of more than ``most`` labels the commonest are kept; the others count as unknown. ``offsets`` (S + 1,) say which
    rows are those of a series, where covariates change over time: numbers of more than two values are then read
    relative to their series as well. With ``first`` (S,), the ordinal of each series' first row, numbers that are the
    same for all series at a time are told from those of each series, and weigh as little as there were times.
    """
    columns = covariates.columns
    numbers = tuple(_fit_number(column, offsets) for column in columns if isinstance(column, Numbers))
    if offsets is not None and first is not None:
        places = distinct(first, np.diff(offsets))[1]
        shares = [trust(column.values, places) for column in columns if isinstance(column, Numbers)]
        numbers = tuple(_quieter(code, share) for code, share in zip(numbers, shares, strict=True))
    labels = tuple(LabelCode(column.name, _commonest(column, most)) for column in columns if isinstance(column, Labels))
    return Encoding(numbers, labels)


def _fit_number(column: Numbers, offsets: Int | None) -> NumberCode:
    code = _fit_level(column)
    if offsets is None:
        return code
    return _fit_flag(column, code) or replace(code, within=_spread_within(code, column, offsets))


def _quieter(code: NumberCode, share: float) -> NumberCode:
    """The same with ``share`` of its size."""
    within = None if code.within is None else min(code.within / share, SILENT)
    return replace(code, spread=min(code.spread / share, SILENT), within=within)


def _fit_flag(column: Numbers, code: NumberCode) -> NumberCode | None:
    """A column of two values; nothing for any other."""
    known = column.values[np.isfinite(column.values)]
    lesser, greater = float(known.min(initial=np.inf)), float(known.max(initial=-np.inf))
    two = lesser < greater and bool(((known == lesser) | (known == greater)).all())
    return replace(code, center=lesser, spread=greater - lesser) if two and np.isfinite(greater - lesser) else None


def _spread_within(code: NumberCode, column: Numbers, offsets: Int) -> float | None:
    """Standard deviation around the mean of each series; nothing for what is constant in each series."""
    known = np.isfinite(column.values)
    values = np.where(known, (column.values - code.center) / code.spread, 0.0)
    if not known.any():
        return None
    mean = sums(values, offsets) / np.maximum(sums(known.astype(np.float64), offsets), 1.0)
    away = np.sort(np.where(known, values - np.repeat(mean, np.diff(offsets)), 0.0) ** 2)
    spread = float(np.sqrt(away.sum() / known.sum())) * code.spread
    return spread if spread > 1e-9 * code.spread else None


def _fit_level(column: Numbers) -> NumberCode:
    known = np.sort(column.values[np.isfinite(column.values)])  # sorted, so that sums do not depend on the order
    indicator = known.size < len(column)
    if not known.size:
        return NumberCode(column.name, 0.0, SILENT, indicator)
    top = max(-known[0], known[-1]) or 1.0  # values near the top of float64's range must not overflow
    center = float(np.clip(np.mean(known / top), known[0] / top, known[-1] / top) * top)
    distance = np.abs(known / 2 - center / 2)
    largest = float(distance.max())
    if largest <= max(abs(center) * 1e-14, float(np.finfo(np.float64).tiny)):
        return NumberCode(column.name, center, SILENT, indicator)
    spread = 2 * largest * float(np.sqrt(np.mean((distance / largest) ** 2)))
    return NumberCode(column.name, center, min(spread, float(np.finfo(np.float64).max)), indicator)


def _number_cells(code: NumberCode, covariates: Covariates) -> Float:
    """One column, or two with the indicator, (R, width)."""
    column = covariates.column(code.name)
    if not isinstance(column, Numbers):
        raise TypeError(f"{code.name} holds labels, numbers were expected")
    known = np.isfinite(column.values)
    filled = np.where(known, column.values, code.center)
    standard = np.clip((filled / 2 - code.center / 2) / (code.spread / 2), -FARTHEST, FARTHEST)
    cells = [standard, ~known] if code.indicator else [standard]
    if code.within is not None:
        cells.append((column.values / 2 - code.center / 2) / (code.within / 2))
    return np.stack(cells, axis=1)


def _commonest(column: Labels, most: int) -> tuple[str, ...]:
    """The labels worth a cell, in alphabetical order."""
    used = labels_in_use(column)
    if len(used) <= most:
        return used
    counts = np.bincount(column.codes[column.codes >= 0], minlength=len(column.labels))
    size = dict(zip(column.labels, counts.tolist(), strict=True))
    return tuple(sorted(sorted(used, key=lambda label: (-size[label], label))[:most]))
