"""Covariates: columns beside the target, numbers or labels, all with one row for each of something.

What a row is belongs to the owner: a panel's static features have one for each series.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

Float = npt.NDArray[np.float64]
Int = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Numbers:
    """A numeric column: ``values`` (R,), NaN where missing."""

    name: str
    values: Float

    def __len__(self) -> int:
        return len(self.values)

    def take(self, rows: Int) -> Numbers:
        """The column at ``rows``, in that order."""
        return replace(self, values=self.values[rows])

    def at(self, rows: Int) -> Numbers:
        """The column at ``rows``, missing where that is -1."""
        return replace(self, values=np.append(self.values, np.nan)[rows])

    def cells(self) -> Float:
        """The values, for a frame."""
        return self.values


@dataclass(frozen=True)
class Labels:
    """A categorical column: ``codes`` (R,) are places in ``labels``, -1 where missing.

    Labels are text and all different; numbers and truth values have been written out. What a code means is up to the
    column, so two columns are compared by their labels, never by their codes.
    """

    name: str
    codes: Int
    labels: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.codes)

    def take(self, rows: Int) -> Labels:
        """The column at ``rows``, in that order."""
        return replace(self, codes=self.codes[rows])

    def at(self, rows: Int) -> Labels:
        """The column at ``rows``, missing where that is -1."""
        return replace(self, codes=np.append(self.codes, -1)[rows])

    def cells(self) -> npt.NDArray[np.object_]:
        """Each row's label, ``None`` where missing, for a frame."""
        return np.array([*self.labels, None], dtype=object)[self.codes]

    def codes_in(self, labels: tuple[str, ...]) -> Int:
        """Each row's place in another list of labels, shape (R,); -1 where missing or not in it."""
        place = {label: code for code, label in enumerate(labels)}
        translated = np.array([place.get(label, -1) for label in self.labels] + [-1], dtype=np.int64)
        return translated[self.codes]


Column = Numbers | Labels


def joined(one: Column, two: Column) -> Column:
    """The rows of ``one``, then those of ``two``, a column of the same name and kind.

    Raises ``TypeError`` when one holds numbers and the other labels.
    """
    if isinstance(one, Numbers) and isinstance(two, Numbers):
        return Numbers(one.name, np.concatenate([one.values, two.values]))
    if isinstance(one, Labels) and isinstance(two, Labels):
        labels = tuple(dict.fromkeys(one.labels + two.labels))
        return Labels(one.name, np.concatenate([one.codes, two.codes_in(labels)]), labels)
    raise TypeError(f"{one.name} holds numbers in one table and labels in the other")


@dataclass(frozen=True)
class Covariates:
    """Columns of equal length, at least one, with different names."""

    columns: tuple[Column, ...]

    def __len__(self) -> int:
        return len(self.columns[0])

    @property
    def names(self) -> tuple[str, ...]:
        """What the columns are called."""
        return tuple(column.name for column in self.columns)

    def column(self, name: str) -> Column:
        """The column called ``name``. Raises ``KeyError`` when there is none."""
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(name)

    def cells(self) -> dict[str, npt.NDArray[Any]]:
        """What a frame holds of each column: floats, or text with ``None`` where missing."""
        return {column.name: column.cells() for column in self.columns}

    def take(self, rows: Int) -> Covariates:
        """The table at ``rows``, in that order."""
        return Covariates(tuple(column.take(rows) for column in self.columns))

    def at(self, rows: Int) -> Covariates:
        """The table at ``rows``, missing where that is -1."""
        return Covariates(tuple(column.at(rows) for column in self.columns))

    def followed_by(self, other: Covariates) -> Covariates:
        """This table's rows, then those of ``other``, which has columns of the same names and kinds in any order."""
        return Covariates(tuple(joined(column, other.column(column.name)) for column in self.columns))
