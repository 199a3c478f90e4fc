"""One column at a time, looked at before anybody says what it means."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from forecast.ingest.features import feature_column
from forecast.ingest.times import time_column
from forecast.panel.covariates import Numbers

Int = npt.NDArray[np.int64]
Float = npt.NDArray[np.float64]
Bool = npt.NDArray[np.bool_]

SAMPLE = 1000  # rows that tell whether text is dates
MOST_KEPT = 20_000_000  # cells of a table that are kept in memory
YES = {"yes", "true", "y", "t", "1", "on"}
NO = {"no", "false", "n", "f", "0", "off", "-1"}
NUMBER, LABEL, TIME, OTHER = "number", "label", "time", "other"


@dataclass(frozen=True)
class Cells:
    """The cells of a column, numbered: ``codes`` (N,) are -1 where missing; ``values`` (N,) where they are numbers."""

    kind: str
    codes: Int
    distinct: int
    values: Float | None = None
    labels: tuple[str, ...] = ()
    why: str = ""


@dataclass(frozen=True)
class Portrait:
    """What a column is like.

    Attributes:
        name: its name, text or not.
        dtype: as pandas calls it.
        kind: ``number``, ``label``, ``time`` or ``other``, which nothing can be made of.
        whole: whether it holds whole numbers only.
        flag: whether it only says yes or no.
        missing: cells without a value.
        distinct: different values.
        rows: cells in all.
        why: why nothing can be made of it.
    """

    name: Any
    dtype: str
    kind: str
    whole: bool
    flag: bool
    missing: int
    distinct: int
    rows: int
    why: str = ""

    @property
    def share(self) -> float:
        """Share of missing cells."""
        return self.missing / max(self.rows, 1)


def cells_of(column: pd.Series[Any]) -> Cells:
    """The cells as the door would read a covariate; times are told apart first."""
    if is_time(column):
        codes, found = pd.factorize(column)
        return Cells(TIME, codes.astype(np.int64), len(found))
    read = feature_column(column, str(column.name))
    if read.values is None:
        why = read.faults[0].problem if read.faults else "nothing can be read"
        return Cells(OTHER, np.full(len(column), -1, dtype=np.int64), 0, why=why)
    if isinstance(read.values, Numbers):
        codes, numbers = pd.factorize(read.values.values)
        return Cells(NUMBER, codes.astype(np.int64), len(numbers), read.values.values)
    present = np.unique(read.values.codes[read.values.codes >= 0])
    if not present.size:
        return Cells(OTHER, read.values.codes, 0, why="every cell is missing or unreadable")
    return Cells(LABEL, read.values.codes, len(present), labels=tuple(read.values.labels[at] for at in present))


def is_time(column: pd.Series[Any]) -> bool:
    """Whether a column holds dates: by its dtype, or as text of which the first rows can be read."""
    dtype = column.dtype
    if isinstance(dtype, (pd.PeriodDtype, pd.DatetimeTZDtype)) or dtype.kind == "M":
        return True
    textual = isinstance(dtype, pd.StringDtype) or dtype.kind in "OSTU"
    if not textual or isinstance(dtype, pd.CategoricalDtype):
        return False
    known = column.dropna().head(SAMPLE)
    if not len(known):
        return False
    if pd.api.types.infer_dtype(known, skipna=True) in ("datetime", "datetime64", "date"):
        return True
    if not all(isinstance(cell, str) and len(cell) >= 4 and cell[:4].isdecimal() for cell in known.head(20)):
        return False
    read = time_column(known.reset_index(drop=True))[0]
    return read.values is not None and not read.faults


def portrait(column: pd.Series[Any], cells: Cells) -> Portrait:
    """The summary of a column and its cells."""
    values = cells.values
    with np.errstate(invalid="ignore"):
        whole = values is not None and bool((np.isnan(values) | (values == np.floor(values))).all())
    return Portrait(
        column.name,
        str(column.dtype),
        cells.kind,
        whole,
        _is_flag(cells),
        int((cells.codes < 0).sum()),
        cells.distinct,
        len(column),
        cells.why,
    )


def _is_flag(cells: Cells) -> bool:
    if cells.distinct != 2 or cells.kind not in (NUMBER, LABEL):
        return False
    if cells.values is not None:
        known = cells.values[~np.isnan(cells.values)]
        return {float(known.min()), float(known.max())} in ({0.0, 1.0}, {-1.0, 1.0})
    one, two = (label.strip().lower() for label in cells.labels)
    return (one in YES and two in NO) or (two in YES and one in NO)


def constant_within(codes: Int, groups: Int) -> tuple[bool, bool]:
    """Whether a column (N,) has one known value in every group (N,), and whether cells are missing beside known ones.

    Rows of no group (-1) do not count. Groups without any known value agree with anything.
    """
    inside = groups >= 0
    codes, groups = codes[inside], groups[inside]
    known = codes >= 0
    if not known.any():
        return True, False
    first = np.full(int(groups.max()) + 1, -1, dtype=np.int64)
    first[groups[known][::-1]] = codes[known][::-1]  # written last is what stays: the first known one
    same = bool((codes[known] == first[groups[known]]).all())
    return same, bool((~known & (first[groups] >= 0)).any())


def joint(one: Int, two: Int) -> Int:
    """Numbers for the pairs of two numberings (N,), -1 where either has none."""
    pairs = np.where((one < 0) | (two < 0), -1, one * (int(two.max(initial=0)) + 1) + two)
    codes = pd.factorize(pairs)[0].astype(np.int64)
    missing = pairs < 0
    if not missing.any():
        return codes
    gap = int(codes[missing][0])
    return np.where(missing, -1, np.where(codes > gap, codes - 1, codes))


def count(codes: Int) -> int:
    """How many groups there are."""
    return int(codes.max(initial=-1)) + 1


@dataclass(frozen=True)
class Table:
    """A frame and a portrait of each of its columns, by position: names may be doubled.

    The cells of small tables are kept; those of large ones are read again when asked for.
    """

    frame: pd.DataFrame
    seen: tuple[Portrait, ...]
    kept: dict[int, Cells] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, frame: pd.DataFrame) -> Table:
        """Look at every column of ``frame``, which is not changed."""
        kept: dict[int, Cells] = {}
        seen = []
        for at in range(frame.shape[1]):
            column = frame.iloc[:, at]
            cells = cells_of(column)
            seen.append(portrait(column, cells))
            if frame.size <= MOST_KEPT:
                kept[at] = cells
        return cls(frame, tuple(seen), kept)

    def cells(self, at: int) -> Cells:
        """The cells of the column at a position."""
        return self.kept[at] if at in self.kept else cells_of(self.frame.iloc[:, at])

    def place(self, name: object) -> int | None:
        """The position of the first column called ``name``; ``None`` where there is none."""
        return next((at for at, one in enumerate(self.seen) if one.name == name), None)
